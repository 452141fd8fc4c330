// What a reader that stands still may hold, on short links and on long ones (PROTOCOL.md,
// "Windows").
#include <gtest/gtest.h>

#include "unit/overlay/delayed_link.hpp"
#include "unit/overlay/session_pair.hpp"

namespace simplon::overlay::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMiB = 1024UL * 1024;
/// Bytes in a millisecond.
constexpr std::size_t kGigabit = 125'000;

/// Reads all that is there until it is told to stop.
class Sink final : public net::Waiter {
 public:
  explicit Sink(StreamPtr stream) : stream_(std::move(stream)) { resume(); }
  ~Sink() { stop(); }
  std::size_t got = 0;
  std::error_code failed;

  void stop() { stream_->cancel_wait(net::Event::readable); }
  void resume() { ready(net::Event::readable, {}); }
  void take(std::size_t count) {
    while (count != 0) {
      const auto some = stream_->try_read(std::span(into_).first(std::min(count, into_.size())));
      if (!some) {
        failed = some.error();
        return;
      }
      got += *some;
      count -= *some;
    }
  }

 private:
  void ready(net::Event, std::error_code) override {
    while (true) {
      const auto some = stream_->try_read(into_);
      if (!some && some.error() == Errc::would_block) {
        stream_->wait(net::Event::readable, *this);
        return;
      }
      if (!some) {
        failed = some.error();
        return;
      }
      got += *some;
    }
  }
  StreamPtr stream_;
  std::vector<std::byte> into_ = std::vector<std::byte>(64 * 1024);
};

/// Two agents, a link between them, and one stream that carries as much as it can.
struct Far {
  Far(milliseconds one_way, std::size_t rate)
      : client_budget(std::make_shared<MemoryBudget>()),
        server_budget(std::make_shared<MemoryBudget>()) {
    auto [near, near_end] = net::make_memory_pair(loop, kMiB);
    auto [far, far_end] = net::make_memory_pair(loop, kMiB);
    link = std::make_unique<DelayedLink>(clock, loop, near_end, far_end, one_way, rate);
    client.start(near, SessionRole::client, {.budget = client_budget});
    server.start(far, SessionRole::server, {.budget = server_budget});
    link->run(4 * one_way + milliseconds(4));
    here = client.open();
    link->run(4 * one_way + milliseconds(4));
    there = server.inbound.at(0);
    source = std::make_unique<Flood>(here);
    sink = std::make_unique<Sink>(there);
  }

  std::size_t held() const { return server_budget->used(); }
  /// Bytes a second, of one second.
  std::size_t speed() {
    const std::size_t before = sink->got;
    link->run(seconds(1));
    return sink->got - before;
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  std::shared_ptr<MemoryBudget> client_budget;
  std::shared_ptr<MemoryBudget> server_budget;
  std::unique_ptr<DelayedLink> link;
  End client;
  End server;
  StreamPtr here;
  StreamPtr there;
  std::unique_ptr<Flood> source;
  std::unique_ptr<Sink> sink;
};

TEST(SessionStall, AReaderThatStopsOnAnOrdinaryLinkHoldsLessThanTwoMebibytesForGood) {
  // 100 Mbit/s over 60 ms, 1 Gbit/s over 2 ms.
  for (const auto& [one_way, rate] :
       {std::pair(milliseconds(30), kGigabit / 10), std::pair(milliseconds(1), kGigabit)}) {
    Far far(one_way, rate);
    far.link->run(seconds(2));
    EXPECT_GT(far.speed(), rate * 950);
    far.sink->stop();
    far.link->run(seconds(2));
    EXPECT_GT(far.held(), 0U);
    EXPECT_LT(far.held(), 7 * kMiB / 4);
    EXPECT_EQ(far.client_budget->used(), 0U);
    far.link->run(2 * kStalledReader);
    EXPECT_EQ(far.server_budget->sheds(), 0U);
    const std::size_t before = far.sink->got;
    far.sink->resume();
    far.link->run(seconds(1));
    EXPECT_GT(far.sink->got, before + rate * 800);
  }
}

TEST(SessionStall, OneStreamFillsAGigabitOverAHundredMilliseconds) {
  Far far(milliseconds(50), kGigabit);
  far.link->run(seconds(2));
  EXPECT_GT(far.speed(), kGigabit * 980);
  EXPECT_LE(far.server_budget->promised(), kMaxWindow - kInitialWindow);
}

TEST(SessionStall, AReaderThatStandsStillOnALargeWindowIsResetAfterAMinute) {
  Far far(milliseconds(50), kGigabit);
  far.link->run(seconds(2));
  far.sink->stop();
  far.link->run(seconds(1));
  EXPECT_GT(far.held(), 2 * kMiB);  // or this link needs no large window
  EXPECT_LE(far.held(), kMaxWindow + 128UL * 1024);
  far.link->run(kStalledReader - seconds(2));
  EXPECT_EQ(far.server_budget->sheds(), 0U);
  // Nobody else is touched.
  const auto other = far.client.open();
  ASSERT_TRUE(write(*other, "passes by"));
  far.link->run(seconds(2));
  EXPECT_EQ(far.server_budget->sheds(), 1U);
  EXPECT_EQ(read_error(*far.there), Errc::memory);
  EXPECT_EQ(read_error(*far.here), Errc::memory);
  EXPECT_EQ(read_now(*far.server.inbound.at(1)), "passes by");
  far.there.reset();
  far.server.inbound.clear();
  far.sink.reset();
  EXPECT_EQ(far.held(), 0U);
  EXPECT_EQ(far.server_budget->promised(), 0U);
}

TEST(SessionStall, ASlowReaderKeepsItsStreamAndGivesTheLargeWindowBack) {
  Far far(milliseconds(50), kGigabit);
  far.link->run(seconds(2));
  far.sink->stop();
  // 5 Mbit/s.
  for (int i = 0; i < 800; ++i) {
    far.link->run(milliseconds(100));
    far.sink->take(64UL * 1024);
  }
  EXPECT_FALSE(far.sink->failed);
  EXPECT_EQ(far.server_budget->sheds(), 0U);
  EXPECT_LT(far.held(), 7 * kMiB / 4);
  EXPECT_LE(far.server_budget->promised(), kStalledWindow - kInitialWindow);
  // When it is fast again, so is the link.
  far.sink->resume();
  far.link->run(seconds(2));
  EXPECT_GT(far.speed(), kGigabit * 950);
}

TEST(SessionStall, WhatCameBeforeTheEndOfAStreamIsNotKeptForGoodEither) {
  Far far(milliseconds(50), kGigabit);
  far.link->run(seconds(2));
  far.sink->stop();
  far.link->run(seconds(1));
  far.source.reset();
  far.here->shutdown_send();
  far.there->shutdown_send();
  far.link->run(seconds(1));
  EXPECT_GT(far.held(), 2 * kMiB);
  far.link->run(kStalledReader);
  EXPECT_EQ(read_error(*far.there), Errc::memory);
  EXPECT_EQ(far.held(), 0U);
}

}  // namespace
}  // namespace simplon::overlay::test
