// How much an end of a circuit sends before the other, a Simplon agent too, has read.
#include <gtest/gtest.h>

#include "overlay/ziti/circuit_window.hpp"
#include "unit/overlay/ziti_channel_pair.hpp"
#include "unit/overlay/ziti_raw_router.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using net::test::pattern;
using net::test::read_to_end;

std::string marker(std::uint64_t limit) {
  const GrantMarker bytes = grant_marker(limit);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct ZitiCircuitWindow : testing::Test {
  void SetUp() override {
    router.greet();
    stream = router.plain_circuit();
  }

  void marked(std::string_view mark, std::string_view body, std::uint32_t flags = 0) {
    router.send(content::kData, [&](FrameWriter& frame) {
      frame.u32(header::kConnId, router.conn)
          .u32(header::kFlags, flags)
          .text(header::kReflected, mark)
          .body(body);
    });
  }
  void grant(std::uint64_t limit) { marked(marker(limit), ""); }
  void announce() { marked(kFinMarker, "hi", data_flag::kStream); }

  /// What was sent since the last call, bodies only.
  std::size_t body_bytes() {
    std::size_t out = 0;
    for (const Seen& each : router.frames()) {
      out += each.body.size();
    }
    return out;
  }

  RawRouter router;
  net::StreamPtr stream;
};

TEST(ZitiGrant, SurvivesTheWire) {
  for (const std::uint64_t limit : {std::uint64_t{0}, kCircuitWindow, kNoLimit}) {
    EXPECT_EQ(granted_by(marker(limit)), limit);
  }
  for (const std::string_view other : {std::string_view(), kFinMarker, std::string_view("simplon>"),
                                       std::string_view("simplon>123456789")}) {
    EXPECT_EQ(granted_by(other), std::nullopt);
  }
}

TEST_F(ZitiCircuitWindow, WithoutAGrantNothingIsHeldBack) {
  const auto sent = net::test::start(router.loop, net::test::send(stream, pattern(6'000'000)));
  EXPECT_EQ(body_bytes(), 6'000'000U);
}

TEST_F(ZitiCircuitWindow, AGrantIsNotExceededAndTheNextOneGoesOn) {
  grant(100'000);
  const auto sent = net::test::start(router.loop, net::test::send(stream, pattern(250'000)));
  EXPECT_EQ(body_bytes(), 100'000U);
  grant(150'000);
  EXPECT_EQ(body_bytes(), 50'000U);
  grant(120'000);  // late: it takes nothing back
  EXPECT_EQ(body_bytes(), 0U);
  EXPECT_FALSE(sent->has_value());
  grant(kNoLimit);
  EXPECT_EQ(body_bytes(), 100'000U);
  EXPECT_TRUE(sent->has_value() && **sent);
}

TEST_F(ZitiCircuitWindow, ACircuitThatWaitsForAGrantLetsOthersGo) {
  grant(0);
  const std::uint32_t held = router.conn;
  const auto sent = net::test::start(router.loop, net::test::send(stream, pattern(100'000)));
  const auto other = router.plain_circuit();
  ASSERT_TRUE(other->try_write(net::as_buffer("other")));
  const Seen seen = router.frame();
  EXPECT_EQ(seen.body, "other");
  EXPECT_NE(seen.conn, held);
  stream->close();
  EXPECT_EQ(router.contents(), (std::vector{content::kData, content::kStateClosed}));
}

TEST_F(ZitiCircuitWindow, OnlyASimplonPeerGetsGrants) {
  router.data(router.conn, pattern(kGrantStep));
  EXPECT_FALSE(read_now(*stream).empty());
  EXPECT_TRUE(router.frames().empty());
}

TEST_F(ZitiCircuitWindow, WhatIsReadIsGrantedAnew) {
  announce();
  EXPECT_EQ(granted_by(router.frame().reflected), kCircuitWindow);
  router.data(router.conn, pattern(kGrantStep));
  EXPECT_TRUE(router.frames().empty()) << "nothing of it was read yet";
  EXPECT_EQ(read_now(*stream).size(), kGrantStep + 2);
  EXPECT_GE(granted_by(router.frame().reflected), kCircuitWindow + kGrantStep);
}

TEST_F(ZitiCircuitWindow, AFinTakesTheLimitAwayForRoutersCarryNothingBehindIt) {
  announce();
  router.frames();
  stream->shutdown_send();
  const auto seen = router.frames();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(granted_by(seen[0].reflected), kNoLimit);
  EXPECT_EQ(seen[1].flags & data_flag::kFin, data_flag::kFin);
  router.data(router.conn, pattern(kGrantStep));
  EXPECT_FALSE(read_now(*stream).empty());
  EXPECT_TRUE(router.frames().empty());
}

TEST_F(ZitiCircuitWindow, WhoIsMetAfterItsFinNeedsNone) {
  stream->shutdown_send();
  router.frames();
  announce();
  EXPECT_TRUE(router.frames().empty());
}

TEST(ZitiCircuitWindows, AReaderThatStandsStillHoldsOnlyItsOwnCircuit) {
  base::ManualClock clock;
  net::Loop loop{clock};
  Circuits circuits(loop);
  circuits.bind();
  auto [quiet, stalled] = circuits.connect();
  const auto other = circuits.connect();
  const std::string much = pattern(8'000'000);
  const auto held = net::test::start(loop, net::test::send(quiet, much, true));
  settle(loop);
  EXPECT_FALSE(held->has_value()) << "it waits for its reader";
  const auto sent = net::test::start(loop, net::test::send(other.first, "small", true));
  EXPECT_EQ(run(loop, read_to_end(other.second)), "small");
  clock.advance(2 * kStalledReader);
  settle(loop);
  EXPECT_TRUE(run(loop, read_to_end(stalled)) == much) << "it was not cut";
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
