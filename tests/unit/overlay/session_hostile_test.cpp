// Whatever a peer sends, the session ends with a typed error at worst, and its memory is bounded.
#include <gtest/gtest.h>

#include "unit/overlay/session_pair.hpp"

namespace simplon::overlay::test {
namespace {

/// A peer that said hello, has stream 1 open with data window `kInitialWindow`.
struct Hostile : RawPeer {
  explicit Hostile(SessionOptions options = {}) : RawPeer(SessionRole::server, std::move(options)) {
    update(0, 0, kInitialWindow);
    update(1, frame_flag::kSyn);
    frames();
  }
  std::error_code ended() {
    settle(loop);
    return end.ended.value_or(std::error_code());
  }
  /// Ended by a protocol error that we told the peer.
  bool convicted() {
    const auto told = frames();
    return ended() == Errc::protocol_error && !told.empty() &&
           told.back() == FrameHeader{.type = FrameType::go_away,
                                      .length = std::to_underlying(GoAway::protocol_error)} &&
           at_end(*wire);
  }
};

TEST(HostilePeer, BytesThatAreNoFramesEndTheSession) {
  Hostile peer;
  peer.send_bytes("GET / HTTP/1.1\r\nHost: demo\r\n\r\n");
  EXPECT_TRUE(peer.convicted());
}

TEST(HostilePeer, ADataFrameBeyondTheWindowEndsTheSession) {
  Hostile peer;
  peer.send({.type = FrameType::data, .stream = 1, .length = kInitialWindow + 1});
  EXPECT_TRUE(peer.convicted());
  EXPECT_EQ(read_error(*peer.end.inbound[0]), Errc::link_lost);
}

TEST(HostilePeer, DataThatAddsUpBeyondTheWindowEndsTheSession) {
  Hostile peer;
  peer.data(1, pattern(kInitialWindow));
  EXPECT_FALSE(peer.end.ended);
  peer.data(1, "x");
  EXPECT_TRUE(peer.convicted());
}

TEST(HostilePeer, AWindowThatOverflowsEndsTheSession) {
  Hostile peer;
  peer.update(1, 0, 0xffff'ffff - kInitialWindow);
  EXPECT_FALSE(peer.end.ended);
  peer.update(1, 0, 1);
  EXPECT_TRUE(peer.convicted());
}

TEST(HostilePeer, ASecondEndOrDataAfterTheEndEndsTheSession) {
  {
    Hostile peer;
    peer.update(1, frame_flag::kFin);
    peer.update(1, frame_flag::kFin);
    EXPECT_TRUE(peer.convicted());
  }
  Hostile peer;
  peer.update(1, frame_flag::kFin);
  peer.data(1, "more");
  EXPECT_TRUE(peer.convicted());
}

TEST(HostilePeer, AStreamNumberOfOursOrInUseEndsTheSession) {
  for (const std::uint32_t number : {1U, 2U}) {
    Hostile peer;
    peer.update(number, frame_flag::kSyn);
    EXPECT_TRUE(peer.convicted());
  }
  Hostile peer;
  peer.update(2, frame_flag::kAck);  // we never opened it
  EXPECT_TRUE(peer.convicted());
}

TEST(HostilePeer, AHelloOutOfBoundsEndsTheSession) {
  for (const std::uint32_t window : {0U, kInitialWindow - 1, kMaxWindow + 1, 0xffff'ffffU}) {
    RawPeer peer(SessionRole::server);
    peer.update(0, 0, window);
    settle(peer.loop);
    EXPECT_EQ(peer.end.ended.value_or(std::error_code()), Errc::protocol_error) << window;
  }
  Hostile later;
  later.update(0, 0, 1);  // credit of stream 0 after the hello means nothing
  EXPECT_FALSE(later.ended());
}

TEST(HostilePeer, FramesOfUnknownStreamsAreIgnored) {
  Hostile peer;
  peer.data(77, "nobody");
  peer.update(77, frame_flag::kRst, 5);
  peer.update(77, frame_flag::kFin);
  peer.update(77, 0, 0xffff'ffff);
  EXPECT_FALSE(peer.ended());
  EXPECT_TRUE(peer.frames().empty());
}

TEST(HostilePeer, AGoAwayWithAReasonEndsTheSession) {
  for (const auto& [code, expected] :
       {std::pair(1U, Errc::protocol_error), std::pair(2U, Errc::link_lost),
        std::pair(99U, Errc::protocol_error)}) {
    Hostile peer;
    peer.send({.type = FrameType::go_away, .length = code});
    EXPECT_EQ(peer.ended(), expected);
  }
}

TEST(HostilePeer, AReasonThatWeDoNotKnowIsAReset) {
  Hostile peer;
  peer.update(1, frame_flag::kRst, 4711);
  EXPECT_EQ(read_error(*peer.end.inbound[0]), Errc::reset);
  EXPECT_FALSE(peer.ended());
}

TEST(HostilePeer, APingFloodWithoutReadingIsCutOff) {
  Hostile peer;
  std::string pings;
  const FrameBytes ping = encode_frame({.type = FrameType::ping, .flags = frame_flag::kSyn});
  for (int i = 0; i < 1000; ++i) {
    pings.append(reinterpret_cast<const char*>(ping.data()), ping.size());
  }
  for (int i = 0; i < 200 && !peer.end.ended; ++i) {
    peer.send_bytes(pings);
  }
  EXPECT_EQ(peer.ended(), Errc::limit_exceeded);
}

TEST(HostilePeer, APingFloodThatIsReadIsAnswered) {
  Hostile peer;
  std::size_t answers = 0;
  for (int i = 0; i < 1000; ++i) {
    peer.send({.type = FrameType::ping, .flags = frame_flag::kSyn, .length = 7});
    answers += peer.frames().size();
  }
  EXPECT_EQ(answers, 1000U);
  EXPECT_FALSE(peer.ended());
}

TEST(HostilePeer, OpensAndResetsInTurnLeaveNothing) {
  Hostile peer;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    peer.update(3 + 2 * i, frame_flag::kSyn);
    peer.update(3 + 2 * i, frame_flag::kRst);
    peer.frames();
    peer.end.inbound.clear();
  }
  EXPECT_FALSE(peer.ended());
  EXPECT_EQ(peer.end.session->stats().streams, 0U);
}

TEST(HostilePeer, OpensWithoutReadingTheirAnswersAreCutOff) {
  Hostile peer({.max_streams = 100});
  std::uint32_t number = 3;
  for (int i = 0; i < 200 && !peer.end.ended; ++i) {
    std::string opens;
    for (int j = 0; j < 1000; ++j, number += 2) {
      const FrameBytes open = encode_frame(
          {.type = FrameType::window_update, .flags = frame_flag::kSyn, .stream = number});
      opens.append(reinterpret_cast<const char*>(open.data()), open.size());
    }
    peer.send_bytes(opens);
    EXPECT_LE(peer.end.session->stats().streams, 100U);
  }
  EXPECT_EQ(peer.ended(), Errc::limit_exceeded);
}

TEST(HostilePeer, OneFrameMayOpenSendAndEnd) {
  Hostile peer;
  peer.data(3, "all at once", frame_flag::kSyn | frame_flag::kFin);
  ASSERT_EQ(peer.end.inbound.size(), 2U);
  EXPECT_EQ(read_now(*peer.end.inbound[1]), "all at once");
  EXPECT_TRUE(at_end(*peer.end.inbound[1]));
  peer.update(5, frame_flag::kSyn | frame_flag::kRst);
  ASSERT_EQ(peer.end.inbound.size(), 3U);
  EXPECT_EQ(read_error(*peer.end.inbound[2]), Errc::reset);
  EXPECT_FALSE(peer.ended());
}

TEST(HostilePeer, BytesBeforeAnEndSurviveAReset) {
  Hostile peer;
  peer.data(1, "whole", frame_flag::kFin);
  peer.update(1, frame_flag::kRst);
  EXPECT_EQ(read_now(*peer.end.inbound[0]), "whole");
  EXPECT_TRUE(at_end(*peer.end.inbound[0]));
  EXPECT_EQ(peer.end.inbound[0]->try_write(net::as_buffer("x")).error(), Errc::reset);
}

TEST(HostilePeer, AResetTakesBytesWithoutAnEndAway) {
  Hostile peer;
  peer.data(1, "half of");
  peer.update(1, frame_flag::kRst, to_wire(Errc::target_timed_out));
  EXPECT_EQ(read_error(*peer.end.inbound[0]), Errc::target_timed_out);
}

TEST(HostilePeer, AStreamThatOutlivesItsSessionStaysUsable) {
  Hostile peer;
  peer.data(1, "kept", frame_flag::kFin);
  const StreamPtr stream = peer.end.inbound[0];
  peer.end.inbound.clear();
  peer.end.session->close();
  peer.end.session.reset();
  settle(peer.loop);
  EXPECT_EQ(read_now(*stream), "kept");
  EXPECT_TRUE(at_end(*stream));
  EXPECT_EQ(stream->try_write(net::as_buffer("x")).error(), Errc::link_lost);
  Probe probe;
  stream->wait(net::Event::writable, probe);
  settle(peer.loop);
  EXPECT_EQ(probe.calls, 1);
  stream->shutdown_send();
  stream->close();
  stream->reset(Errc::internal);
}

TEST(HostilePeer, ALoopMayEndUnderASessionThatStillFlushes) {
  const auto clock = std::make_unique<base::ManualClock>();
  auto loop = std::make_unique<net::Loop>(*clock);
  {
    auto [near, far] = net::make_memory_pair(*loop, 8);
    End client;
    client.start(near, SessionRole::client);
    const auto stream = client.open();
    EXPECT_TRUE(write(*stream, "stuck"));
    settle(*loop);
    client.session->close();
    // The handlers of `client` are posted and never called.
    client.session.reset();
  }
  loop.reset();
}

}  // namespace
}  // namespace simplon::overlay::test
