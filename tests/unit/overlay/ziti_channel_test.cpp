#include <gtest/gtest.h>

#include "overlay/ziti/channel.hpp"
#include "unit/overlay/ziti_channel_pair.hpp"
#include "unit/overlay/ziti_raw_router.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using Kind = EdgeErrorKind;
using std::chrono::seconds;

struct ZitiChannel : testing::Test {
  void SetUp() override { ASSERT_GE(sodium_init(), 0); }

  /// Loses the channel and tells how.
  static std::optional<EdgeError> loss_of(net::Loop& loop, const ChannelPtr& channel,
                                          const std::function<void()>& happens) {
    std::optional<EdgeError> why;
    channel->on_lost([&why](const EdgeError& error) { why = error; });
    happens();
    settle(loop);
    EXPECT_FALSE(channel->up());
    return why;
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  ScriptedFabric fabric{loop};
};

TEST_F(ZitiChannel, IsUpAfterTheHelloAndKnowsItsLatency) {
  const auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  settle(loop);
  EXPECT_TRUE((*channel)->up());
  EXPECT_EQ((*channel)->circuits(), 0U);
  EXPECT_EQ((*channel)->router().name, "router-1");
  EXPECT_EQ((*channel)->latency(), std::chrono::nanoseconds(0));
  EXPECT_EQ(fabric.times_seen(content::kLatency), 1U);
}

TEST_F(ZitiChannel, TheHelloCarriesLoginAndName) {
  RawRouter router;
  const Seen hello = router.frame();
  EXPECT_EQ(hello.content, content::kHello);
  EXPECT_EQ(hello.body, "me");
}

TEST_F(ZitiChannel, AHelloThatIsRefusedIsARefusedLogin) {
  fabric.faults.hello_refusal = "no";
  const auto channel = try_open(loop, fabric, "alice");
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().kind, Kind::login_refused);
  EXPECT_EQ(channel.error().text, "no");
}

TEST_F(ZitiChannel, AHelloWithoutAnswerTimesOut) {
  fabric.faults.silent_hello = true;
  const auto opening = net::test::start(
      loop, Channel::start(fabric.connect(), {.router = {},
                                              .tls = nullptr,
                                              .api_token = "alice",
                                              .client_name = {},
                                              .deadline = loop.now() + seconds(15)}));
  settle(loop);
  clock.advance(seconds(15));
  settle(loop);
  ASSERT_TRUE(opening->has_value());
  EXPECT_EQ((**opening).error().kind, Kind::timed_out);
  EXPECT_EQ(fabric.connections(), 0U);
}

TEST_F(ZitiChannel, AnEndSoonAfterTheHelloIsARefusedLogin) {
  fabric.faults.refused_logins.insert("stale");
  auto channel = try_open(loop, fabric, "stale");
  ASSERT_TRUE(channel) << "the Hello is answered before the token is looked at";
  const auto why = loss_of(loop, *channel, [] {});
  ASSERT_TRUE(why);
  EXPECT_EQ(why->kind, Kind::login_refused);
  EXPECT_TRUE(why->new_session);
  EXPECT_TRUE(why->retry);
}

TEST_F(ZitiChannel, ADialThatIsUnderWayHearsOfTheRefusedLogin) {
  RawRouter router;
  router.greet();
  const auto outcome = router.dial(false);
  router.clock.advance(seconds(5));
  router.wire->close();
  settle(router.loop);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::login_refused);
}

TEST_F(ZitiChannel, AnEndLaterOrAfterAnEdgeMessageIsALostLink) {
  for (const bool trusted : {false, true}) {
    RawRouter router;
    router.greet();
    if (trusted) {
      router.closed(77);
    } else {
      router.clock.advance(kLoginDoubt + seconds(1));
    }
    const auto why = loss_of(router.loop, router.channel, [&] { router.wire->reset(); });
    ASSERT_TRUE(why);
    EXPECT_EQ(why->kind, Kind::link_lost);
    EXPECT_TRUE(why->retry);
    EXPECT_FALSE(why->new_session);
  }
}

TEST_F(ZitiChannel, LossIsToldToLateAskersToo) {
  const auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  fabric.drop_router();
  settle(loop);
  int calls = 0;
  (*channel)->on_lost([&calls](const EdgeError&) { ++calls; });
  EXPECT_EQ(calls, 0);
  settle(loop);
  EXPECT_EQ(calls, 1);
}

TEST_F(ZitiChannel, CloseIsNotTold) {
  const auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  EXPECT_FALSE(loss_of(loop, *channel, [&] { (*channel)->close(); }));
  (*channel)->close();
  settle(loop);
  EXPECT_EQ(fabric.connections(), 0U);
}

TEST_F(ZitiChannel, AChannelThatNobodyHoldsIsClosed) {
  auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  channel->reset();
  settle(loop);
  EXPECT_EQ(fabric.connections(), 0U);
}

TEST_F(ZitiChannel, ACircuitKeepsItsChannel) {
  Circuits circuits(loop);
  circuits.bind();
  auto [here, there] = circuits.connect();
  circuits.dialer.reset();
  settle(loop);
  EXPECT_TRUE(run(loop, net::test::send(here, "still")));
  EXPECT_EQ(run(loop, net::test::read_count(there, 5)), "still");
  EXPECT_EQ(circuits.fabric.connections(), 2U);
  here->close();
  here.reset();
  settle(loop);
  EXPECT_EQ(circuits.fabric.connections(), 1U);
}

TEST_F(ZitiChannel, ProbesGoOnAndMeasure) {
  RawRouter router;
  router.greet();
  router.clock.advance(kProbeInterval);
  const Seen probe = router.frame();
  EXPECT_EQ(probe.content, content::kLatency);
  EXPECT_EQ(probe.reflected.size(), 8U);
  router.clock.advance(std::chrono::milliseconds(7));
  router.reply(content::kResult, probe);
  EXPECT_EQ(router.channel->latency(), std::chrono::milliseconds(7));
  router.clock.advance(kProbeInterval);
  EXPECT_EQ(router.frame().content, content::kLatency);
}

TEST_F(ZitiChannel, ARouterThatIsSilentIsDead) {
  RawRouter router;
  router.greet();
  router.clock.advance(kProbeInterval);
  EXPECT_EQ(router.frame().content, content::kLatency);
  const auto why =
      loss_of(router.loop, router.channel, [&] { router.clock.advance(kProbeTimeout); });
  ASSERT_TRUE(why);
  EXPECT_EQ(why->kind, Kind::link_lost);
}

TEST_F(ZitiChannel, ALoopThatStoodStillAsksAgainBeforeARouterIsDead) {
  RawRouter router;
  router.greet();
  router.clock.advance(kProbeInterval);
  EXPECT_EQ(router.frame().content, content::kLatency);
  router.clock.advance(kProbeTimeout + seconds(60));
  EXPECT_EQ(router.frame().content, content::kLatency);
  EXPECT_TRUE(router.channel->up());
  EXPECT_TRUE(loss_of(router.loop, router.channel, [&] { router.clock.advance(kProbeTimeout); }));
}

TEST_F(ZitiChannel, ARouterThatSendsOtherThingsLives) {
  RawRouter router;
  router.greet();
  router.clock.advance(kProbeInterval);
  EXPECT_EQ(router.frame().content, content::kLatency);
  router.clock.advance(seconds(1));
  router.send(12345, [](FrameWriter& frame) { frame.end(); });
  router.clock.advance(kProbeTimeout);
  settle(router.loop);
  EXPECT_TRUE(router.channel->up());
  router.clock.advance(kProbeInterval);
  EXPECT_EQ(router.frame().content, content::kLatency);
}

TEST_F(ZitiChannel, ARoutersProbeIsAnswered) {
  RawRouter router;
  router.greet();
  router.send(content::kLatency,
              [](FrameWriter& frame) { frame.text(header::kReflected, "12345678").end(); });
  const Seen answer = router.frame();
  EXPECT_EQ(answer.content, content::kResult);
  EXPECT_EQ(answer.reply_for, static_cast<std::uint32_t>(router.sequence));
  EXPECT_EQ(answer.reflected, "12345678");
}

TEST_F(ZitiChannel, ANewTokenIsHandedOver) {
  auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  EXPECT_TRUE(run(loop, (*channel)->update_token("jwt-2")));
  EXPECT_EQ(fabric.updated_tokens, std::vector<std::string>{"jwt-2"});
  fabric.faults.refused_token_update = "token is expired";
  const auto refused = run(loop, (*channel)->update_token("jwt-3"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::login_refused);
  EXPECT_EQ(refused.error().text, "token is expired");
}

TEST_F(ZitiChannel, NothingBeginsOnALostChannel) {
  auto channel = try_open(loop, fabric, "alice");
  ASSERT_TRUE(channel);
  fabric.drop_router();
  settle(loop);
  EXPECT_FALSE(run(loop, (*channel)->dial({.deadline = loop.now() + seconds(1)})));
  EXPECT_FALSE(run(loop, (*channel)->bind({.deadline = loop.now() + seconds(1)}, nullptr)));
  EXPECT_FALSE(run(loop, (*channel)->update_token("x")));
}

TEST_F(ZitiChannel, ClosingEndsEverythingOnIt) {
  Circuits circuits(loop);
  circuits.bind();
  auto [here, there] = circuits.connect();
  int changes = 0;
  circuits.binding->on_change([&changes] { ++changes; });
  const auto waiting = circuits.start_dial();
  auto offered = circuits.arrival();
  circuits.host->close();
  settle(loop);
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(there))), Errc::link_lost);
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(here))), Errc::reset);
  EXPECT_EQ(changes, 1);
  ASSERT_TRUE(circuits.binding->ended());
  EXPECT_EQ(circuits.fabric.terminators("demo"), 0U);
  EXPECT_EQ(circuits.fabric.circuits(), 0U);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((**waiting).error().kind, Kind::no_terminators) << (**waiting).error().text;
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(offered->accept()))), Errc::link_lost);
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
