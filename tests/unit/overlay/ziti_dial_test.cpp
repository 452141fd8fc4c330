// Dials over a channel, from both sides.
#include <gtest/gtest.h>

#include "unit/overlay/ziti_channel_pair.hpp"
#include "unit/overlay/ziti_raw_router.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using Kind = EdgeErrorKind;
using std::chrono::seconds;

struct ZitiDial : testing::Test {
  base::ManualClock clock;
  net::Loop loop{clock};
};

TEST_F(ZitiDial, ReachesAHostThatKnowsWhoDials) {
  Circuits circuits(loop);
  circuits.bind();
  const auto outcome = circuits.start_dial();
  const auto dial = circuits.arrival();
  ASSERT_NE(dial, nullptr);
  EXPECT_EQ(dial->dialer_name(), "alice");
  EXPECT_EQ(dial->dialer_id(), "id-alice");
  EXPECT_EQ(dial->caller(), "alice's claim");
  EXPECT_EQ(dial->app_data(), "{}");
  EXPECT_EQ(dial->circuit(), "circuit-1");
  EXPECT_FALSE(outcome->has_value());
  EXPECT_EQ(circuits.dialer->circuits(), 1U);
  const auto there = dial->accept();
  settle(loop);
  ASSERT_TRUE(outcome->has_value() && **outcome);
  EXPECT_EQ(circuits.fabric.circuits(), 1U);
  EXPECT_EQ(circuits.host->circuits(), 1U);
  (***outcome)->close();
  settle(loop);
  EXPECT_EQ(circuits.dialer->circuits(), 0U);
  EXPECT_EQ(circuits.host->circuits(), 0U);
  EXPECT_EQ(circuits.fabric.circuits(), 0U);
}

TEST_F(ZitiDial, ARouterThatDoesNotSayWhoDialsIsNotHelpedByTheDialer) {
  Circuits circuits(loop);
  circuits.fabric.identities["alice"] = "";
  circuits.bind();
  const auto outcome = circuits.start_dial();
  const auto dial = circuits.arrival();
  EXPECT_EQ(dial->dialer_name(), "");
  EXPECT_EQ(dial->caller(), "alice's claim");
}

TEST_F(ZitiDial, WithoutAHostFails) {
  Circuits circuits(loop);
  const auto outcome = circuits.start_dial();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::no_terminators);
  EXPECT_EQ(circuits.dialer->circuits(), 0U);
}

TEST_F(ZitiDial, ARejectionsWordsArrive) {
  Circuits circuits(loop);
  circuits.bind();
  const auto outcome = circuits.start_dial();
  for (int tries = 0; tries < 2; ++tries) {  // of the network
    const auto dial = circuits.arrival();
    ASSERT_NE(dial, nullptr);
    dial->reject("simplon: target refused: nobody listens\n");
    dial->reject("again");
    settle(loop);
  }
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::host_refused);
  EXPECT_TRUE((**outcome).error().text.contains("(simplon: target refused: nobody listens?)"))
      << (**outcome).error().text;
}

TEST_F(ZitiDial, AnIncomingDialThatIsDroppedIsRejected) {
  Circuits circuits(loop);
  circuits.bind();
  const auto outcome = circuits.start_dial();
  circuits.arrival().reset();
  settle(loop);
  circuits.arrival().reset();
  settle(loop);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::host_refused);
  EXPECT_EQ(circuits.host->circuits(), 0U);
}

TEST_F(ZitiDial, AnIncomingDialThatIsNotAnsweredRejectsItself) {
  Circuits circuits(loop);
  circuits.bind();
  const auto outcome = circuits.start_dial();
  const auto first = circuits.arrival();
  clock.advance(kAnswerTimeout);
  settle(loop);
  const auto second = circuits.arrival();
  ASSERT_NE(second, nullptr) << "before the network gave up";
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(first->accept()))), Errc::reset);
  const auto there = second->accept();
  settle(loop);
  EXPECT_TRUE(outcome->has_value() && **outcome);
}

TEST_F(ZitiDial, RefusedSessionsAreTold) {
  Circuits circuits(loop);
  circuits.bind();
  circuits.fabric.faults.refused_dials[ScriptedFabric::dial_token("demo")] = "Invalid Session";
  const auto outcome = circuits.start_dial();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::invalid_session);
  EXPECT_TRUE((**outcome).error().new_session);
}

TEST_F(ZitiDial, AMissingHostKeyIsNoReasonToGoUnencrypted) {
  Circuits circuits(loop);
  circuits.bind();
  circuits.fabric.faults.no_host_key = true;
  const auto outcome = circuits.start_dial();
  const auto there = circuits.arrival()->accept();
  settle(loop);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::encryption_missing);
  EXPECT_EQ(circuits.fabric.circuits(), 0U);
}

TEST_F(ZitiDial, AMissingDialersKeyIsRefusedByTheHost) {
  RawRouter router;
  router.greet();
  int dials = 0;
  const auto binding = net::test::start(
      router.loop,
      router.channel->bind({.session_token = "s", .deadline = router.loop.now() + seconds(5)},
                           [&dials](std::unique_ptr<IncomingDial>) { ++dials; }));
  settle(router.loop);
  const Seen bind = router.frame();
  router.reply(content::kStateConnected, bind);
  router.send(content::kDial, [&](FrameWriter& frame) {
    frame.u32(header::kConnId, *bind.conn)
        .u32(header::kRouterProvidedConnId, kFirstRouterConnId)
        .body("s");
  });
  EXPECT_EQ(router.frame().content, content::kDialFailed);
  EXPECT_EQ(dials, 0);
}

TEST_F(ZitiDial, ADialThatTimesOutIsWithdrawn) {
  RawRouter router;
  router.greet();
  const auto outcome = router.dial(false);
  const Seen connect = router.frame();
  EXPECT_EQ(connect.content, content::kConnect);
  EXPECT_EQ(connect.body, "session");
  router.clock.advance(seconds(15));
  const Seen closed = router.frame();
  EXPECT_EQ(closed.content, content::kStateClosed);
  EXPECT_EQ(closed.conn, connect.conn);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::timed_out);
  EXPECT_EQ(router.channel->circuits(), 0U);
  // It came to be after all.
  router.reply(content::kStateConnected, connect);
  const Seen again = router.frame();
  EXPECT_EQ(again.content, content::kStateClosed);
  EXPECT_EQ(again.conn, connect.conn);
}

TEST_F(ZitiDial, ARefusalThatDoesNotSayOfWhatIsOneToo) {
  RawRouter router;
  router.greet();
  const auto outcome = router.dial(false);
  router.closed(*router.frame().conn, "no access to service x");
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::not_permitted);
  EXPECT_TRUE(router.frames().empty());
}

TEST_F(ZitiDial, ConnectionIdsAreNotUsedAgain) {
  RawRouter router;
  router.greet();
  std::uint32_t last = 0;
  for (int i = 0; i < 5; ++i) {
    auto stream = router.plain_circuit();
    EXPECT_GT(router.conn, last);
    last = router.conn;
    stream->close();
    router.frames();
  }
}

TEST_F(ZitiDial, TheHostsFirstBytesMayComeWithTheAnswer) {
  RawRouter router;
  router.greet();
  const auto outcome = router.dial(true);
  const Seen connect = router.frame();
  ASSERT_EQ(connect.key.size(), kPublicKeySize);
  const KeyPair host = KeyPair::make();
  const auto keys = host_keys(host, std::as_bytes(std::span(connect.key)));
  ASSERT_TRUE(keys);
  Sealer sealer(*keys);
  std::vector<std::byte> out;
  FrameWriter(out, content::kStateConnected, 1)
      .u32(header::kReplyFor, static_cast<std::uint32_t>(connect.sequence))
      .u32(header::kConnId, *connect.conn)
      .header(header::kPublicKey, host.public_bytes())
      .end();
  FrameWriter(out, content::kData, 2).u32(header::kConnId, *connect.conn).body(sealer.header());
  const std::string_view text = "first";
  FrameWriter data(out, content::kData, 3);
  data.u32(header::kConnId, *connect.conn);
  sealer.seal(net::as_buffer(text), data.body(text.size() + kSealOverhead));
  router.send_bytes({reinterpret_cast<const char*>(out.data()), out.size()});
  ASSERT_TRUE(outcome->has_value() && **outcome);
  EXPECT_EQ(run(router.loop, net::test::read_count(***outcome, 5)), "first");
}

TEST_F(ZitiDial, OneOfSeveralHostsIsReachedByItsName) {
  Circuits circuits(loop);
  circuits.bind();
  auto named = circuits.to_bind();
  named.terminator_identity = "second";
  named.listener_id = "listener-2";
  std::vector<std::unique_ptr<IncomingDial>> at_second;
  const auto second = run(loop, circuits.host->bind(named, [&](std::unique_ptr<IncomingDial> dial) {
    at_second.push_back(std::move(dial));
  }));
  ASSERT_TRUE(second);
  auto request = circuits.to_dial();
  request.terminator_identity = "second";
  const auto outcome = net::test::start(loop, circuits.dialer->dial(request));
  settle(loop);
  EXPECT_TRUE(circuits.arrived.empty());
  ASSERT_EQ(at_second.size(), 1U);
}

TEST_F(ZitiDial, TooManyAtOnceAreRefused) {
  RawRouter router(8UL * 1024 * 1024);
  router.greet();
  std::vector<std::shared_ptr<std::optional<RawRouter::DialOutcome>>> outcomes;
  while (outcomes.size() < 2000) {
    outcomes.push_back(router.dial(false));
    if (outcomes.back()->has_value()) {
      break;
    }
  }
  EXPECT_LT(outcomes.size(), 2000U);
  EXPECT_TRUE((**outcomes.back()).error().retry);
}

TEST_F(ZitiDial, ALostRouterEndsDialsAndCircuits) {
  Circuits circuits(loop);
  circuits.bind();
  auto [here, there] = circuits.connect();
  const auto outcome = circuits.start_dial();
  net::test::EndProbe watcher;
  here->watch_end(&watcher);
  circuits.fabric.drop_router();
  settle(loop);
  EXPECT_EQ(watcher.calls, 1);
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(here))), Errc::link_lost);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::link_lost);
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
