#include "overlay/embedded/session.hpp"

#include <gtest/gtest.h>

#include "unit/overlay/session_pair.hpp"

namespace simplon::overlay::test {
namespace {

TEST(Session, DataGoesBothWays) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  EXPECT_TRUE(write(*here, "request"));
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "request");
  EXPECT_TRUE(write(*there, "response"));
  settle(pair.loop);
  EXPECT_EQ(read_now(*here), "response");
  EXPECT_EQ(pair.client.session->stats().opened, 1U);
  EXPECT_EQ(pair.server.session->stats().accepted, 1U);
  EXPECT_TRUE(pair.server.session->stats().simplon_peer);
}

TEST(Session, BothSidesOpenStreams) {
  SessionPair pair;
  const auto ours = pair.client.open();
  const auto theirs = pair.server.open();
  EXPECT_TRUE(write(*ours, "from the client"));
  EXPECT_TRUE(write(*theirs, "from the server"));
  settle(pair.loop);
  ASSERT_EQ(pair.client.inbound.size(), 1U);
  ASSERT_EQ(pair.server.inbound.size(), 1U);
  EXPECT_EQ(read_now(*pair.client.inbound[0]), "from the server");
  EXPECT_EQ(read_now(*pair.server.inbound[0]), "from the client");
}

TEST(Session, BytesMayFollowAnOpenBeforeTheOtherSideIsHeard) {
  base::ManualClock clock;
  net::Loop loop(clock);
  auto [near, far] = net::make_memory_pair(loop);
  End client;
  client.start(near, SessionRole::client);
  const auto stream = client.open();
  EXPECT_TRUE(write(*stream, "early"));
  settle(loop);
  End server;
  server.start(far, SessionRole::server);
  settle(loop);
  ASSERT_EQ(server.inbound.size(), 1U);
  EXPECT_EQ(read_now(*server.inbound[0]), "early");
}

TEST(Session, AnEndOfOneDirectionLeavesTheOtherOpen) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  EXPECT_TRUE(write(*here, "all"));
  here->shutdown_send();
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "all");
  EXPECT_TRUE(at_end(*there));
  EXPECT_EQ(here->try_write(net::as_buffer("x")).error(), Errc::closed);
  EXPECT_TRUE(write(*there, "answer"));
  there->shutdown_send();
  settle(pair.loop);
  EXPECT_EQ(read_now(*here), "answer");
  EXPECT_TRUE(at_end(*here));
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
  EXPECT_EQ(pair.server.session->stats().streams, 0U);
}

TEST(Session, AResetTellsTheOtherEndItsReason) {
  SessionPair pair;
  for (const Errc reason : {Errc::not_permitted, Errc::target_refused, Errc::timed_out}) {
    const auto [here, there] = pair.connect();
    Probe reader;
    there->wait(net::Event::readable, reader);
    here->reset(reason);
    settle(pair.loop);
    EXPECT_EQ(reader.calls, 1);
    EXPECT_EQ(read_error(*there), reason);
    EXPECT_EQ(there->try_write(net::as_buffer("x")).error(), reason);
    EXPECT_EQ(read_error(*here), Errc::closed);
  }
  const auto [here, there] = pair.connect();
  here->reset();
  settle(pair.loop);
  EXPECT_EQ(read_error(*there), Errc::reset);
  EXPECT_TRUE(pair.client.session->alive());
}

TEST(Session, AStreamThatIsDroppedIsReset) {
  SessionPair pair;
  auto [here, there] = pair.connect();
  here.reset();
  settle(pair.loop);
  EXPECT_EQ(read_error(*there), Errc::reset);
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
}

TEST(Session, AClosedStreamDeliversWhatItWrote) {
  SessionPair pair;
  auto [here, there] = pair.connect();
  EXPECT_TRUE(write(*here, "last words"));
  here->close();
  here.reset();
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "last words");
  EXPECT_TRUE(at_end(*there));
  there->close();
  settle(pair.loop);
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
  EXPECT_EQ(pair.server.session->stats().streams, 0U);
}

TEST(Session, DataForAClosedStreamIsAnsweredWithAReset) {
  SessionPair pair;
  auto [here, there] = pair.connect();
  here->close();
  settle(pair.loop);
  EXPECT_TRUE(write(*there, "nobody reads this"));
  settle(pair.loop);
  EXPECT_EQ(there->try_write(net::as_buffer("x")).error(), Errc::reset);
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
}

TEST(Session, AClosedStreamWaitsForThePeersEndOnlyForAWhile) {
  SessionPair pair;
  auto [here, there] = pair.connect();
  here->close();
  settle(pair.loop);
  EXPECT_EQ(pair.client.session->stats().streams, 1U);
  pair.clock.advance(net::kCloseTimeout);
  settle(pair.loop);
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
  EXPECT_TRUE(at_end(*there));
  EXPECT_EQ(there->try_write(net::as_buffer("x")).error(), Errc::reset);
}

TEST(Session, AfterAGoAwayOpenStreamsLiveOnAndNewOnesAreRefused) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  // Crosses the go-away.
  pair.server.session->go_away();
  const auto late = pair.client.open();
  settle(pair.loop);
  EXPECT_FALSE(pair.client.session->usable());
  EXPECT_FALSE(pair.server.session->usable());
  EXPECT_EQ(pair.client.session->open_stream().error(), Errc::draining);
  EXPECT_EQ(pair.server.session->open_stream().error(), Errc::draining);
  EXPECT_EQ(read_error(*late), Errc::draining);
  EXPECT_EQ(pair.server.session->stats().refused, 1U);
  EXPECT_TRUE(write(*here, "still here"));
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "still here");
}

TEST(Session, ACloseFlushesAndEndsBothSides) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  EXPECT_TRUE(write(*here, "flushed"));
  pair.client.session->close();
  settle(pair.loop);
  ASSERT_TRUE(pair.client.ended);
  EXPECT_FALSE(*pair.client.ended);
  ASSERT_TRUE(pair.server.ended);
  EXPECT_EQ(*pair.server.ended, Errc::closed);
  EXPECT_EQ(read_error(*here), Errc::link_lost);
  EXPECT_EQ(there->try_write(net::as_buffer("x")).error(), Errc::link_lost);
  EXPECT_EQ(pair.client.session->open_stream().error(), Errc::link_lost);
  EXPECT_FALSE(pair.server.session->alive());
}

TEST(Session, ACloseThatCannotFlushEndsAfterItsTime) {
  base::ManualClock clock;
  net::Loop loop(clock);
  auto [near, far] = net::make_memory_pair(loop, 16);
  End client;
  client.start(near, SessionRole::client);
  settle(loop);
  client.session->close();
  settle(loop);
  ASSERT_TRUE(client.ended);
  EXPECT_FALSE(near->closed());
  clock.advance(net::kCloseTimeout);
  settle(loop);
  EXPECT_TRUE(near->closed());
}

TEST(Session, AResetOrALostTransportIsALostLink) {
  {
    SessionPair pair;
    const auto [here, there] = pair.connect();
    pair.client.session->reset();
    settle(pair.loop);
    EXPECT_FALSE(pair.client.ended.value());
    EXPECT_EQ(pair.server.ended.value(), Errc::link_lost);
    EXPECT_EQ(read_error(*there), Errc::link_lost);
  }
  RawPeer peer(SessionRole::client);
  const auto stream = peer.end.open();
  peer.wire->close();
  settle(peer.loop);
  EXPECT_EQ(peer.end.ended.value(), Errc::link_lost);
  EXPECT_EQ(read_error(*stream), Errc::link_lost);
}

TEST(Session, ASessionThatNobodyHoldsIsALostLinkForTheOtherSide) {
  SessionPair pair;
  auto [here, there] = pair.connect();
  pair.client.session.reset();
  settle(pair.loop);
  EXPECT_FALSE(pair.server.ended);
  EXPECT_TRUE(write(*here, "a stream keeps its session"));
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "a stream keeps its session");
  here.reset();
  settle(pair.loop);
  EXPECT_EQ(pair.server.ended.value(), Errc::link_lost);
}

TEST(Session, PingsAreAnsweredAndMeasureTheRoundTrip) {
  SessionPair pair;
  ASSERT_TRUE(pair.client.session->stats().rtt);
  for (int i = 0; i < 20; ++i) {
    pair.clock.advance(kPingInterval);
    settle(pair.loop);
  }
  EXPECT_TRUE(pair.client.session->alive());
  EXPECT_TRUE(pair.server.session->alive());
}

TEST(Session, APeerWithoutASignOfLifeIsDead) {
  RawPeer peer(SessionRole::server);
  const auto stream = peer.end.open();
  peer.clock.advance(std::chrono::seconds(1));
  peer.update(0, 0, kInitialWindow);
  settle(peer.loop);
  for (int second = 0; second < 44; ++second) {
    peer.clock.advance(std::chrono::seconds(1));
    settle(peer.loop);
  }
  peer.clock.advance(std::chrono::milliseconds(999));
  settle(peer.loop);
  EXPECT_FALSE(peer.end.ended);
  peer.clock.advance(std::chrono::milliseconds(1));
  settle(peer.loop);
  EXPECT_EQ(peer.end.ended.value(), Errc::timed_out);
  EXPECT_EQ(read_error(*stream), Errc::link_lost);
}

TEST(Session, ALoopThatStoodStillAsksBeforeItCallsAPeerDead) {
  SessionPair pair;
  for (int i = 0; i < 5; ++i) {
    pair.clock.advance(std::chrono::minutes(20));
    settle(pair.loop);
  }
  EXPECT_FALSE(pair.client.ended);
  EXPECT_FALSE(pair.server.ended);
}

TEST(Session, AnIdleSessionTellsSinceWhen) {
  SessionPair pair;
  const auto start = pair.loop.now();
  EXPECT_EQ(pair.client.session->idle_since(), start);
  auto [here, there] = pair.connect();
  EXPECT_FALSE(pair.client.session->idle_since());
  pair.clock.advance(std::chrono::seconds(3));
  settle(pair.loop);
  here->reset();
  EXPECT_EQ(pair.client.session->idle_since(), start + std::chrono::seconds(3));
}

TEST(Session, AHandlerMayEndTheSession) {
  base::ManualClock clock;
  net::Loop loop(clock);
  auto [near, far] = net::make_memory_pair(loop);
  End client;
  client.start(near, SessionRole::client);
  const std::string captured(100, 'c');
  SessionPtr server;
  std::string after;
  server = Session::start(far, SessionRole::server, {},
                          {.inbound =
                               [&, captured](StreamPtr) {
                                 server->reset();
                                 server.reset();
                                 after = captured;
                               },
                           .ended = nullptr});
  const auto stream = client.open();
  settle(loop);
  EXPECT_EQ(after, captured);
  EXPECT_EQ(client.ended.value(), Errc::link_lost);
}

TEST(Session, AReaderMayEndTheSession) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  struct Ender : net::Waiter {
    explicit Ender(SessionPtr which) : session(std::move(which)) {}
    void ready(net::Event, std::error_code) override { session->close(); }
    SessionPtr session;
  } ender(pair.server.session);
  there->wait(net::Event::readable, ender);
  EXPECT_TRUE(write(*here, "x"));
  settle(pair.loop);
  EXPECT_FALSE(pair.server.ended.value());
  EXPECT_EQ(pair.client.ended.value(), Errc::closed);
}

TEST(Session, AFlushIsOverWhenTheTransportHasIt) {
  SessionPair pair({}, 1000);
  const auto [here, there] = pair.connect();
  here->try_write(net::as_buffer(pattern(5000))).value();
  Probe probe;
  here->wait(net::Event::flushed, probe);
  net::test::run_until(pair.loop, [&] {
    const std::string got = read_now(*there);
    return probe.calls == 1;
  });
  EXPECT_FALSE(probe.error);
  // Also once both directions have ended, and not at all when the session does.
  here->shutdown_send();
  there->shutdown_send();
  settle(pair.loop);
  here->wait(net::Event::flushed, probe);
  settle(pair.loop);
  EXPECT_EQ(probe.calls, 2);
  pair.client.session->reset();
  here->wait(net::Event::flushed, probe);
  settle(pair.loop);
  EXPECT_EQ(probe.calls, 3);
  EXPECT_EQ(probe.error, Errc::link_lost);
}

/// The streams whose opens are among the frames.
std::vector<std::uint32_t> opens(const std::vector<FrameHeader>& frames) {
  std::vector<std::uint32_t> streams;
  for (const FrameHeader& frame : frames) {
    if (frame.type == FrameType::window_update && frame.has(frame_flag::kSyn)) {
      streams.push_back(frame.stream);
    }
  }
  return streams;
}
using Numbers = std::vector<std::uint32_t>;

TEST(Session, OpensWaitUntilEarlierOnesAreAcknowledged) {
  RawPeer peer(SessionRole::client, {.max_unacknowledged = 2});
  std::vector<StreamPtr> streams;
  for (int i = 0; i < 7; ++i) {
    streams.push_back(peer.end.open());
    EXPECT_TRUE(write(*streams.back(), std::to_string(i)));
  }
  EXPECT_EQ(opens(peer.frames()), (Numbers{1, 3}));
  EXPECT_EQ(peer.received, "01");
  // More has to wait until the open is sent.
  Probe writer;
  EXPECT_EQ(streams[2]->try_write(net::as_buffer("x")).error(), Errc::would_block);
  streams[2]->wait(net::Event::writable, writer);
  Probe flusher;
  streams[2]->wait(net::Event::flushed, flusher);
  streams[3]->close();  // is delivered nevertheless
  streams[4]->reset();  // is never sent
  streams[5]->shutdown_send();
  settle(peer.loop);
  EXPECT_EQ(writer.calls + flusher.calls, 0);

  peer.update(1, frame_flag::kAck);
  EXPECT_EQ(opens(peer.frames()), Numbers{5});
  EXPECT_EQ(peer.received, "2");
  EXPECT_EQ(writer.calls, 1);
  EXPECT_EQ(flusher.calls, 1);
  peer.update(3, frame_flag::kRst);
  const auto frames = peer.frames();
  EXPECT_EQ(opens(frames), Numbers{7});
  EXPECT_EQ(peer.received, "3");
  EXPECT_TRUE(frames.back().has(frame_flag::kFin));
  peer.update(5, frame_flag::kAck);
  peer.update(7, frame_flag::kAck | frame_flag::kFin);
  EXPECT_EQ(opens(peer.frames()), (Numbers{11, 13}));
  EXPECT_EQ(peer.received, "56");
  peer.update(15, frame_flag::kAck);
  EXPECT_EQ(peer.end.ended.value_or(std::error_code()), Errc::protocol_error);
}

TEST(Session, AnAnswerToAnOpenThatWaitsEndsTheSession) {
  RawPeer peer(SessionRole::client, {.max_unacknowledged = 1});
  const auto first = peer.end.open();
  const auto second = peer.end.open();
  peer.frames();
  peer.update(3, frame_flag::kAck);
  EXPECT_EQ(peer.end.ended.value_or(std::error_code()), Errc::protocol_error);
  EXPECT_EQ(read_error(*second), Errc::link_lost);
}

TEST(Session, ABurstOfOpensIsTakenUpToALimit) {
  RawPeer peer(SessionRole::client);
  std::vector<StreamPtr> streams(256 + kMaxHeldOpens);
  for (auto& stream : streams) {
    stream = peer.end.open();
  }
  EXPECT_EQ(peer.end.session->open_stream().error(), Errc::limit_exceeded);
  EXPECT_EQ(opens(peer.frames()).size(), 256U);
  peer.update(1, frame_flag::kAck);
  settle(peer.loop);
  EXPECT_TRUE(peer.end.session->open_stream());
}

TEST(Session, ABurstOfOpensArrives) {
  SessionPair pair({.max_unacknowledged = 10});
  std::vector<StreamPtr> streams;
  for (int i = 0; i < 1000; ++i) {
    streams.push_back(pair.client.open());
    EXPECT_TRUE(write(*streams.back(), "hello"));
    streams.back()->close();
  }
  settle(pair.loop);
  ASSERT_EQ(pair.server.inbound.size(), 1000U);
  for (const auto& stream : pair.server.inbound) {
    EXPECT_EQ(read_now(*stream), "hello");
    EXPECT_TRUE(at_end(*stream));
    stream->close();
  }
  settle(pair.loop);
  EXPECT_EQ(pair.client.session->stats().streams, 0U);
}

TEST(Session, StreamsOfBothSidesAreLimited) {
  SessionPair pair({.max_streams = 2});
  const auto [here, there] = pair.connect();
  const auto ours = pair.client.open();
  EXPECT_EQ(pair.client.session->open_stream().error(), Errc::limit_exceeded);
  const auto theirs = pair.server.open();
  settle(pair.loop);
  EXPECT_EQ(pair.client.session->stats().refused, 1U);
  EXPECT_EQ(read_error(*theirs), Errc::limit_exceeded);
}

}  // namespace
}  // namespace simplon::overlay::test
