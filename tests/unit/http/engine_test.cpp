// One request after the other: framing, keep-alive, pipelining, errors of routing and connecting.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Engine, ForwardsARequestAndItsResponse) {
  EXPECT_EQ(forwarded("GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"),
            "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n");
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_FALSE(client_->gone());
  ASSERT_EQ(ends_->outcomes.size(), 1U);
  EXPECT_EQ(ends_->outcomes[0].status, 200);
  EXPECT_EQ(ends_->outcomes[0].bytes_out, 2U);
}

TEST_F(Engine, TriesAgainWhenTheFarEndWasDraining) {
  bool draining = true;
  ends_->refusal = [&draining]() -> std::optional<base::Failure> {
    if (!std::exchange(draining, false)) {
      return std::nullopt;
    }
    return base::Failure{base::Hop::share, make_error_code(base::Errc::draining), {}};
  };
  forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  origin().close();
  client_->settle();
  ASSERT_EQ(ends_->origins.size(), 2U);
  EXPECT_THAT(origin().take(), EndsWith("\r\n\r\nhi"));
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, TimesOutASlowHeadWith408) {
  open();
  client_->send("GET / HTTP/1.1\r\nHo");
  advance(Timeouts{}.head - seconds(1));
  EXPECT_EQ(client_->take(), "");
  client_->send("st: h\r\n");
  advance(seconds(2));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Engine, TimesOutASlowHeadHoweverItDrips) {
  open();
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: 1 and so on, and on and on\r\n";
  for (std::size_t i = 0; i < head.size(); ++i) {
    client_->send(head.substr(i, 1));
    advance(seconds(1));
  }
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(ends_->connects, 0);
}

TEST_F(Engine, EndsSilentAndIdleConnectionsWithoutAWord) {
  open();
  advance(Timeouts{}.head + seconds(1));
  EXPECT_EQ(client_->take(), "");
  EXPECT_TRUE(client_->ended());
  open();
  get();
  answered(kOk);
  advance(Timeouts{}.idle - seconds(1));
  EXPECT_FALSE(client_->gone());
  advance(seconds(2));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Engine, TimesOutARequestBodyThatStops) {
  open();
  client_->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  advance(Timeouts{}.body + seconds(1));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, TimesOutAnOriginThatDoesNotAnswer) {
  Policy policy;
  policy.timeouts.first_byte = seconds(3);
  open(policy);
  get();
  advance(seconds(4));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 504 "));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, FinishesTheCurrentRequestOfADrainAndThenCloses) {
  get();
  drain_->request();
  EXPECT_FALSE(client_->gone());
  EXPECT_EQ(answered(kOk), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(client_->ended());
}

TEST_F(Engine, ClosesIdleConnectionsOnDrain) {
  get();
  answered(kOk);
  drain_->request();
  EXPECT_TRUE(client_->ended());
}

TEST_F(Engine, LeavesAStuckUploadWhenTheConnectionIsCutHere) {
  open();
  client_->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  origin().stop_reading(true);
  client_->send(std::string(400'000, 'x'));
  ASSERT_TRUE(client_->blocked());
  served_->reset(base::Errc::draining);
  client_->settle();
  EXPECT_EQ(ends_->outcomes.size(), 1U);
  origin().stop_reading(false);
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, LeavesWithTheClient) {
  open();
  client_->close();
  EXPECT_EQ(ends_->connects, 0);
}

}  // namespace
}  // namespace simplon::http
