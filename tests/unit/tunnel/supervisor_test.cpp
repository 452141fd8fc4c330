#include <optional>

#include "harness.hpp"
#include "support/temporary_folder.hpp"
#include "tunnel/store.hpp"

namespace simplon::tunnel::test {
namespace {

using absl::StatusCode;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

Tunnel access_at(const std::string& name, const std::string& listen) {
  return {.name = name, .spec = Access{.service = "demo", .overlay = {}, .listen = listen}};
}

TEST_F(TunnelTest, ABusyPortRefusesTheCreateAndIsNamed) {
  Origin busy(loop_, [](const net::StreamPtr&) {});
  const std::string listen = "127.0.0.1:" + std::to_string(busy.port());
  const auto created = create(guest_, access_at("one", listen));
  EXPECT_EQ(created.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(created.status().message()), StartsWith("access.listen: "));
  EXPECT_THAT(std::string(created.status().message()), HasSubstr(listen));
  EXPECT_FALSE(guest_.status("one").has_value());
}

TEST_F(TunnelTest, APortThatIsBusyAtARestartFailsThatTunnelUntilItIsFree) {
  auto busy = std::make_optional<Origin>(loop_, [](const net::StreamPtr&) {});
  const std::string listen = "127.0.0.1:" + std::to_string(busy->port());
  Tunnel stored = access_at("one", listen);
  stored.uid = "1";
  std::get<Access>(stored.spec).overlay = "default";
  guest_.start(std::make_shared<const Tunnel>(stored));
  EXPECT_EQ(guest_.status("one")->phase, Phase::failed);
  EXPECT_THAT(guest_.status("one")->message, HasSubstr(listen));
  // It waits for its port: no other tunnel may take it.
  EXPECT_EQ(create(guest_, access_at("two", listen)).status().code(),
            StatusCode::kFailedPrecondition);
  clock_.advance(seconds(4));
  while (loop_.poll() > 0) {
  }
  EXPECT_EQ(guest_.status("one")->phase, Phase::failed);
  busy.reset();
  clock_.advance(seconds(4));
  EXPECT_TRUE(until_phase(guest_, "one", Phase::active));
}

TEST_F(TunnelTest, TheOverlayIsTheOnlyOneOrMustBeNamed) {
  TestNetwork blue(directory_, "blue");
  Tunnel tunnel = access_at("one", "127.0.0.1:0");
  guest_.add_overlay("blue", blue);
  ASSERT_TRUE(guest_.prepare(tunnel).ok());
  EXPECT_EQ(overlay_of(tunnel.spec), "default");
  guest_.abandon(tunnel);
  Tunnel other = access_at("two", {});
  set_overlay(other.spec, "red");
  EXPECT_EQ(guest_.prepare(other).code(), StatusCode::kFailedPrecondition);
  bool removed = false;
  guest_.remove_overlay("blue", [&] { removed = true; });
  ASSERT_TRUE(until([&] { return removed; }));

  Supervisor fresh(loop_, {&loop_});
  set_overlay(tunnel.spec, {});
  EXPECT_EQ(fresh.prepare(tunnel).code(), StatusCode::kFailedPrecondition);
  fresh.add_overlay("red", guest_network_);
  fresh.add_overlay("blue", blue);
  EXPECT_EQ(fresh.prepare(tunnel).code(), StatusCode::kInvalidArgument);
}

TEST_F(TunnelTest, AnOverlayThatIsBeingLeftTakesNoNewTunnels) {
  TestNetwork blue(directory_, "blue");
  guest_.add_overlay("blue", blue);
  guest_.begin_leaving("default");
  Tunnel chosen = access_at("one", "127.0.0.1:0");
  EXPECT_EQ(guest_.prepare(chosen).code(), StatusCode::kUnavailable);
  Tunnel named = chosen;
  set_overlay(named.spec, "default");
  bool removed = false;
  guest_.remove_overlay("default", [&] { removed = true; });
  ASSERT_TRUE(until([&] { return removed; }));
  EXPECT_THAT(std::string(guest_.prepare(named).message()),
              HasSubstr("overlay \"default\" is being left; try again"));
  EXPECT_EQ(guest_.prepare(chosen).code(), StatusCode::kUnavailable);
  guest_.end_leaving("default");
  EXPECT_EQ(guest_.prepare(named).code(), StatusCode::kFailedPrecondition);
  guest_.remove_overlay("blue", [&] { removed = false; });
  ASSERT_TRUE(until([&] { return !removed; }));
}

TEST_F(TunnelTest, AnOverlayThatGoesFailsItsTunnelsUntilItComesBack) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const TunnelPtr entry = access("demo");
  bool removed = false;
  guest_.remove_overlay("default", [&] { removed = true; });
  EXPECT_EQ(guest_.status("demo-access")->phase, Phase::failed);
  EXPECT_THAT(guest_.status("demo-access")->message, HasSubstr("\"default\""));
  ASSERT_TRUE(until([&] { return removed; }));
  Client client(loop_, address(entry));
  EXPECT_THAT(client.get("/", "a"), StartsWith("HTTP/1.1 503"));
  host_.remove_overlay("default", [] {});
  EXPECT_EQ(host_.status("demo")->phase, Phase::failed);
  host_.add_overlay("default", host_network_);
  guest_.add_overlay("default", guest_network_);
  EXPECT_TRUE(until_phase(host_, "demo", Phase::active));
  EXPECT_TRUE(until_phase(guest_, "demo-access", Phase::active));
  EXPECT_THAT(client.get("/", "a"), StartsWith("HTTP/1.1 200"));
}

TEST_F(TunnelTest, RemovingAnOverlayWaitsForTheDialsInside) {
  // A network whose dial ends when the test says so.
  class Slow final : public overlay::Network {
   public:
    explicit Slow(net::Loop& loop) : gate(loop) {}
    std::string_view kind() const override { return "slow"; }
    std::string self() const override { return "slow"; }
    overlay::LinkStatus status() const override { return {.state = overlay::LinkState::up}; }
    void on_change(std::function<void()>) override {}
    net::awaitable<std::expected<overlay::Dialed, overlay::Refusal>> dial(
        net::Loop&, overlay::DialOptions) override {
      dialing = true;
      (void)co_await gate.wait_until();
      co_return std::unexpected(overlay::Refusal{
          .failure = {.hop = base::Hop::overlay, .code = base::Errc::link_lost, .detail = {}}});
    }
    net::awaitable<std::expected<std::unique_ptr<overlay::Listener>, base::Failure>> listen(
        overlay::ListenOptions, InboundHandler) override {
      co_return std::unexpected(base::Failure{.code = base::Errc::not_permitted, .detail = {}});
    }
    net::Gate gate;
    bool dialing = false;
  } slow(loop_);
  guest_.add_overlay("slow", slow);
  Tunnel tunnel = access_at("one", {});
  set_overlay(tunnel.spec, "slow");
  Client client(loop_, address(ready(guest_, create(guest_, tunnel))));
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until([&] { return slow.dialing; }));
  bool removed = false;
  guest_.remove_overlay("slow", [&] { removed = true; });
  while (loop_.poll() > 0) {
  }
  EXPECT_FALSE(removed);
  slow.gate.open();
  EXPECT_TRUE(until([&] { return removed; }));
}

TEST_F(TunnelTest, WhatAServiceMayBeCalledIsTheOverlaysRule) {
  Tunnel tunnel{.name = "demo", .spec = Share{.service = "My Service", .target = "80"}};
  const auto refused = create(host_, tunnel);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), StartsWith("share.service: \"My Service\""));
  host_network_.any_names = true;
  EXPECT_TRUE(create(host_, tunnel).ok());
}

TEST_F(TunnelTest, CostAndPrecedenceAreForOverlaysThatKnowSeveralHosts) {
  Tunnel tunnel{.name = "demo", .spec = Share{.service = "demo", .target = "80"}};
  std::get<Share>(tunnel.spec).rank = {.cost = 9, .precedence = overlay::Precedence::required};
  const auto refused = create(host_, tunnel);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()),
              StartsWith("share.ziti: overlay \"default\""));
  host_network_.ranks = true;
  ASSERT_TRUE(create(host_, tunnel).ok());
  ASSERT_TRUE(until([&] { return !host_network_.ranked.empty(); }));
  EXPECT_EQ(host_network_.ranked[0], std::get<Share>(tunnel.spec).rank);
}

TEST_F(TunnelTest, AShareIsUnhealthyAfterSomeFailuresInARowAndGoodAgainWithTheFirstSuccess) {
  std::optional<Origin> origin(std::in_place, loop_, http_origin());
  const std::uint16_t port = origin->port();
  share("demo", origin->target("http"));
  const auto pass = [this](std::chrono::milliseconds time) {
    clock_.advance(time);
    net::test::settle(loop_);
  };
  pass({});
  EXPECT_EQ(host_network_.healths, std::vector{true});
  origin.reset();
  const Settings settings;
  pass(settings.target_check);
  EXPECT_EQ(hop(*host_.status("demo"), kTargetHop).state, HopState::down);
  pass(settings.target_check_again);
  EXPECT_EQ(host_network_.healths, std::vector{true});
  pass(settings.target_check_again);
  EXPECT_EQ(host_network_.healths, (std::vector{true, false}));
  origin.emplace(loop_, http_origin(), port);
  pass(settings.target_check_again);
  EXPECT_EQ(host_network_.healths, (std::vector{true, false, true}));
  EXPECT_EQ(hop(*host_.status("demo"), kTargetHop).state, HopState::up);
}

TEST_F(TunnelTest, AServiceNameOfAnotherAgentFailsTheShareAndIsTriedAgain) {
  Origin origin(loop_, http_origin());
  auto listener =
      net::test::run(loop_, guest_network_.listen({.service = "demo"}, [](const auto&) {}));
  const auto created = create(
      host_,
      {.name = "demo",
       .spec = Share{.service = "demo", .target = origin.target("http"), .host_header = {}}});
  ASSERT_TRUE(created.ok());
  ASSERT_TRUE(until_phase(host_, "demo", Phase::failed));
  EXPECT_THAT(host_.status("demo")->message, HasSubstr("belongs to another agent"));
  // Less and less often ...
  for (int second = 0; second < 600; ++second) {
    clock_.advance(seconds(1));
    while (loop_.poll() > 0) {
    }
  }
  EXPECT_GE(host_network_.listens, 8);
  EXPECT_LE(host_network_.listens, 16);
  // ... but at once when the overlay's link has come back.
  const int before = host_network_.listens;
  host_network_.set_link(overlay::LinkState::down);
  host_network_.set_link(overlay::LinkState::up);
  EXPECT_TRUE(until([&] { return host_network_.listens == before + 1; }));
}

TEST_F(TunnelTest, TheEndOfTheAgentIsToldToItsNetworksBeforeItsListenersGo) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  bool drained = false;
  host_.drain_all(seconds(1), [&] { drained = true; });
  EXPECT_TRUE(host_network_.process_ended);
  EXPECT_TRUE(until([&] { return drained; }));
}

TEST_F(TunnelTest, ARegistrationThatIsRefusedLaterFailsTheShareAndIsTriedAgain) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  host_network_.set_registration(overlay::LinkState::connecting);
  EXPECT_EQ(host_.status("demo")->phase, Phase::degraded);
  host_network_.set_registration(overlay::LinkState::down, "hub: not permitted");
  EXPECT_EQ(host_.status("demo")->phase, Phase::failed);
  EXPECT_EQ(host_.status("demo")->message, "service \"demo\": hub: not permitted");
  clock_.advance(seconds(4));
  while (loop_.poll() > 0) {
  }
  EXPECT_EQ(host_.status("demo")->phase, Phase::failed);
  host_network_.set_registration(overlay::LinkState::up);
  EXPECT_TRUE(until_phase(host_, "demo", Phase::active));
}

TEST_F(TunnelTest, ATargetThatComesUpIsNoticed) {
  const std::string port = dead_port();
  share("demo", port);
  ASSERT_TRUE(until([&] { return !host_.status("demo")->message.empty(); }));
  Origin origin(loop_, http_origin(), static_cast<std::uint16_t>(std::stoi(port)));
  clock_.advance(seconds(16));
  EXPECT_TRUE(until([&] { return host_.status("demo")->message.empty(); }));
  EXPECT_EQ(hop(*host_.status("demo"), kTargetHop).state, HopState::up);
}

TEST_F(TunnelTest, AStoppedTunnelLetsRunningConnectionsGoOnUntilTheCut) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const TunnelPtr entry = access("demo");
  Client socket(loop_, address(entry));
  EXPECT_THAT(socket.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  Client idle(loop_, address(entry));
  EXPECT_THAT(idle.get("/", "a", "Accept: */*\r\n"), StartsWith("HTTP/1.1 200"));
  bool released = false;
  guest_.stop(*entry, seconds(30), [&] { released = true; });
  ASSERT_TRUE(until([&] { return released; }));
  EXPECT_FALSE(guest_.status("demo-access").has_value());
  EXPECT_TRUE(idle.ended());
  socket.clear();
  socket.send("still here");
  EXPECT_EQ(socket.until("here"), "still here");
  // The port is free again while the old connection drains.
  EXPECT_TRUE(create(guest_, access_at("two", address(entry))).ok());
  clock_.advance(seconds(31));
  EXPECT_FALSE(socket.ended());
}

TEST_F(TunnelTest, AShareThatStopsRefusesNewStreamsAndCutsOldOnes) {
  Origin origin(loop_, greeter());
  const TunnelPtr shared = share("smtp", origin.target("tcp"));
  const TunnelPtr entry = access("smtp", Protocol::tcp);
  Client running(loop_, address(entry));
  running.until("\r\n");
  bool released = false;
  host_.stop(*shared, seconds(5), [&] { released = true; });
  ASSERT_TRUE(until([&] { return released; }));
  Client late(loop_, address(entry));
  EXPECT_FALSE(late.ended());
  running.clear();
  running.send("ping");
  EXPECT_EQ(running.until("ping"), "ping");
  clock_.advance(seconds(6));
  EXPECT_FALSE(running.ended());
}

TEST_F(TunnelTest, DrainingAllAnswersWhenTheLastConnectionEnded) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const TunnelPtr entry = access("demo");
  Client socket(loop_, address(entry));
  EXPECT_THAT(socket.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  bool drained = false;
  guest_.drain_all(seconds(30), [&] { drained = true; });
  while (loop_.poll() > 0) {
  }
  EXPECT_FALSE(drained);
  EXPECT_EQ(guest_.status("demo-access")->phase, Phase::draining);
  Tunnel late = access_at("late", {});
  EXPECT_EQ(guest_.prepare(late).code(), StatusCode::kUnavailable);
  socket.stream().shutdown_send();
  EXPECT_TRUE(socket.ended());
  EXPECT_TRUE(until([&] { return drained; }));
}

TEST_F(TunnelTest, DrainingAllCutsWhatDoesNotEnd) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Client socket(loop_, address(access("demo")));
  EXPECT_THAT(socket.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  bool drained = false;
  guest_.drain_all(seconds(30), [&] { drained = true; });
  while (loop_.poll() > 0) {
  }
  clock_.advance(seconds(30));
  EXPECT_TRUE(until([&] { return drained; }));
  EXPECT_FALSE(socket.ended());
}

TEST_F(TunnelTest, ChangesAreTold) {
  std::vector<std::string> names;
  guest_.on_change([&](const std::string& name) { names.push_back(name); });
  access("demo");
  EXPECT_TRUE(until([&] { return !names.empty(); }));
  names.clear();
  guest_network_.set_link(overlay::LinkState::down);
  EXPECT_TRUE(until([&] { return !names.empty(); }));
  EXPECT_EQ(names.front(), "demo-access");
  guest_.on_change({});
}

// The registry, the store and the supervisor together, as the agent has them.
class Restarted : public TunnelTest {
 protected:
  void SetUp() override {
    TunnelTest::SetUp();
    restart();
  }
  void TearDown() override { stop(); }
  void stop() {
    registry_.reset();
    store_.reset();
    if (agent_) {
      bool drained = false;
      agent_->drain_all(seconds(0), [&] { drained = true; });
      clock_.advance(seconds(1));
      EXPECT_TRUE(until([&] { return drained; }));
    }
    agent_.reset();
  }
  void restart() {
    stop();
    agent_.emplace(loop_, std::vector<net::Loop*>{&loop_});
    agent_->add_overlay("default", host_network_);
    auto opened = Store::open(folder_ / "state.db", loop_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
    registry_.emplace(*store_, *agent_);
    ASSERT_TRUE(registry_->load().ok());
  }
  absl::StatusOr<TunnelPtr> make(Tunnel tunnel) {
    std::optional<absl::StatusOr<TunnelPtr>> result;
    registry_->create(std::move(tunnel), "", [&](auto got) { result = std::move(got); });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    return *result;
  }
  absl::Status remove(const std::string& name) {
    std::optional<absl::Status> result;
    registry_->remove(name, seconds(30), [&](absl::Status got) { result = std::move(got); });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    return *result;
  }

  simplon::test::TemporaryFolder folder_;
  std::optional<Supervisor> agent_;
  std::unique_ptr<Store> store_;
  std::optional<Registry> registry_;
};

TEST_F(Restarted, AChosenPortStaysTheTunnels) {
  const auto created = make(access_at("one", {}));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_THAT(address(*created), testing::Not(testing::EndsWith(":0")));
  restart();
  EXPECT_TRUE(until_phase(*agent_, "one", Phase::active));
  EXPECT_EQ(address(registry_->find("one")), address(*created));
  Client client(loop_, address(*created));
  EXPECT_THAT(client.get("/", "a"), StartsWith("HTTP/1.1 404"));
}

TEST_F(Restarted, ADeletedTunnelsPortIsFreeWhenTheDeleteIsAnswered) {
  Origin origin(loop_, http_origin());
  ASSERT_TRUE(
      make({.name = "demo", .spec = Share{.target = origin.target("http"), .host_header = {}}})
          .ok());
  const auto first = make(access_at("one", {}));
  ASSERT_TRUE(until_phase(*agent_, "one", Phase::active));
  Client client(loop_, address(*first));
  EXPECT_THAT(client.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  EXPECT_TRUE(remove("one").ok());
  const auto second = make(access_at("one", address(*first)));
  EXPECT_TRUE(second.ok()) << second.status();
  // It is in use, and drains beside the new one.
  client.clear();
  client.send("ping");
  EXPECT_EQ(client.until("ping"), "ping");
}

TEST_F(Restarted, TwoHundredTunnelsComeBack) {
  int acknowledged = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "t" + std::to_string(i);
    for (Tunnel tunnel :
         {Tunnel{.name = name, .spec = Share{.target = "1", .host_header = {}}},
          Tunnel{.name = name + "-access", .spec = Access{.service = name, .listen = {}}}}) {
      registry_->create(std::move(tunnel), "", [&](const auto& got) {
        EXPECT_TRUE(got.ok()) << got.status();
        ++acknowledged;
      });
    }
  }
  ASSERT_TRUE(until([&] { return acknowledged == 200; }));
  restart();
  EXPECT_EQ(registry_->snapshot()->size(), 200U);
  EXPECT_TRUE(until([&] {
    return std::ranges::all_of(*registry_->snapshot(), [&](const auto& entry) {
      return agent_->status(entry.first)->phase == Phase::active;
    });
  }));
}

}  // namespace
}  // namespace simplon::tunnel::test
