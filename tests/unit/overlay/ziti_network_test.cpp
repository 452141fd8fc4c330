// What OpenZiti's network does when routers, controllers and sessions come and go.
#include <gmock/gmock.h>
#include <sodium.h>

#include "overlay/ziti/inbound.hpp"
#include "overlay/ziti/router_pool.hpp"
#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/ziti_scripted_network.hpp"

namespace simplon::overlay::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using ziti::ZitiNetwork;
using ziti::test::ScriptedFabric;
using ziti::test::ScriptedNetwork;
using RestReply = ziti::test::RestReply;

constexpr std::string_view kSessions = "POST /edge/client/v1/sessions";

class ZitiNetworkTest : public testing::Test, protected NetworkBench {
 protected:
  void SetUp() override { ASSERT_GE(sodium_init(), 0); }

  void begin(const std::vector<std::string>& routers = {"router-1"},
             ziti::test::ScriptedController::Options options = {}) {
    scripted.emplace(loop, routers, std::move(options));
    scripted->add_service("web");
    alice = scripted->join("alice", {&loop});
    bob = scripted->join("bob", {&loop});
  }

  // Time goes on in steps, with everything that can happen in each.
  bool pass_until(const std::function<bool()>& done, seconds at_most = seconds(180)) {
    const auto end = loop.now() + at_most;
    net::test::settle(loop);
    while (!done()) {
      if (loop.now() >= end) {
        return false;
      }
      clock.advance(milliseconds(200));
      net::test::settle(loop);
    }
    return true;
  }
  void pass(seconds time) {
    pass_until([] { return false; }, time);
  }

  static void echo_all(std::unique_ptr<Inbound> inbound) {
    inbound->accept();
    net::Loop& on = inbound->loop();
    net::spawn(on, "echo", echo(inbound->stream()));
  }
  static net::awaitable<void> echo(net::StreamPtr stream) {
    const auto got = co_await read_to_end(stream);
    if (got) {
      co_await send(stream, *got, true);
    }
    stream->close();
  }
  std::unique_ptr<Listener> host_echo() {
    auto listener = run(loop, alice->listen({.service = "web"}, echo_all));
    EXPECT_TRUE(listener) << listener.error().message();
    EXPECT_TRUE(pass_until([&] { return (*listener)->status().state == LinkState::up; }));
    return std::move(*listener);
  }
  DialOptions soon() {
    DialOptions options = to("web");
    options.deadline = loop.now() + seconds(30);
    return options;
  }
  // Whether a dial works, with time going on.
  std::expected<Dialed, Refusal> dial_web() {
    const Call call = NetworkBench::begin(*bob, soon());
    EXPECT_TRUE(pass_until([&] { return call->has_value(); }));
    return std::move(**call);
  }
  bool answers() {
    auto dialed = dial_web();
    if (!dialed) {
      ADD_FAILURE() << dialed.error().failure.message();
      return false;
    }
    EXPECT_TRUE(run(loop, send(dialed->stream, "hello", true)));
    const auto back = run(loop, read_to_end(dialed->stream));
    dialed->stream->close();
    return back && *back == "hello";
  }

  std::optional<ScriptedNetwork> scripted;
  std::unique_ptr<ZitiNetwork> alice;
  std::unique_ptr<ZitiNetwork> bob;
};

TEST_F(ZitiNetworkTest, ARouterMayRestart) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  scripted->stop_router("router-1");
  EXPECT_TRUE(pass_until([&] { return web->status().state != LinkState::up; }));
  EXPECT_THAT(web->status().last_error, HasSubstr("router"));
  const auto refused = dial_web();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().failure.code, Errc::link_lost);
  EXPECT_THAT(refused.error().failure.detail, HasSubstr("\"web\""));
  scripted->start_router("router-1");
  EXPECT_TRUE(pass_until([&] { return web->status().state == LinkState::up; }));
  EXPECT_EQ(web->status().last_error, "");
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, ALostChannelIsMadeAgainByTheNextDial) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  int dials = 0;
  scripted->router_script = [&](auto&, const ziti::FrameView& frame) {
    // The router goes while the first dial is on its way.
    if (frame.content() == ziti::content::kConnect && dials++ == 0) {
      loop.post([this] { scripted->fabric.drop_router(); });
      return true;
    }
    return false;
  };
  const Call call = NetworkBench::begin(*bob, soon());
  ASSERT_TRUE(pass_until([&] { return call->has_value(); }));
  // The host may not be back yet; the dial was tried again all the same.
  EXPECT_EQ(dials, 2);
  EXPECT_TRUE(pass_until([&] { return web->status().state == LinkState::up; }));
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, AControllerMayForgetEverything) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  for (const auto& [token, name] : scripted->controller.logins) {
    scripted->fabric.faults.refused_logins.insert(token);
  }
  scripted->controller.forget();
  scripted->fabric.drop_router();
  EXPECT_TRUE(pass_until([&] {
    return web->status().state == LinkState::up && !scripted->controller.logins.empty();
  }));
  // The dialer finds out by a router that does not take its login.
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, OneRouterThatRefusesAGoodLoginIsLeftAlone) {
  begin({"router-1", "router-2"});
  const auto web = host_echo();
  int shown = 0;
  scripted->router_script = [&](ziti::test::ScriptedLink& from, const ziti::FrameView& frame) {
    if (frame.content() == ziti::content::kHello) {
      auto& refused = scripted->fabric.faults.refused_logins;
      refused.clear();
      if (from.router() == "router-2") {
        refused.emplace(frame.string(ziti::header::kSessionToken));
        ++shown;
      }
    }
    return false;
  };
  ASSERT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") == 2; }));
  const int logins = scripted->controller.count("POST /edge/client/v1/authenticate");
  scripted->fabric.drop_router("router-2");
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(answers());
    pass(seconds(1));
  }
  EXPECT_EQ(scripted->controller.count("POST /edge/client/v1/authenticate"), logins);
  EXPECT_GE(shown, 2);
  EXPECT_LE(shown, 30);
  EXPECT_LE(scripted->controller.count("GET /edge/client/v1/current-api-session"), 16);
  EXPECT_EQ(scripted->fabric.terminators("web"), 1U);
  // It is taken again as soon as it takes us.
  scripted->router_script = nullptr;
  scripted->fabric.faults.refused_logins.clear();
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") == 2; }));
}

TEST_F(ZitiNetworkTest, ASilentControllerKeepsNoDialWaiting) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  scripted->controller_script = [](const auto&) { return RestReply{.silent = true}; };
  scripted->fabric.drop_router();
  ASSERT_TRUE(pass_until([&] { return web->status().state != LinkState::up; }));
  // The service's own place needs the controller; the dial only has to reach the router.
  const auto began = loop.now();
  const auto refused = dial_web();
  EXPECT_LE(loop.now() - began, seconds(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().failure.code, Errc::not_hosted);
}

TEST_F(ZitiNetworkTest, ManyDialsWithoutARouterAskTheControllerOnce) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  const std::string ask = "GET /edge/client/v1/sessions/Dial-id-web";
  const int before = scripted->controller.count(ask);
  scripted->stop_router("router-1");
  ASSERT_TRUE(pass_until([&] { return bob->details().routers.at(0).channels == 0; }));
  std::vector<Call> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(NetworkBench::begin(*bob, soon()));
  }
  ASSERT_TRUE(pass_until([&] {
    return std::ranges::all_of(calls, [](const Call& call) { return call->has_value(); });
  }));
  EXPECT_FALSE(calls.back()->value());
  EXPECT_GE(scripted->controller.count(ask), before + 1);
  EXPECT_LE(scripted->controller.count(ask), before + 3);
}

TEST_F(ZitiNetworkTest, WhereOnlyARefusingRouterIsADialSaysSo) {
  begin();
  ASSERT_TRUE(pass_until([&] { return !scripted->controller.logins.empty(); }));
  for (const auto& [token, name] : scripted->controller.logins) {
    scripted->fabric.faults.refused_logins.insert(token);
  }
  const auto refused = dial_web();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().failure.code, Errc::link_lost);
  EXPECT_THAT(refused.error().failure.detail, HasSubstr("does not accept this identity's login"));
  EXPECT_EQ(scripted->controller.count("POST /edge/client/v1/authenticate"), 2);
}

TEST_F(ZitiNetworkTest, ALoginThatEndedIsNotShownToARouterAgain) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  std::vector<std::string> old;
  for (const auto& [token, name] : scripted->controller.logins) {
    old.push_back(token);
  }
  scripted->controller.forget();
  scripted->fabric.drop_router();
  scripted->router_script = [&](ziti::test::ScriptedLink&, const ziti::FrameView& frame) {
    if (frame.content() == ziti::content::kHello) {
      EXPECT_THAT(
          old,
          testing::Not(testing::Contains(std::string(frame.string(ziti::header::kSessionToken)))));
    }
    return false;
  };
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") == 1; }));
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, ARefusedSessionIsMadeAnewOnce) {
  begin();
  const auto web = host_echo();
  ASSERT_TRUE(answers());
  const int before = scripted->controller.count(std::string(kSessions));
  bool refused = false;
  scripted->router_script = [&](ziti::test::ScriptedLink& from, const ziti::FrameView& frame) {
    if (frame.content() != ziti::content::kConnect || std::exchange(refused, true)) {
      return false;
    }
    ScriptedFabric::write(from, [&](std::vector<std::byte>& out) {
      ziti::FrameWriter(out, ziti::content::kStateClosed, 1000)
          .u32(ziti::header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
          .u32(ziti::header::kConnId, frame.number(ziti::header::kConnId).value_or(0))
          .body("Invalid Session");
    });
    return true;
  };
  EXPECT_TRUE(answers());
  EXPECT_EQ(scripted->controller.count(std::string(kSessions)), before + 1);
  // Where it goes on, the dial says so.
  scripted->router_script = nullptr;
  scripted->fabric.faults.refused_dials[ScriptedFabric::dial_token("web")] = "Invalid Session";
  const auto out = dial_web();
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().failure.code, Errc::link_lost);
  EXPECT_THAT(out.error().failure.detail, HasSubstr("not valid any more"));
  EXPECT_EQ(scripted->controller.count(std::string(kSessions)), before + 2);
}

TEST_F(ZitiNetworkTest, APlaceThatTheNetworkEndsIsTakenAgain) {
  begin();
  const auto web = host_echo();
  const int before = scripted->controller.count(std::string(kSessions));
  scripted->fabric.end_bindings("web", "session ended");
  EXPECT_TRUE(pass_until([&] { return web->status().state != LinkState::up; }));
  EXPECT_THAT(web->status().last_error, HasSubstr("the network ended the session"));
  EXPECT_TRUE(pass_until([&] { return web->status().state == LinkState::up; }));
  EXPECT_EQ(scripted->controller.count(std::string(kSessions)), before + 1);
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, AStalledReaderDoesNotStopAnother) {
  begin();
  const Hosted web = host(*alice, "web");
  const Met stalled = connect_both(web, *bob, soon());
  const Met other = connect_both(web, *bob, soon());
  ASSERT_NE(other.inbound, nullptr);
  // Nobody reads this.
  const auto flood = start(loop, send(stalled.inbound->stream(), pattern(6UL * 1024 * 1024), true));
  pass(seconds(1));
  const std::string text = pattern(500'000);
  const auto sent = start(loop, send(other.inbound->stream(), text, true));
  const auto got = start(loop, read_to_end(other.dialed.stream));
  ASSERT_TRUE(pass_until([&] { return got->has_value(); }, seconds(20)));
  EXPECT_TRUE(**got == text);
  EXPECT_TRUE(run(loop, send(other.dialed.stream, "back")));
  EXPECT_EQ(run(loop, read_count(other.inbound->stream(), 4)), "back");
}

TEST_F(ZitiNetworkTest, HundredsOfDialsLeaveNothingBehind) {
  begin();
  const auto web = host_echo();
  for (int round = 0; round < 10; ++round) {
    std::vector<Call> calls;
    for (int i = 0; i < 30; ++i) {
      DialOptions options = soon();
      options.frontend = i % 3 == 0;  // refused: it is not public
      calls.push_back(NetworkBench::begin(*bob, options));
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
      ASSERT_TRUE(run_until(loop, [&] { return calls[i]->has_value(); }));
      ASSERT_EQ((*calls[i])->has_value(), i % 3 != 0);
      if (i % 3 == 1) {
        const net::StreamPtr stream = (**calls[i])->stream;
        EXPECT_TRUE(run(loop, send(stream, "hello", true)));
        EXPECT_EQ(run(loop, read_to_end(stream)), "hello");
        stream->close();
      } else if (i % 3 == 2) {
        (**calls[i])->stream->reset();
      }
    }
  }
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.circuits() == 0; }));
  EXPECT_TRUE(
      pass_until([&] { return bob->details().circuits == 0 && alice->details().circuits == 0; }));
  ASSERT_EQ(bob->details().routers.size(), 1U);
  EXPECT_LE(bob->details().routers[0].channels, ziti::kChannelsPerRouter);
}

TEST_F(ZitiNetworkTest, ManyCircuitsGetASecondChannel) {
  begin();
  const Hosted web = host(*alice, "web");
  std::vector<Met> open;
  for (std::size_t i = 0; i < 2 * ziti::kCrowded + 4; ++i) {
    open.push_back(connect_both(web, *bob, soon()));
    ASSERT_NE(open.back().inbound, nullptr);
  }
  // One of alice's, two of bob's.
  EXPECT_EQ(scripted->fabric.connections(), 3U);
}

TEST_F(ZitiNetworkTest, ARouterOfAnotherAuthorityIsNotTrusted) {
  begin();
  const auto web = host_echo();
  scripted->stop_router("router-1");
  const simplon::test::Authority other("another root");
  scripted->start_router("router-1", other);
  const auto refused = dial_web();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().failure.code, Errc::link_lost);
  EXPECT_THAT(refused.error().failure.detail, HasSubstr("certificate"));
  EXPECT_TRUE(pass_until(
      [&] { return web->status().last_error.find("certificate") != std::string::npos; }));
  EXPECT_NE(web->status().state, LinkState::up);
}

TEST_F(ZitiNetworkTest, AControllerOfAnotherAuthorityIsNotTrusted) {
  begin();
  auto identity = scripted->controller.identity("carol");
  identity.ca = simplon::test::Authority("another root").root();
  const auto carol =
      ziti::make_ziti_network(loop, {.identity = std::move(identity), .loops = {&loop}});
  ASSERT_TRUE(carol.ok()) << carol.status();
  EXPECT_TRUE(pass_until([&] { return (*carol)->status().state == LinkState::down; }));
  EXPECT_THAT((*carol)->status().last_error, HasSubstr("certificate"));
  const Call call = NetworkBench::begin(**carol, soon());
  ASSERT_TRUE(pass_until([&] { return call->has_value(); }));
  ASSERT_FALSE(**call);
  EXPECT_EQ((**call).error().failure.code, Errc::link_lost);
}

TEST_F(ZitiNetworkTest, OfSeveralRoutersOneMayFail) {
  begin({"router-1", "router-2", "router-3", "router-4"});
  const auto web = host_echo();
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") == 3; }));
  EXPECT_EQ(alice->details().terminators, 3U);
  ASSERT_TRUE(answers());
  for (const char* gone : {"router-1", "router-2", "router-3"}) {
    scripted->stop_router(gone);
    EXPECT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") >= 1; })) << gone;
    EXPECT_TRUE(answers()) << gone;
  }
  EXPECT_EQ(web->status().state, LinkState::up);
  std::size_t up = 0;
  for (const auto& router : bob->details().routers) {
    up += router.up ? 1 : 0;
    EXPECT_EQ(router.up, router.name == "router-4") << router.name;
  }
  EXPECT_EQ(up, 1U);
}

TEST_F(ZitiNetworkTest, NewRoutersAreAskedForWhenTheOldOnesAreGone) {
  begin();
  auto web = host_echo();
  ASSERT_TRUE(answers());
  scripted->start_router("router-2");
  scripted->stop_router("router-1", /*known=*/true);
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.terminators("web") == 1; }));
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, CostAndPrecedenceOfAHostGoToEveryRouter) {
  begin({"router-1", "router-2"});
  auto listener =
      run(loop, alice->listen({.service = "web", .rank = {7, Precedence::required}}, echo_all));
  ASSERT_TRUE(listener);
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.bindings().size() == 2; }));
  for (const auto& binding : scripted->fabric.bindings()) {
    EXPECT_EQ(binding.cost, 7);
    EXPECT_EQ(binding.precedence, 1);
  }
}

// A controller only counts health events: what others dial follows from the precedence.
TEST_F(ZitiNetworkTest, AHostWhoseTargetIsDownIsTheLastChoice) {
  begin();
  auto listener =
      run(loop, alice->listen({.service = "web", .rank = {7, Precedence::required}}, echo_all));
  ASSERT_TRUE(listener);
  const auto& web = *listener;
  EXPECT_TRUE(pass_until([&] { return web->status().state == LinkState::up; }));
  const auto is = [&](bool healthy, int precedence) {
    return scripted->fabric.bindings().size() == 1 &&
           scripted->fabric.bindings()[0].healthy == healthy &&
           scripted->fabric.bindings()[0].precedence == precedence &&
           scripted->fabric.bindings()[0].cost == 7;
  };
  web->set_health(false);
  EXPECT_TRUE(pass_until([&] { return is(false, 2); }));
  EXPECT_TRUE(answers());
  // Also after the place was taken anew.
  scripted->fabric.drop_router();
  EXPECT_TRUE(pass_until([&] { return is(false, 2); }));
  web->set_health(true);
  EXPECT_TRUE(pass_until([&] { return is(true, 1); }));
  EXPECT_TRUE(answers());
}

TEST_F(ZitiNetworkTest, AHostThatIsTooSlowSaysSoInTime) {
  begin();
  const Hosted web = host(*alice, "web");
  const Call call = NetworkBench::begin(*bob, soon());
  std::vector<std::unique_ptr<Inbound>> slow;
  ASSERT_TRUE(pass_until([&] {
    std::ranges::move(std::exchange(*web.arrived, {}), std::back_inserter(slow));
    return call->has_value();
  }));
  ASSERT_FALSE(**call);
  EXPECT_EQ((**call).error().failure.code, Errc::timed_out);
  EXPECT_EQ((**call).error().failure.hop, Hop::share);
  ASSERT_FALSE(slow.empty());
  // The target answers only now: there is nobody any more.
  slow[0]->accept();
  EXPECT_FALSE(run(loop, read_to_end(slow[0]->stream())));
}

TEST_F(ZitiNetworkTest, AnotherProgramsStreamIsForWhatTheShareSays) {
  begin();
  for (const StreamKind kind : {StreamKind::http, StreamKind::raw}) {
    std::unique_ptr<Inbound> arrived;
    auto listener =
        run(loop,
            alice->listen({.service = "web", .unsaid = kind},
                          [&](std::unique_ptr<Inbound> inbound) { arrived = std::move(inbound); }));
    ASSERT_TRUE(listener);
    ASSERT_TRUE(pass_until([&] { return (*listener)->status().state == LinkState::up; }));
    auto channel = run(loop, ziti::Channel::start(scripted->fabric.connect(),
                                                  {.router = {.name = "router-1"},
                                                   .api_token = "somebody",
                                                   .deadline = loop.now() + seconds(9)}));
    ASSERT_TRUE(channel) << channel.error().text;
    const auto dialing = start(loop, (*channel)->dial({.session_token = "dial:web",
                                                       .caller = "alice",
                                                       .app_data = "something else",
                                                       .deadline = loop.now() + seconds(9)}));
    ASSERT_TRUE(run_until(loop, [&] { return arrived != nullptr; }));
    EXPECT_EQ(arrived->kind(), kind);
    EXPECT_NE(arrived->connection_id(), "");
    EXPECT_FALSE(arrived->from().may_run_frontends);
    // The name that it claims itself is not looked at; that one the router does not know.
    EXPECT_NE(arrived->from().peer.name, "alice");
    arrived->accept();
    ASSERT_TRUE(run_until(loop, [&] { return dialing->has_value(); }));
    EXPECT_TRUE(**dialing);
    arrived.reset();
  }
}

TEST_F(ZitiNetworkTest, PoliciesDecide) {
  begin();
  scripted->controller.services[0].may_bind = false;
  scripted->controller.services[0].may_dial = true;
  scripted->controller.change();
  EXPECT_TRUE(pass_until([&] { return alice->status().state == LinkState::up; }));
  const auto hosted = run(loop, alice->listen({.service = "web"}, echo_all));
  ASSERT_FALSE(hosted);
  EXPECT_EQ(hosted.error().code, Errc::not_permitted);
  EXPECT_THAT(hosted.error().detail, HasSubstr("may not host it"));
  scripted->controller.services[0].may_bind = true;
  scripted->controller.services[0].may_dial = false;
  scripted->controller.change();
  const auto dialed = dial_web();
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::not_permitted);
  EXPECT_THAT(dialed.error().failure.detail, HasSubstr("may not dial it"));
}

TEST_F(ZitiNetworkTest, AControllerThatCannotBeReachedIsNoErrorOfAListener) {
  begin();
  scripted->controller.stop();
  EXPECT_TRUE(pass_until([&] { return alice->status().state == LinkState::down; }));
  const auto web = run(loop, alice->listen({.service = "web"}, echo_all));
  ASSERT_TRUE(web) << web.error().message();
  EXPECT_TRUE(pass_until([&] { return !(*web)->status().last_error.empty(); }));
  EXPECT_EQ((*web)->status().state, LinkState::connecting);
}

TEST_F(ZitiNetworkTest, DetailsTellOfLoginRoutersAndCircuits) {
  begin();
  const Hosted web = host(*alice, "web");
  const Met met = connect_both(web, *bob, soon());
  ASSERT_NE(met.inbound, nullptr);
  pass(seconds(40));
  const auto details = bob->details();
  EXPECT_EQ(details.controller, scripted->controller.url());
  EXPECT_EQ(details.controller_version, "v2.0.3");
  EXPECT_FALSE(details.oidc);
  EXPECT_GT(details.expires, details.since);
  EXPECT_EQ(details.terminators, 0U);
  EXPECT_EQ(details.circuits, 1U);
  ASSERT_EQ(details.routers.size(), 1U);
  EXPECT_EQ(details.routers[0].name, "router-1");
  EXPECT_THAT(details.routers[0].address, HasSubstr("127.0.0.1:"));
  EXPECT_TRUE(details.routers[0].up);
  EXPECT_TRUE(details.routers[0].latency);
  EXPECT_EQ(details.routers[0].circuits, 1U);
  EXPECT_EQ(alice->details().terminators, 1U);
  EXPECT_EQ(alice->details().circuits, 1U);
}

TEST_F(ZitiNetworkTest, ARenewedLoginIsShownToEveryRouter) {
  begin({"router-1"}, {.version = "v3.0.0", .oidc = true});
  // The scripted controller renews one login at a time.
  alice.reset();
  bob.reset();
  pass(seconds(1));
  scripted->controller.login_seconds = 60;
  alice = scripted->join("alice", {&loop});
  const Hosted web = host(*alice, "web");
  EXPECT_TRUE(alice->details().oidc);
  const Met before = connect_both(web, *alice, soon());
  ASSERT_NE(before.inbound, nullptr);
  const auto first = alice->details();
  EXPECT_TRUE(pass_until([&] { return scripted->fabric.updated_tokens.size() >= 2; }));
  EXPECT_EQ(alice->details().since, first.since);
  EXPECT_EQ(scripted->fabric.connections(), 2U) << "channels stay";
  EXPECT_EQ(web.listener->status().state, LinkState::up);
  EXPECT_TRUE(run(loop, send(before.dialed.stream, "still")));
  EXPECT_EQ(run(loop, read_count(before.inbound->stream(), 5)), "still");
  EXPECT_NE(connect_both(web, *alice, soon()).inbound, nullptr);
}

TEST_F(ZitiNetworkTest, StreamsLiveOnUntilTheirEndAndThenTheNetworkLogsOut) {
  begin();
  const Hosted web = host(*alice, "web");
  Met met = connect_both(web, *bob, soon());
  ASSERT_NE(met.inbound, nullptr);
  const std::size_t logins = scripted->controller.logins.size();
  bob.reset();
  pass(seconds(10));
  EXPECT_EQ(scripted->controller.logins.size(), logins);
  EXPECT_TRUE(run(loop, send(met.dialed.stream, "still")));
  EXPECT_EQ(run(loop, read_count(met.inbound->stream(), 5)), "still");
  met.dialed.stream->close();
  EXPECT_TRUE(pass_until([&] { return scripted->controller.logins.size() == logins - 1; }));
}

}  // namespace
}  // namespace simplon::overlay::test
