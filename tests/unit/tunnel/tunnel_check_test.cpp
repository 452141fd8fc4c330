// Where a person is told that a tunnel is broken, and that it is not.
#include "tunnel/tunnel_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "tunnel/overlay_link.hpp"

namespace simplon::tunnel::test {
namespace {

using overlay::CheckStep;
using State = CheckStep::State;
using testing::ElementsAre;
using testing::HasSubstr;

class TunnelCheckTest : public TunnelTest {
 protected:
  std::vector<CheckStep> check(Supervisor& at, const std::string& name, CheckOptions options = {},
                               std::size_t most = 100) {
    std::vector<CheckStep> steps;
    bool done = false;
    const auto begun = at.check(
        name, std::move(options),
        [&](CheckStep step) {
          steps.push_back(std::move(step));
          return steps.size() < most;
        },
        [&] { done = true; });
    EXPECT_TRUE(begun.ok()) << begun;
    EXPECT_TRUE(until([&] { return done; }));
    return steps;
  }
  static std::vector<std::string> hops(const std::vector<CheckStep>& steps) {
    std::vector<std::string> out;
    for (const CheckStep& step : steps) {
      out.push_back(step.hop);
    }
    return out;
  }
  // All but the last passed, which failed.
  static void expect_broken(const std::vector<CheckStep>& steps, const std::string& hop) {
    ASSERT_FALSE(steps.empty());
    for (std::size_t at = 0; at + 1 < steps.size(); ++at) {
      EXPECT_EQ(steps[at].state, State::passed) << steps[at].hop << ": " << steps[at].message;
    }
    EXPECT_EQ(steps.back().hop, hop);
    EXPECT_EQ(steps.back().state, State::failed) << steps.back().message;
    EXPECT_NE(steps.back().message, "");
    EXPECT_NE(steps.back().advice, "");
  }
  static void expect_whole(const std::vector<CheckStep>& steps) {
    for (const CheckStep& step : steps) {
      EXPECT_EQ(step.state, State::passed) << step.hop << ": " << step.message;
      EXPECT_EQ(step.advice, "") << step.hop;
    }
  }
};

TEST_F(TunnelCheckTest, AShareIsTriedFromItsTargetToTheWholePath) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const auto steps = check(host_, "demo");
  EXPECT_THAT(hops(steps), ElementsAre("target", "target HTTP", "share's engine", "overlay link",
                                       "registration", "overlay", "whole path"));
  expect_whole(steps);
  EXPECT_THAT(steps.back().message, HasSubstr("HTTP 200"));
  EXPECT_NE(steps.back().connection_id, "");
}

TEST_F(TunnelCheckTest, AShareOfRawBytesIsNotAskedForHttp) {
  Origin origin(loop_, greeter());
  share("smtp", origin.target("tcp"));
  const auto steps = check(host_, "smtp");
  EXPECT_THAT(hops(steps), ElementsAre("target", "share's engine", "overlay link", "registration",
                                       "overlay", "whole path"));
  expect_whole(steps);
}

TEST_F(TunnelCheckTest, AShareOfAnyNameIsTriedWhole) {
  Origin origin(loop_, http_origin());
  host_network_.any_names = true;
  ready(host_, create(host_, {.name = "odd",
                              .spec = Share{.service = "My Service",
                                            .overlay = {},
                                            .target = origin.target("http")}}));
  host_network_.set_link(overlay::LinkState::down, "the hub is gone");
  const auto steps = check(host_, "odd");
  EXPECT_THAT(hops(steps), ElementsAre("target", "target HTTP", "share's engine", "overlay link"));
  expect_broken(steps, "overlay link");
}

TEST_F(TunnelCheckTest, ANetworkThatWasTakenAwayIsNotDialedByWhatRunsNext) {
  const auto link = std::make_shared<OverlayLink>("default", loop_, std::vector{&loop_});
  link->attach(host_network_);
  while (loop_.poll() > 0) {
  }
  link->detach([] {});
  const auto dialed = net::test::start(
      loop_, link->dial(loop_, {.service = "demo",
                                .connection_id = "c",
                                .deadline = loop_.now() + std::chrono::seconds(9)}));
  ASSERT_TRUE(until([&] { return dialed->has_value(); }));
  ASSERT_FALSE(**dialed);
  EXPECT_EQ((**dialed).error().code, base::Errc::link_lost);
}

TEST_F(TunnelCheckTest, ATargetThatDoesNotAnswerIsTheOnlyStep) {
  share("demo", "http://127.0.0.1:" + dead_port());
  const auto steps = check(host_, "demo");
  EXPECT_EQ(steps.size(), 1U);
  expect_broken(steps, "target");
  EXPECT_THAT(steps[0].message, HasSubstr("refused"));
}

TEST_F(TunnelCheckTest, ATargetThatSpeaksNoHttpIsSaidToDoSo) {
  Origin origin(loop_, greeter());
  share("demo", origin.target("http"));
  const auto steps = check(host_, "demo");
  expect_broken(steps, "target HTTP");
  EXPECT_THAT(steps.back().advice, HasSubstr("tcp://"));
}

TEST_F(TunnelCheckTest, ALinkThatIsDownIsWhereAShareIsBroken) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  host_network_.set_link(overlay::LinkState::down, "the hub is gone");
  const auto steps = check(host_, "demo");
  expect_broken(steps, "overlay link");
  EXPECT_THAT(steps.back().message, HasSubstr("the hub is gone"));
  EXPECT_THAT(steps.back().advice, HasSubstr("simplonctl doctor default"));
}

TEST_F(TunnelCheckTest, ARegistrationThatWasRefusedIsWhereAShareIsBroken) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  host_network_.set_registration(overlay::LinkState::down, "the name belongs to another agent");
  expect_broken(check(host_, "demo"), "registration");
}

TEST_F(TunnelCheckTest, AnAccessIsTriedFromItsListenerToTheTarget) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  access("demo");
  const auto steps = check(guest_, "demo-access");
  EXPECT_THAT(hops(steps), ElementsAre("listener", "overlay link", "far end", "whole path"));
  expect_whole(steps);
}

TEST_F(TunnelCheckTest, AWebsocketIsTriedWhereThatIsAskedFor) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  access("demo");
  // Its echo sends frames back as they came, masked: no server of websockets does that.
  auto steps = check(guest_, "demo-access", {.path = "/ws", .websocket = true});
  EXPECT_EQ(steps.back().hop, "websocket");
  EXPECT_EQ(steps.back().state, State::warned) << steps.back().message;
  steps = check(guest_, "demo-access", {.path = "/", .websocket = true});
  expect_broken(steps, "websocket");
  EXPECT_THAT(steps.back().advice, HasSubstr("--path"));
}

TEST_F(TunnelCheckTest, AServiceThatNobodyHostsIsTheFarEnd) {
  access("demo");
  expect_broken(check(guest_, "demo-access"), "far end");
}

TEST_F(TunnelCheckTest, ADeadTargetIsSeenFromTheOtherEndOfTheWholePath) {
  share("demo", "http://127.0.0.1:" + dead_port());
  access("demo");
  auto steps = check(guest_, "demo-access");
  expect_broken(steps, "whole path");
  EXPECT_THAT(steps.back().message, HasSubstr("hop=target"));
  EXPECT_THAT(steps.back().advice, HasSubstr("doctor SHARE"));
  share("db", "tcp://127.0.0.1:" + dead_port());
  access("db", Protocol::tcp);
  steps = check(guest_, "db-access");
  expect_broken(steps, "whole path");
}

TEST_F(TunnelCheckTest, AFrontendIsTriedThroughAShareThatOneNames) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"), /*open=*/true);
  share("closed", origin.target("http"), /*open=*/false);
  frontend("localhost");
  EXPECT_THAT(hops(check(guest_, "front")), ElementsAre("listener", "overlay link"));
  const auto steps = check(guest_, "front", {.service = "demo"});
  EXPECT_THAT(hops(steps), ElementsAre("listener", "overlay link", "far end", "whole path"));
  expect_whole(steps);
  expect_broken(check(guest_, "front", {.service = "closed"}), "far end");
}

TEST_F(TunnelCheckTest, ACallerThatIsGoneEndsIt) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  EXPECT_EQ(check(host_, "demo", {}, 3).size(), 3U);
  const auto unknown = host_.check("nothing", {}, [](const CheckStep&) { return true; }, [] {});
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace simplon::tunnel::test
