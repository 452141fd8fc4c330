// How circuits begin, end and hold back: what the stream suite does not see, towards Simplon agents
// and others.
#include <gtest/gtest.h>

#include "unit/overlay/ziti_channel_pair.hpp"
#include "unit/overlay/ziti_raw_router.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using net::test::pattern;
using net::test::read_to_end;

struct ZitiCircuit : testing::Test {
  void SetUp() override { router.greet(); }

  /// The same from an agent that always sends FIN.
  void announce() {
    router.send(content::kData, [this](FrameWriter& frame) {
      frame.u32(header::kConnId, router.conn)
          .u32(header::kFlags, data_flag::kStream)
          .text(header::kReflected, kFinMarker)
          .body("hi");
    });
  }

  void marked_fin() {
    router.send(content::kData, [this](FrameWriter& frame) {
      frame.u32(header::kConnId, router.conn)
          .u32(header::kFlags, data_flag::kFin)
          .text(header::kReflected, kFinMarker)
          .end();
    });
  }

  RawRouter router;
};

TEST_F(ZitiCircuit, TheFirstMessageSaysThatFinIsAlwaysSent) {
  const auto stream = router.plain_circuit();
  EXPECT_TRUE(router.frames().empty()) << "nothing to say yet";
  ASSERT_TRUE(stream->try_write(net::as_buffer("one")));
  const Seen first = router.frame();
  EXPECT_EQ(first.flags, data_flag::kStream);
  EXPECT_EQ(first.reflected, kFinMarker);
  EXPECT_EQ(first.body, "one");
  ASSERT_TRUE(stream->try_write(net::as_buffer("two")));
  const Seen second = router.frame();
  EXPECT_EQ(second.flags, 0U);
  EXPECT_EQ(second.reflected, "");
}

TEST_F(ZitiCircuit, MessagesAreBoundedAndWhole) {
  const auto stream = router.plain_circuit();
  const std::string text = pattern(100'000);
  const auto sent = net::test::start(router.loop, net::test::send(stream, text));
  std::string received;
  for (const Seen& each : router.frames()) {
    EXPECT_LE(each.body.size(), 64U * 1024);
    received += each.body;
  }
  EXPECT_TRUE(received == text);
}

TEST_F(ZitiCircuit, CloseIsFinThenStateClosedOnce) {
  auto stream = router.plain_circuit();
  ASSERT_TRUE(stream->try_write(net::as_buffer("bye")));
  stream->close();
  stream->close();
  stream->reset();
  stream.reset();
  const auto frames = router.frames();
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].body, "bye");
  EXPECT_EQ(frames[1].content, content::kData);
  EXPECT_EQ(frames[1].flags, data_flag::kFin);
  EXPECT_EQ(frames[1].reflected, kFinMarker);
  EXPECT_EQ(frames[1].body, "");
  EXPECT_EQ(frames[2].content, content::kStateClosed);
  EXPECT_EQ(frames[2].conn, router.conn);
}

TEST_F(ZitiCircuit, ResetIsStateClosedWithoutFin) {
  auto stream = router.plain_circuit();
  ASSERT_TRUE(stream->try_write(net::as_buffer("x")));
  stream->reset();
  EXPECT_EQ(router.contents(), (std::vector{content::kData, content::kStateClosed}));
}

TEST_F(ZitiCircuit, AfterBothFinsItIsClosed) {
  for (const bool ours_first : {true, false}) {
    auto stream = router.plain_circuit();
    if (ours_first) {
      stream->shutdown_send();
      EXPECT_EQ(router.contents(), std::vector{content::kData});
      router.data(router.conn, "", data_flag::kFin);
      EXPECT_EQ(router.contents(), std::vector{content::kStateClosed});
    } else {
      router.data(router.conn, "", data_flag::kFin);
      EXPECT_TRUE(router.frames().empty());
      stream->shutdown_send();
      EXPECT_EQ(router.contents(), (std::vector{content::kData, content::kStateClosed}));
    }
    EXPECT_EQ(run(router.loop, read_to_end(stream)), "");
    EXPECT_EQ(router.channel->circuits(), 0U);
    stream->close();
    stream.reset();
    EXPECT_TRUE(router.frames().empty());
  }
}

TEST_F(ZitiCircuit, AFinMayCarryTheLastBytes) {
  const auto stream = router.plain_circuit();
  router.data(router.conn, "last", data_flag::kFin);
  EXPECT_EQ(run(router.loop, read_to_end(stream)), "last");
}

TEST_F(ZitiCircuit, StateClosedOfAForeignPeerIsAnEndOfStream) {
  const auto stream = router.plain_circuit();
  router.data(router.conn, "all of it");
  router.closed(router.conn);
  EXPECT_EQ(run(router.loop, read_to_end(stream)), "all of it");
  EXPECT_EQ(error_of(stream->try_write(net::as_buffer("x"))), Errc::reset);
  stream->close();
  EXPECT_TRUE(router.frames().empty()) << "it is not answered";
}

TEST_F(ZitiCircuit, StateClosedWithoutFinOfASimplonPeerIsAReset) {
  const auto stream = router.plain_circuit();
  announce();
  router.closed(router.conn);
  EXPECT_EQ(error_of(run(router.loop, read_to_end(stream))), Errc::reset);
}

TEST_F(ZitiCircuit, StateClosedAfterFinIsAnEndOfStreamOfASimplonPeerToo) {
  const auto stream = router.plain_circuit();
  announce();
  marked_fin();
  router.closed(router.conn);
  EXPECT_EQ(run(router.loop, read_to_end(stream)), "hi");
}

// Newer routers send one before they pass on a StateClosed.
TEST_F(ZitiCircuit, AFinThatARouterMadeUpIsNoEndOfASimplonPeersStream) {
  const auto stream = router.plain_circuit();
  announce();
  router.data(router.conn, "", data_flag::kFin);
  EXPECT_EQ(read_now(*stream), "hi");
  router.closed(router.conn);
  EXPECT_EQ(error_of(run(router.loop, read_to_end(stream))), Errc::reset);
}

TEST_F(ZitiCircuit, DataAfterFinEndsTheCircuit) {
  const auto stream = router.plain_circuit();
  router.data(router.conn, "", data_flag::kFin);
  router.data(router.conn, "more");
  EXPECT_EQ(router.frames().back().content, content::kStateClosed);
  EXPECT_TRUE(router.channel->up());
}

TEST_F(ZitiCircuit, DataOfAClosedCircuitIsPassedOver) {
  auto stream = router.plain_circuit();
  const std::uint32_t conn = router.conn;
  stream->close();
  router.frames();
  router.data(conn, "late");
  router.closed(conn);
  EXPECT_TRUE(router.frames().empty());
  EXPECT_TRUE(router.channel->up());
}

TEST_F(ZitiCircuit, BodiesOfSeveralPartsAreTakenApart) {
  const auto stream = router.plain_circuit();
  using namespace std::string_literals;
  router.data(router.conn, "\3\0one\0\0\4\0four"s, data_flag::kMultipartBody);
  EXPECT_EQ(read_now(*stream), "onefour");
  router.data(router.conn, "\3\0onex"s, data_flag::kMultipartBody);
  EXPECT_EQ(error_of(run(router.loop, read_to_end(stream))), Errc::protocol_error);
  EXPECT_TRUE(router.channel->up());
}

TEST_F(ZitiCircuit, BytesThatWereNotEncryptedEndIt) {
  for (const std::string& body : {pattern(24), pattern(23), pattern(1)}) {
    const auto outcome = router.dial(true);
    const Seen connect = router.frame();
    const KeyPair host = KeyPair::make();
    router.reply(content::kStateConnected, connect,
                 {reinterpret_cast<const char*>(host.public_key.data()), kPublicKeySize});
    const auto stream = (**outcome).value();
    const Seen greeting = router.frame();
    EXPECT_EQ(greeting.body.size(), kCryptoHeaderSize);
    EXPECT_EQ(greeting.reflected, kFinMarker);
    router.data(*connect.conn, body);
    router.data(*connect.conn, "plain text that is long enough");
    EXPECT_EQ(error_of(run(router.loop, read_to_end(stream))), Errc::protocol_error);
    EXPECT_EQ(router.contents(), std::vector{content::kStateClosed});
  }
  EXPECT_TRUE(router.channel->up());
}

TEST_F(ZitiCircuit, AReaderThatIsSlowHoldsTheChannelOnlyWhileItIsAlone) {
  const auto slow = router.plain_circuit();
  const std::uint32_t slow_conn = router.conn;
  const std::string piece = pattern(32UL * 1024);
  for (std::size_t sent = 0; sent <= kReceiveLimit; sent += piece.size()) {
    router.data(slow_conn, piece);
  }
  router.data(slow_conn, piece);
  router.clock.advance(std::chrono::hours(1));
  settle(router.loop);
  EXPECT_TRUE(router.channel->up()) << "nobody listened to the router: it is not dead";
  router.frames();
  ASSERT_FALSE(slow->closed());
  // A second circuit wants to be heard.
  const auto outcome = router.dial(false);
  const auto asked = router.frames();
  ASSERT_FALSE(asked.empty());
  router.reply(content::kStateConnected, asked.back());
  EXPECT_FALSE(outcome->has_value());
  router.clock.advance(kStalledReader);
  settle(router.loop);
  EXPECT_TRUE(outcome->has_value() && **outcome);
  EXPECT_EQ(error_of(run(router.loop, read_to_end(slow))), Errc::limit_exceeded);
  EXPECT_EQ(router.frames().front().conn, slow_conn);
}

TEST_F(ZitiCircuit, AReaderThatGoesOnInTimeKeepsItsCircuit) {
  const auto slow = router.plain_circuit();
  const std::uint32_t slow_conn = router.conn;
  const auto other = router.plain_circuit();
  const std::string piece = pattern(32UL * 1024);
  for (std::size_t sent = 0; sent <= kReceiveLimit; sent += piece.size()) {
    router.data(slow_conn, piece);
  }
  router.data(router.conn, "for the other");
  EXPECT_EQ(read_now(*other), "");
  router.clock.advance(kStalledReader - std::chrono::seconds(1));
  const auto read = run(router.loop, net::test::read_count(slow, kReceiveResume + piece.size()));
  settle(router.loop);
  EXPECT_EQ(read_now(*other), "for the other");
  router.clock.advance(kStalledReader);
  settle(router.loop);
  EXPECT_FALSE(error_of(run(router.loop, net::test::read_count(slow, 1000))));
}

/// A circuit of a router that sends as much as is read.
struct SlowReader {
  explicit SlowReader(RawRouter& over) : router(over), stream(over.plain_circuit()) {
    conn = router.conn;
    fill();
  }
  void fill() {
    for (; unread <= kReceiveLimit; unread += piece.size()) {
      router.data(conn, piece);
    }
  }
  /// Stands for `time`, then takes what lets the channel go on. False: it was reset.
  bool round(net::Duration time) {
    router.clock.advance(time);
    settle(router.loop);
    const std::size_t count = kReceiveResume + piece.size();
    if (error_of(run(router.loop, net::test::read_count(stream, count)))) {
      return false;
    }
    unread -= count;
    fill();
    return true;
  }

  RawRouter& router;
  const std::string piece = pattern(32UL * 1024);
  net::StreamPtr stream;
  std::uint32_t conn = 0;
  std::size_t unread = 0;
};

TEST_F(ZitiCircuit, AReaderThatHoldsOthersUpAgainAndAgainIsResetInTheEnd) {
  const auto other = router.plain_circuit();
  const std::uint32_t other_conn = router.conn;
  SlowReader slow(router);
  int rounds = 0;
  while (slow.round(kStalledReader - kBriefStall) && rounds < 100) {
    ++rounds;
  }
  EXPECT_EQ(rounds, 9);  // three seconds of each count, and the tenth completes thirty
  router.data(other_conn, "for the other");
  EXPECT_EQ(read_now(*other), "for the other");
}

TEST_F(ZitiCircuit, AReaderThatIsOnlySlowerThanTheNetworkIsNot) {
  const auto other = router.plain_circuit();
  SlowReader slow(router);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(slow.round(kBriefStall)) << i;
  }
}

TEST_F(ZitiCircuit, WhatPassesBetweenStallsIsForgiven) {
  const auto other = router.plain_circuit();
  SlowReader slow(router);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(slow.round(kStalledReader - kBriefStall)) << i;
    // Without a stall for as long.
    const std::size_t count = 4 * slow.piece.size();
    ASSERT_FALSE(
        error_of(run(router.loop, net::test::read_count(slow.stream, kReceiveResume + count))));
    slow.unread -= kReceiveResume + count;
    router.clock.advance(kStalledReader);
    slow.fill();
  }
}

// One bulk stream does not keep another circuit's small messages waiting behind its own.
TEST_F(ZitiCircuit, TurnsAreFair) {
  const auto bulk = router.plain_circuit();
  const std::uint32_t bulk_conn = router.conn;
  const auto small = router.plain_circuit();
  const auto sent = net::test::start(router.loop, net::test::send(bulk, pattern(4'000'000)));
  settle(router.loop);
  const auto asked = net::test::start(router.loop, net::test::send(small, "small"));
  std::size_t before = 0;
  for (const Seen& each : router.frames()) {
    if (each.conn != bulk_conn) {
      break;
    }
    before += each.body.size();
  }
  EXPECT_LT(before, 512U * 1024);
}

TEST(ZitiCircuits, CloseLeavesNothingBehind) {
  for (const bool encrypted : {true, false}) {
    base::ManualClock clock;
    net::Loop loop{clock};
    Circuits circuits(loop, encrypted);
    circuits.bind(encrypted);
    for (int i = 0; i < 20; ++i) {
      auto [here, there] = circuits.connect(encrypted);
      const std::string text = pattern(static_cast<std::size_t>(i) * 10'000);
      const auto sent = net::test::start(loop, net::test::send(here, text, true));
      EXPECT_TRUE(run(loop, read_to_end(there)) == text);
      there->close();
      settle(loop);
      EXPECT_EQ(run(loop, read_to_end(here)), "");
    }
    settle(loop);
    EXPECT_EQ(circuits.fabric.circuits(), 0U);
    EXPECT_EQ(circuits.dialer->circuits(), 0U);
    EXPECT_EQ(circuits.host->circuits(), 0U);
  }
}

TEST(ZitiCircuits, ManyAtOnceDoNotMix) {
  base::ManualClock clock;
  net::Loop loop{clock};
  Circuits circuits(loop);
  circuits.bind();
  std::vector<std::pair<net::StreamPtr, net::StreamPtr>> pairs;
  std::vector<std::shared_ptr<std::optional<net::Result<std::string>>>> read;
  std::vector<std::shared_ptr<std::optional<net::Result<void>>>> sent;
  for (std::size_t i = 0; i < 30; ++i) {
    pairs.push_back(circuits.connect());
    const std::string text = std::to_string(i) + pattern(100'000 + i);
    sent.push_back(net::test::start(loop, net::test::send(pairs.back().first, text, true)));
    read.push_back(net::test::start(loop, read_to_end(pairs.back().second)));
  }
  for (std::size_t i = 0; i < read.size(); ++i) {
    ASSERT_TRUE(run_until(loop, [&] { return read[i]->has_value(); }));
    EXPECT_TRUE(**read[i] == std::to_string(i) + pattern(100'000 + i));
  }
}

TEST(ZitiCircuits, UnreadBytesOfAllStayWithinTheBudget) {
  const auto budget = std::make_shared<MemoryBudget>(300UL * 1024);
  RawRouter router(net::kMemoryCapacity, budget);
  router.greet();
  const auto modest = router.plain_circuit();
  router.data(router.conn, pattern(60'000));
  const auto greedy = router.plain_circuit();
  for (int i = 0; i < 10; ++i) {
    router.data(router.conn, pattern(40'000));
  }
  EXPECT_EQ(error_of(run(router.loop, read_to_end(greedy))), Errc::memory);
  EXPECT_EQ(read_now(*modest).size(), 60'000U);
  EXPECT_EQ(budget->sheds(), 1U);
  EXPECT_EQ(budget->used(), 0U);
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
