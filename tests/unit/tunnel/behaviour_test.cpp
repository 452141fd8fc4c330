// Behaviours that need a tunnel: what a client is told of a failure somewhere on its path (40, 41),
// and what becomes of its websocket (65).
#include "harness.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Which failure is which status.
using Behaviour40 = TunnelTest;
/// How an error looks.
using Behaviour41 = TunnelTest;

/// A websocket through access and share loses one of them.
class Behaviour65 : public TunnelTest {
 protected:
  void SetUp() override {
    TunnelTest::SetUp();
    share_ = share("demo", origin_.target("http"));
    access_ = access("demo");
    client_.emplace(loop_, address(access_));
    ASSERT_THAT(client_->get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
    client_->clear();
    client_->send("hello");
    ASSERT_EQ(client_->until("hello"), "hello");
    client_->clear();
    ASSERT_EQ(host_.status("demo")->counters.open_connections, 1U);
  }

  /// Without any time passing, on both sides, and as a loss: not in order.
  void expect_lost() {
    EXPECT_FALSE(client_->ended());
    EXPECT_EQ(client_->until("x"), "") << "nothing is injected";
    EXPECT_TRUE(until([this] { return !origin_has_websocket(); }));
  }
  bool origin_has_websocket() const { return host_.status("demo")->counters.open_connections != 0; }

  Origin origin_{loop_, http_origin()};
  TunnelPtr share_;
  TunnelPtr access_;
  std::optional<Client> client_;
};

TEST_F(Behaviour40, ADeadTargetIsA502ThatNamesIt) {
  share("demo", dead_port());
  Client client(loop_, address(access("demo")));
  const std::string answer = client.get("/", "a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("Simplon-Error: hop=target; reason=target_refused"));
  const Status status = *host_.status("demo");
  EXPECT_EQ(status.phase, Phase::active);
  EXPECT_THAT(status.message, HasSubstr("connection refused"));
  EXPECT_THAT(status.message, StartsWith("target localhost:"));
  EXPECT_EQ(status.counters.failures, 1U);
}

TEST_F(Behaviour40, AServiceThatNobodyHasIsA404AndOneThatIsNotHostedA503) {
  Client client(loop_, address(access("nobody")));
  std::string answer = client.get("/", "a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(answer, HasSubstr("reason=no_such_service"));
  EXPECT_THAT(guest_.status("nobody-access")->message, HasSubstr("service \"nobody\""));

  Origin origin(loop_, http_origin());
  const TunnelPtr shared = share("gone", origin.target("http"));
  bool released = false;
  host_.stop(*shared, std::chrono::seconds(0), [&] { released = true; });
  ASSERT_TRUE(until([&] { return released; }));
  Client second(loop_, address(access("gone")));
  answer = second.get("/", "a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("reason=not_hosted"));
}

TEST_F(Behaviour40, ALostLinkIsA503AndAnAgentThatDoesNotAnswerA504) {
  std::vector<std::unique_ptr<overlay::Inbound>> kept;
  auto listener = net::test::run(
      loop_, host_network_.listen({.service = "mute"},
                                  [&](auto inbound) { kept.push_back(std::move(inbound)); }));
  const TunnelPtr entry = access("mute");
  {
    Client client(loop_, address(entry));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(until([&] { return !kept.empty(); }));
    clock_.advance(kEntryConnect + std::chrono::seconds(1));
    const std::string answer = client.until("\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 504"));
    EXPECT_THAT(answer, HasSubstr("hop=overlay; reason=timed_out"));
  }
  guest_network_.set_link(overlay::LinkState::down, "the hub does not answer");
  EXPECT_EQ(guest_.status("mute-access")->phase, Phase::degraded);
  EXPECT_THAT(guest_.status("mute-access")->message, HasSubstr("the hub does not answer"));
  Client client(loop_, address(entry));
  const std::string answer = client.get("/", "a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("hop=overlay; reason=link_lost"));
  kept.clear();
}

TEST_F(Behaviour41, AnErrorTellsNoAddressOfATarget) {
  const std::string port = dead_port();
  share("demo", port);
  Client client(loop_, address(access("demo")));
  const std::string answer = client.get("/", "a") + client.until("target refused");
  EXPECT_THAT(answer,
              AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("hop=target"), Not(HasSubstr(port)),
                    Not(HasSubstr("localhost")), Not(HasSubstr("127.0.0.1"))));
  EXPECT_LT(answer.size(), 1024U);
  EXPECT_THAT(client.get("/", "a", "Accept: application/json\r\n") + client.until("}"),
              HasSubstr("\"hop\":\"target\",\"reason\":\"target_refused\""));
}

TEST_F(Behaviour41, AnAgentThatIsNotThereLooksOtherThanATargetThatIsNot) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const TunnelPtr entry = access("demo");
  guest_network_.set_link(overlay::LinkState::down);
  Client client(loop_, address(entry));
  EXPECT_THAT(client.get("/", "a"), HasSubstr("Simplon-Error: hop=overlay; reason=link_lost\r\n"));
}

TEST_F(Behaviour65, EndsAtOnceWithTheSession) {
  guest_network_.lose_sessions();
  expect_lost();
}

TEST_F(Behaviour65, EndsAtOnceWithTheHostingAgent) {
  host_.drain_all(std::chrono::milliseconds(0), [] {});
  EXPECT_FALSE(client_->ended());
  EXPECT_TRUE(until([&] { return guest_.status("demo-access")->counters.open_connections == 0; }));
}

TEST_F(Behaviour65, EndsAtOnceWithTheAgentOfTheClient) {
  guest_.drain_all(std::chrono::milliseconds(0), [] {});
  expect_lost();
}

TEST_F(Behaviour65, OthersThatDoNotUseTheSessionLiveOn) {
  Origin other(loop_, http_origin());
  share("other", other.target("http"));
  guest_network_.lose_sessions();
  expect_lost();
  Client second(loop_, address(access("other")));
  EXPECT_THAT(second.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
}

}  // namespace
}  // namespace simplon::tunnel::test
