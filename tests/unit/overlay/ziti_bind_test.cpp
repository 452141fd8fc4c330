// Bindings of a channel.
#include <set>

#include <gtest/gtest.h>

#include "unit/overlay/ziti_channel_pair.hpp"
#include "unit/overlay/ziti_raw_router.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using Kind = EdgeErrorKind;
using std::chrono::seconds;

struct ZitiBind : testing::Test {
  base::ManualClock clock;
  net::Loop loop{clock};
  Circuits circuits{loop};
};

TEST_F(ZitiBind, IsEstablishedOnceTheControllerKnows) {
  circuits.bind();
  EXPECT_TRUE(circuits.binding->established());
  EXPECT_FALSE(circuits.binding->ended());
  ASSERT_EQ(circuits.fabric.terminators("demo"), 1U);
  EXPECT_TRUE(circuits.fabric.bindings()[0].inspected);
  EXPECT_EQ(circuits.fabric.bindings()[0].listener_id, "listener-1");
  EXPECT_EQ(circuits.host->circuits(), 0U) << "a binding is no circuit";
}

TEST_F(ZitiBind, IsNotEstablishedByItsReply) {
  circuits.fabric.faults.no_bind_success = true;
  circuits.bind();
  EXPECT_FALSE(circuits.binding->established());
}

TEST_F(ZitiBind, TellsWhenItIsEstablished) {
  RawRouter router;
  router.greet();
  const auto outcome = net::test::start(
      router.loop,
      router.channel->bind({.session_token = "s", .deadline = router.loop.now() + seconds(5)},
                           nullptr));
  const Seen bind = router.frame();
  router.reply(content::kStateConnected, bind);
  ASSERT_TRUE(outcome->has_value() && **outcome);
  const auto binding = ***outcome;
  int changes = 0;
  binding->on_change([&changes] { ++changes; });
  EXPECT_FALSE(binding->established());
  router.send(content::kBindSuccess,
              [&](FrameWriter& frame) { frame.u32(header::kConnId, *bind.conn).end(); });
  EXPECT_TRUE(binding->established());
  EXPECT_EQ(changes, 1);
  router.closed(*bind.conn, "session ended");
  EXPECT_EQ(changes, 2);
  ASSERT_TRUE(binding->ended());
  EXPECT_EQ(binding->ended()->kind, Kind::revoked);
  EXPECT_TRUE(binding->ended()->new_session);
  EXPECT_FALSE(binding->established());
}

TEST_F(ZitiBind, CostPrecedenceAndHealthArrive) {
  auto request = circuits.to_bind();
  request.rank.cost = 300;
  request.rank.precedence = Precedence::required;
  const auto binding = circuits.try_bind(request);
  ASSERT_TRUE(binding);
  EXPECT_EQ(circuits.fabric.bindings()[0].cost, 300);
  EXPECT_EQ(circuits.fabric.bindings()[0].precedence, 1);
  (*binding)->update({.cost = 7, .precedence = Precedence::failed});
  (*binding)->set_health(false);
  settle(loop);
  EXPECT_EQ(circuits.fabric.bindings()[0].cost, 7);
  EXPECT_EQ(circuits.fabric.bindings()[0].precedence, 2);
  EXPECT_FALSE(circuits.fabric.bindings()[0].healthy);
}

TEST_F(ZitiBind, RefusalsAreTold) {
  circuits.fabric.faults.refused_binds[ScriptedFabric::bind_token("demo")] =
      "no access to service demo";
  const auto binding = circuits.try_bind(circuits.to_bind());
  ASSERT_FALSE(binding);
  EXPECT_EQ(binding.error().kind, Kind::not_permitted);
}

TEST_F(ZitiBind, WithoutAnAnswerTimesOutAndIsWithdrawn) {
  RawRouter router;
  router.greet();
  const auto outcome = net::test::start(
      router.loop,
      router.channel->bind({.session_token = "s", .deadline = router.loop.now() + seconds(5)},
                           nullptr));
  const Seen bind = router.frame();
  router.clock.advance(seconds(5));
  EXPECT_EQ(router.contents(), std::vector{content::kStateClosed});
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((**outcome).error().kind, Kind::timed_out);
  router.reply(content::kStateConnected, bind);
  EXPECT_EQ(router.contents(), std::vector{content::kStateClosed});
}

TEST_F(ZitiBind, DroppingItWithdrawsIt) {
  circuits.bind();
  auto [here, there] = circuits.connect();
  circuits.binding.reset();
  settle(loop);
  EXPECT_EQ(circuits.fabric.terminators("demo"), 0U);
  EXPECT_EQ(circuits.fabric.times_seen(content::kUnbind), 1U);
  EXPECT_TRUE(run(loop, net::test::send(here, "lives on")));
  EXPECT_EQ(run(loop, net::test::read_count(there, 8)), "lives on");
}

TEST_F(ZitiBind, ClosingItRejectsDialsThatWait) {
  circuits.bind();
  const auto outcome = circuits.start_dial();
  const auto dial = circuits.arrival();
  circuits.binding->close();
  circuits.binding->close();
  settle(loop);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_FALSE(**outcome);
  EXPECT_EQ(error_of(run(loop, net::test::read_to_end(dial->accept()))), Errc::reset);
}

TEST_F(ZitiBind, MayBeClosedByItsOwnHandler) {
  std::shared_ptr<Binding> binding;
  std::unique_ptr<IncomingDial> kept;
  auto bound =
      run(loop, circuits.host->bind(circuits.to_bind(), [&](std::unique_ptr<IncomingDial> dial) {
        binding.reset();
        kept = std::move(dial);
      }));
  ASSERT_TRUE(bound);
  binding = std::move(*bound);
  const auto outcome = circuits.start_dial();
  settle(loop);
  EXPECT_EQ(binding, nullptr);
  ASSERT_TRUE(outcome->has_value());
  EXPECT_FALSE(**outcome);
}

TEST_F(ZitiBind, TheSameListenerAgainReplacesTheOlderOne) {
  circuits.bind();
  const auto older = circuits.binding;
  circuits.bind();
  ASSERT_TRUE(older->ended());
  EXPECT_EQ(circuits.fabric.terminators("demo"), 1U);
  EXPECT_TRUE(circuits.binding->established());
}

TEST_F(ZitiBind, EndsWithItsChannel) {
  circuits.bind();
  int changes = 0;
  circuits.binding->on_change([&changes] { ++changes; });
  circuits.fabric.drop_router();
  settle(loop);
  EXPECT_EQ(changes, 1);
  ASSERT_TRUE(circuits.binding->ended());
  EXPECT_EQ(circuits.binding->ended()->kind, Kind::link_lost);
}

struct RawBinding : testing::Test {
  void SetUp() override {
    router.greet();
    const auto outcome = net::test::start(
        router.loop,
        router.channel->bind(
            {.session_token = "s", .encrypted = false, .deadline = router.loop.now() + seconds(5)},
            [this](std::unique_ptr<IncomingDial> dial) { arrived.push_back(std::move(dial)); }));
    const Seen frame = router.frame();
    bind = *frame.conn;
    router.reply(content::kStateConnected, frame);
    ASSERT_TRUE(outcome->has_value() && **outcome);
    binding = ***outcome;
  }

  void dial(std::uint32_t to, std::optional<std::uint32_t> conn, std::string_view token = "s",
            std::string_view method = {}) {
    router.send(content::kDial, [&](FrameWriter& frame) {
      frame.u32(header::kConnId, to);
      if (conn) {
        frame.u32(header::kRouterProvidedConnId, *conn);
      }
      if (!method.empty()) {
        frame.text(header::kCryptoMethod, method);
      }
      frame.body(token);
    });
  }

  RawRouter router;
  std::uint32_t bind = 0;
  std::shared_ptr<Binding> binding;
  Arrived arrived;
};

using ZitiIncomingDial = RawBinding;

TEST_F(ZitiIncomingDial, TheAnswerNamesListenerAndCircuit) {
  dial(bind, kFirstRouterConnId + 5);
  ASSERT_EQ(arrived.size(), 1U);
  const auto stream = arrived[0]->accept();
  const Seen answer = router.frame();
  EXPECT_EQ(answer.content, content::kDialSuccess);
  EXPECT_EQ(answer.reply_for, static_cast<std::uint32_t>(router.sequence));
  EXPECT_EQ(answer.conn, bind);
  EXPECT_EQ(answer.body, std::string("\x05\0\0\x80", 4));
  router.data(kFirstRouterConnId + 5, "hello");
  EXPECT_EQ(read_now(*stream), "hello");
}

TEST_F(ZitiIncomingDial, WhatCannotBeIsRefusedAtOnce) {
  dial(bind + 1, kFirstRouterConnId);
  EXPECT_EQ(router.frame().content, content::kDialFailed);
  dial(bind, kFirstRouterConnId, "another session");
  EXPECT_EQ(router.frame().body, "invalid token");
  dial(bind, std::nullopt);
  EXPECT_EQ(router.frame().content, content::kDialFailed);
  dial(bind, bind);
  EXPECT_EQ(router.frame().content, content::kDialFailed);
  dial(bind, kFirstRouterConnId, "s", "aes-gcm");
  EXPECT_EQ(router.frame().content, content::kDialFailed);
  EXPECT_TRUE(arrived.empty());
  dial(bind, kFirstRouterConnId, "s", "libsodium");
  dial(bind, kFirstRouterConnId);
  EXPECT_EQ(router.frame().content, content::kDialFailed) << "the id is taken";
  EXPECT_EQ(arrived.size(), 1U);
}

// A thousand dials may wait for their answers.
TEST_F(ZitiIncomingDial, KeepsNoLongTextOfADial) {
  const auto dial_saying = [&](std::uint32_t conn, const std::string& text) {
    router.send(content::kDial, [&](FrameWriter& frame) {
      frame.u32(header::kConnId, bind).u32(header::kRouterProvidedConnId, conn);
      for (const auto id : {header::kDialerIdentityId, header::kDialerIdentityName,
                            header::kCallerId, header::kAppData, header::kCircuitId}) {
        frame.text(id, text);
      }
      frame.body("s");
    });
  };
  const auto texts = [&](std::size_t of) {
    const IncomingDial& dial = *arrived.at(of);
    return std::set<std::string>{dial.dialer_id(), dial.dialer_name(), dial.caller(),
                                 dial.app_data(), dial.circuit()};
  };
  const std::string longest(kMaxDialText, 'x');
  dial_saying(kFirstRouterConnId, longest);
  EXPECT_EQ(texts(0), std::set<std::string>{longest});
  dial_saying(kFirstRouterConnId + 1, longest + "x");
  EXPECT_EQ(texts(1), std::set<std::string>{""});
}

TEST_F(ZitiIncomingDial, WhoseDialerGoesAwayIsAStreamThatIsReset) {
  dial(bind, kFirstRouterConnId);
  router.closed(kFirstRouterConnId);
  const auto stream = arrived.at(0)->accept();
  EXPECT_EQ(error_of(run(router.loop, net::test::read_to_end(stream))), Errc::reset);
  EXPECT_TRUE(router.frames().empty());
}

TEST_F(ZitiIncomingDial, UnansweredOnesAreBounded) {
  for (std::uint32_t i = 0; i < 1100; ++i) {
    dial(bind, kFirstRouterConnId + i);
  }
  EXPECT_EQ(arrived.size(), 1024U);
  EXPECT_EQ(router.frames().size(), 76U);
}

// Nobody else waits for the channel then, but who might dial.
TEST_F(ZitiIncomingDial, AloneOnItsChannelMayBeReadSlowly) {
  const std::uint32_t conn = kFirstRouterConnId + 5;
  dial(bind, conn);
  const auto stream = arrived.at(0)->accept();
  router.frames();
  const std::string piece = net::test::pattern(32UL * 1024);
  std::size_t unread = 0;
  const auto fill = [&] {
    for (; unread <= kReceiveLimit; unread += piece.size()) {
      router.data(conn, piece);
    }
  };
  for (int i = 0; i < 10; ++i) {
    fill();
    router.clock.advance(kStalledHost - seconds(1));
    const std::size_t count = kReceiveResume + piece.size();
    ASSERT_FALSE(error_of(run(router.loop, net::test::read_count(stream, count)))) << i;
    unread -= count;
  }
  fill();
  router.clock.advance(kStalledHost);
  EXPECT_EQ(error_of(run(router.loop, net::test::read_to_end(stream))), Errc::limit_exceeded);
  // The next dial arrives.
  dial(bind, conn + 1);
  EXPECT_EQ(arrived.size(), 2U);
}

TEST_F(ZitiIncomingDial, QuestionsWhetherAConnectionLivesAreAnswered) {
  const auto ask = [this](std::uint32_t id) {
    router.send(content::kConnInspectRequest,
                [id](FrameWriter& frame) { frame.u32(header::kConnId, id).end(); });
    const Seen answer = router.frame();
    EXPECT_EQ(answer.content, content::kConnInspectResponse);
    EXPECT_EQ(answer.conn, id);
    return answer.body;
  };
  EXPECT_EQ(ask(bind), "a listener");
  EXPECT_EQ(ask(99), "no such connection");
  dial(bind, kFirstRouterConnId);
  EXPECT_EQ(ask(kFirstRouterConnId), "a circuit");
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
