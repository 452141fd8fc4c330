// What a person is told who asks where the way to an OpenZiti network is broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "base/log.hpp"
#include "overlay/identity_dates.hpp"
#include "overlay/ziti/network_check.hpp"
#include "unit/net/harness.hpp"
#include "unit/overlay/ziti_scripted_network.hpp"

namespace simplon::overlay::ziti {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::HasSubstr;
using State = CheckStep::State;

net::awaitable<void> tell(net::awaitable<void> check, bool* done) {
  co_await std::move(check);
  *done = true;
}

class ZitiCheckTest : public testing::Test {
 protected:
  void begin(const std::vector<std::string>& routers) {
    ASSERT_GE(sodium_init(), 0);
    base::set_log_level("off");
    scripted.emplace(loop, routers);
    scripted->add_service("web");
    alice = scripted->join("alice", {&loop});
  }

  std::vector<CheckStep> check(std::size_t most = 100) {
    std::vector<CheckStep> steps;
    bool done = false;
    net::spawn(loop, "check",
               tell(alice->checks()([&](CheckStep step) {
                 steps.push_back(std::move(step));
                 return steps.size() < most;
               }),
                    &done));
    pass_until([&] { return done; });
    EXPECT_TRUE(done);
    return steps;
  }
  void pass_until(const std::function<bool()>& done) {
    const auto end = loop.now() + seconds(180);
    net::test::settle(loop);
    while (!done() && loop.now() < end) {
      clock.advance(milliseconds(200));
      net::test::settle(loop);
    }
  }
  static std::vector<std::string> hops(const std::vector<CheckStep>& steps) {
    std::vector<std::string> out;
    for (const CheckStep& step : steps) {
      out.push_back(step.hop);
    }
    return out;
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  std::optional<test::ScriptedNetwork> scripted;
  std::unique_ptr<ZitiNetwork> alice;
};

TEST_F(ZitiCheckTest, EveryPartOfAWorkingNetworkPassesInTheOrderOfThePath) {
  begin({"router-1", "router-2"});
  auto web = net::test::run(loop, alice->listen({.service = "web"}, [](const auto&) {}));
  ASSERT_TRUE(web);
  pass_until([&] { return alice->details().terminators == 2; });
  const auto steps = check();
  EXPECT_THAT(hops(steps),
              ElementsAre("identity", "controller", "controller API", "login", "services",
                          "router router-1", "router router-2", "service \"web\""));
  for (const CheckStep& step : steps) {
    EXPECT_NE(step.state, State::failed) << step.hop << ": " << step.message;
    EXPECT_NE(step.message, "") << step.hop;
  }
  EXPECT_THAT(steps[4].message, HasSubstr("1 service: 1 to dial, 1 to host"));
  EXPECT_THAT(steps[5].message, HasSubstr("Hello in "));
  EXPECT_EQ(steps[7].message, "2 terminators");
}

TEST_F(ZitiCheckTest, ARouterThatIsGoneIsAWarningWhileAnotherWorks) {
  begin({"router-1", "router-2"});
  scripted->stop_router("router-1");
  auto steps = check();
  ASSERT_EQ(steps.size(), 7U);
  EXPECT_EQ(steps[5].state, State::warned);
  EXPECT_THAT(steps[5].message, HasSubstr("refused"));
  EXPECT_THAT(steps[5].advice, HasSubstr("reachable"));
  EXPECT_EQ(steps[6].state, State::passed);
  scripted->stop_router("router-2");
  steps = check();
  EXPECT_EQ(steps.back().hop, "router router-1");
  EXPECT_EQ(steps.back().state, State::failed);
}

TEST_F(ZitiCheckTest, AServiceWithoutATerminatorFailsWithTheReason) {
  begin({"router-1"});
  auto web = net::test::run(loop, alice->listen({.service = "web"}, [](const auto&) {}));
  ASSERT_TRUE(web);
  scripted->fabric.faults.refused_binds[test::ScriptedFabric::bind_token("web")] =
      "no access to service web";
  scripted->fabric.drop_router();
  pass_until([&] { return alice->details().terminators == 0; });
  pass_until([&] { return !(*web)->status().last_error.empty(); });
  const auto steps = check();
  EXPECT_EQ(steps.back().hop, "service \"web\"");
  EXPECT_EQ(steps.back().state, State::failed);
  EXPECT_NE(steps.back().advice, "");
}

TEST_F(ZitiCheckTest, ACallerThatIsGoneEndsIt) {
  begin({"router-1"});
  EXPECT_EQ(check(2).size(), 2U);
}

TEST_F(ZitiCheckTest, ANetworkThatIsGivenUpMeanwhileEndsIt) {
  begin({"router-1"});
  const auto checks = alice->checks();
  alice = nullptr;
  std::vector<CheckStep> steps;
  bool done = false;
  net::spawn(loop, "check",
             tell(checks([&](CheckStep step) {
                    steps.push_back(std::move(step));
                    return true;
                  }),
                  &done));
  pass_until([&] { return done; });
  EXPECT_EQ(steps.back().hop, "login");
  EXPECT_EQ(steps.back().state, State::failed);
}

TEST(ZitiClock, IsComparedByTheDateOfAnAnswer) {
  const auto now = system_clock::from_time_t(1'794'000'000);  // Fri, 06 Nov 2026 21:20:00 GMT
  EXPECT_EQ(clock_difference("Fri, 06 Nov 2026 21:21:30 GMT", now), seconds(90));
  EXPECT_EQ(clock_difference("Fri, 06 Nov 2026 21:19:59 GMT", now), seconds(-1));
  EXPECT_EQ(clock_difference("yesterday", now), std::nullopt);
  EXPECT_EQ(clock_difference("", now), std::nullopt);
}

TEST(IdentityDates, ACertificateIsGoodInItsTimeAndThatItEndsIsSaidBefore) {
  const auto now = system_clock::from_time_t(1'794'000'000);
  using std::chrono::days;
  const auto step = [&](auto from, auto until) {
    return check_dates({.subject = "CN=a", .not_before = now + from, .not_after = now + until},
                       now);
  };
  EXPECT_EQ(step(-days(1), days(31)).state, State::passed);
  EXPECT_EQ(step(-days(1), days(29)).state, State::warned);
  EXPECT_EQ(step(-days(9), -days(1)).state, State::failed);
  EXPECT_EQ(step(days(1), days(365)).state, State::failed);
  EXPECT_THAT(step(days(1), days(365)).advice, HasSubstr("2026-11-06 21:20 UTC"));
}

}  // namespace
}  // namespace simplon::overlay::ziti
