// Bodies as they come, both ways at once; interim responses; clients and origins that leave.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(Engine, PassesOnEachPartOfARequestBodyWhenItArrives) {
  EXPECT_THAT(forwarded(kPost), EndsWith("chunked\r\n\r\n"));
  EXPECT_EQ(forwarded("3\r\none\r\n"), "3\r\none\r\n");
  EXPECT_EQ(forwarded("3\r\ntw"), "2\r\ntw\r\n");
  EXPECT_EQ(forwarded("o\r\n0\r\n\r\n"), "1\r\no\r\n0\r\n\r\n");
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, PassesOnEachPartOfAResponseWhenItArrives) {
  get();
  EXPECT_EQ(answered(kChunkedOk), kChunkedOk) << "the head waits for no body";
  EXPECT_EQ(answered("9\r\ndata: 1\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  EXPECT_EQ(answered("9\r\ndata"), "4\r\ndata\r\n");
  EXPECT_EQ(answered(": 2\n\n\r\n"), "5\r\n: 2\n\n\r\n");
  EXPECT_EQ(answered("0\r\nX-T: 1\r\n\r\n"), "0\r\nX-T: 1\r\n\r\n");
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Engine, StreamsBothWaysAtOnce) {
  forwarded(kPost);
  EXPECT_EQ(answered(kChunkedOk), kChunkedOk);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(forwarded("2\r\nhi\r\n"), "2\r\nhi\r\n");
    EXPECT_EQ(answered("2\r\nho\r\n"), "2\r\nho\r\n");
  }
  EXPECT_EQ(forwarded("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(answered("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(ends_->released, 1);
  get();
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, LetsAStreamingClientBeSilentOnceTheResponseHasBegun) {
  forwarded(kPost);
  answered(kChunkedOk);
  advance(seconds(10'000));
  EXPECT_EQ(forwarded("2\r\nhi\r\n"), "2\r\nhi\r\n");
}

TEST_F(Engine, HoldsTheOriginBackWhenTheClientDoesNotRead) {
  get();
  answered("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n");
  client_->stop_reading(true);
  origin().send(std::string(1'000'000, 'x'));
  EXPECT_TRUE(origin().blocked());
  client_->stop_reading(false);
  EXPECT_GT(client_->take().size(), 64'000U);
}

TEST_F(Engine, HoldsTheClientBackWhenTheOriginDoesNotRead) {
  open();
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
  origin().stop_reading(true);
  client_->send(std::string(1'000'000, 'x'));
  EXPECT_TRUE(client_->blocked());
}

TEST_F(Engine, CancelsTheOriginsRequestWhenTheClientIsCut) {
  get();
  client_->reset();
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, CancelsTheOriginsRequestWhenTheClientLeavesDuringTheResponse) {
  get();
  answered(kChunkedOk);
  client_->reset();
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, CancelsTheOriginsRequestWhenTheClientEndsInItsBody) {
  forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  client_->end();
  EXPECT_TRUE(origin().failure());
  EXPECT_TRUE(client_->gone());
}

TEST_F(Engine, AnswersAClientThatEndedItsDirection) {
  get();
  client_->end();
  advance(seconds(2));
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_TRUE(client_->ended());
}

TEST_F(Engine, TakesAClientForGoneThatEndedAndHearsNothing) {
  get();
  client_->end();
  advance(seconds(4));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Engine, GivesAnEndedClientAllOfALongStream) {
  get();
  client_->end();
  answered(kChunkedOk);
  for (int i = 0; i < 10; ++i) {
    advance(seconds(2));
    EXPECT_EQ(answered("1\r\nx\r\n"), "1\r\nx\r\n");
  }
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

TEST_F(Engine, DoesNotSendARequestAgainBecauseTheOriginIsSlow) {
  get();
  answered(kOk);
  client_->send("DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n");
  client_->end();
  ASSERT_EQ(ends_->connects, 2);
  advance(Timeouts{}.half_closed + std::chrono::milliseconds(1));
  EXPECT_EQ(ends_->connects, 2);
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 504 "));
}

TEST_F(Engine, Answers502ForAnOriginThatLeavesWithoutAnswering) {
  open({.hop = base::Hop::share});
  get();
  origin().close();
  EXPECT_THAT(client_->take(),
              AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("Simplon-Error: hop=target;")));
}

TEST_F(Engine, RetriesOnAFreshConnectionWhenThePooledOneHadEnded) {
  get();
  answered(kOk);
  origin().close();
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),
              EndsWith("\r\n\r\nhi"))
      << "no byte had left: any method can go again";
  EXPECT_EQ(ends_->origins.size(), 2U);
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, RetriesAnIdempotentRequestWhenThePooledConnectionEndsWithoutAnswer) {
  get();
  answered(kOk);
  forwarded("PUT /again HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(ends_->origins.size(), 1U);
  origin().close();
  client_->settle();
  ASSERT_EQ(ends_->origins.size(), 2U);
  EXPECT_EQ(origin().take(), "PUT /again HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 ")) << "once only";
}

TEST_F(Engine, ContinuesTheBodyOfARetriedRequest) {
  get();
  answered(kOk);
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
  origin().reset();
  client_->settle();
  ASSERT_EQ(ends_->origins.size(), 2U);
  EXPECT_THAT(origin().take(), EndsWith("\r\n\r\nabc"));
  EXPECT_EQ(forwarded("def"), "def");
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, DoesNotRepeatAPostThatMayHaveBeenProcessed) {
  get();
  answered(kOk);
  forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Engine, DoesNotRepeatARequestWhoseAnswerHadBegun) {
  get();
  answered(kOk);
  get();
  origin().send("HTTP/1.1 2");
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(ends_->origins.size(), 1U);
}

}  // namespace
}  // namespace simplon::http
