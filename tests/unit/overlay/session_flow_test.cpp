// Windows, fairness between streams and the memory budget.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "unit/overlay/session_pair.hpp"

namespace simplon::overlay::test {
namespace {

/// Reads all there is, as soon as it is there.
class Drain final : public net::Waiter {
 public:
  explicit Drain(StreamPtr stream) : stream_(std::move(stream)) { pump(); }
  ~Drain() { stream_->cancel_wait(net::Event::readable); }
  std::string got;
  bool ended = false;

 private:
  void ready(net::Event, std::error_code) override { pump(); }
  void pump() {
    std::array<std::byte, 8192> into;
    while (true) {
      const auto count = stream_->try_read(into);
      if (!count && count.error() == Errc::would_block) {
        stream_->wait(net::Event::readable, *this);
        return;
      }
      if (!count || *count == 0) {
        ended = true;
        return;
      }
      got.append(reinterpret_cast<const char*>(into.data()), *count);
    }
  }
  StreamPtr stream_;
};

std::vector<std::pair<StreamPtr, StreamPtr>> connect_many(SessionPair& pair, int count) {
  std::vector<std::pair<StreamPtr, StreamPtr>> streams(static_cast<std::size_t>(count));
  for (auto& stream : streams) {
    stream = pair.connect();
  }
  return streams;
}

TEST(SessionWindow, AWriterStopsWhereTheReaderDoes) {
  SessionPair pair;
  const auto [here, there] = pair.connect();
  const Flood flood(here);
  settle(pair.loop);
  EXPECT_EQ(flood.written, kInitialWindow);
  // Nothing is given back before half of it was read.
  std::vector<std::byte> into(kInitialWindow / 2 - 1);
  EXPECT_EQ(there->try_read(into).value(), into.size());
  settle(pair.loop);
  EXPECT_EQ(flood.written, kInitialWindow);
  EXPECT_EQ(there->try_read(std::span(into).first(1)).value(), 1U);
  settle(pair.loop);
  EXPECT_EQ(flood.written, kInitialWindow + kInitialWindow / 2);
}

TEST(SessionWindow, AStalledReaderHoldsUpOnlyItsOwnStream) {
  SessionPair pair;
  const auto [stalled, unread] = pair.connect();
  const auto [here, there] = pair.connect();
  const Flood flood(stalled);
  settle(pair.loop);
  EXPECT_TRUE(write(*here, "passes by"));
  settle(pair.loop);
  EXPECT_EQ(read_now(*there), "passes by");
}

TEST(SessionWindow, BulkArrivesWholeAndInOrder) {
  SessionPair pair({}, 5000);
  const auto [here, there] = pair.connect();
  const std::string text = pattern(3'000'000);
  net::spawn(pair.loop, "writer", [](StreamPtr stream, std::string all) -> net::awaitable<void> {
    EXPECT_TRUE(co_await net::write_all(*stream, net::as_buffer(all)));
    stream->shutdown_send();
  }(here, text));
  const Drain drain(there);
  net::test::run_until(pair.loop, [&] { return drain.ended; });
  EXPECT_TRUE(drain.got == text);
}

TEST(SessionWindow, ManyStreamsShareATransportThatTakesLittle) {
  SessionPair pair({}, 777);
  std::vector<std::unique_ptr<Drain>> drains;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto [here, there] = pair.connect();
    texts.push_back(pattern(50'000 + i * 1000));
    net::spawn(pair.loop, "writer", [](StreamPtr stream, std::string all) -> net::awaitable<void> {
      EXPECT_TRUE(co_await net::write_all(*stream, net::as_buffer(all)));
      stream->close();
    }(here, texts.back()));
    drains.push_back(std::make_unique<Drain>(there));
  }
  net::test::run_until(pair.loop, [&] {
    return std::ranges::all_of(drains, [](const auto& drain) { return drain->ended; });
  });
  for (std::size_t i = 0; i < drains.size(); ++i) {
    EXPECT_TRUE(drains[i]->got == texts[i]) << i;
  }
}

// A stream of a Simplon peer whose round trip is known, and a reader that takes all at once.
struct GrowingWindow {
  explicit GrowingWindow(std::chrono::microseconds round_trip) {
    peer.update(0, 0, kInitialWindow);
    const auto hello = peer.frames();
    EXPECT_EQ(hello.size(), 2U);
    EXPECT_EQ(hello.at(1).type, FrameType::ping);
    peer.clock.advance(round_trip);
    peer.send({.type = FrameType::ping, .flags = frame_flag::kAck, .length = hello[1].length});
    EXPECT_EQ(peer.end.session->stats().rtt, round_trip);
    peer.update(1, frame_flag::kSyn);
    drain = std::make_unique<Drain>(peer.end.inbound[0]);
    peer.frames();
  }

  std::size_t granted(std::size_t sent) {
    peer.data(1, pattern(sent));
    std::size_t credit = 0;
    for (const FrameHeader& frame : peer.frames()) {
      credit += frame.type == FrameType::window_update ? frame.length : 0;
    }
    return credit;
  }

  std::shared_ptr<MemoryBudget> budget = std::make_shared<MemoryBudget>();
  RawPeer peer{SessionRole::server, {.budget = budget}};
  std::unique_ptr<Drain> drain;
};

TEST(SessionWindow, AReaderThatKeepsUpIsGrantedMore) {
  GrowingWindow end(std::chrono::milliseconds(20));
  RawPeer& peer = end.peer;
  // As slow as a window in ten seconds: what was read is given back.
  peer.clock.advance(std::chrono::seconds(10));
  EXPECT_EQ(end.granted(kInitialWindow / 2), kInitialWindow / 2);
  // Half a window in a millisecond: doubled, again and again, to what a reader may hold for good.
  std::size_t window = kInitialWindow;
  while (window < kStalledWindow) {
    peer.clock.advance(std::chrono::milliseconds(1));
    const std::size_t more = std::min(window, kStalledWindow - window);
    EXPECT_EQ(end.granted(window / 2), window / 2 + more);
    window += more;
  }
  // Further, where whole round trips bring whole windows.
  for (int round = 0; round < 10 && window <= kMaxWindow - kCreditStep; ++round) {
    peer.clock.advance(std::chrono::milliseconds(20));
    const std::size_t credit = end.granted(window);
    EXPECT_GE(credit, window - kCreditStep);
    EXPECT_LE(credit, 2 * window + kCreditStep);
    window = credit;
  }
  EXPECT_GT(window, kMaxWindow - kCreditStep);
  EXPECT_EQ(end.budget->promised(), kMaxWindow - kInitialWindow);
  peer.update(1, frame_flag::kRst);
  peer.end.inbound.clear();
  EXPECT_FALSE(peer.end.ended);
}

// However fast a local socket swallows the first megabytes: the reader may stop right behind them,
// and its whole window stands still here then.
TEST(SessionWindow, AShortLinkNeedsNoLargeWindow) {
  GrowingWindow end(std::chrono::microseconds(100));
  std::size_t window = kInitialWindow;
  for (int i = 0; i < 16; ++i) {
    window += end.granted(window / 2) - window / 2;
  }
  EXPECT_EQ(window, 512UL * 1024);
}

TEST(SessionWindow, APeerThatAnnouncesNothingGetsTheSpecificationsWindow) {
  RawPeer peer(SessionRole::server);
  // First frame of an ordinary client: a stream.
  peer.update(1, frame_flag::kSyn);
  ASSERT_EQ(peer.end.inbound.size(), 1U);
  EXPECT_FALSE(peer.end.session->stats().simplon_peer);
  const auto stream = peer.end.inbound[0];
  peer.data(1, pattern(kYamuxWindow));
  EXPECT_FALSE(peer.end.ended);
  EXPECT_EQ(read_now(*stream).size(), kYamuxWindow);
  const Flood flood(stream);
  peer.frames();
  EXPECT_EQ(flood.written, kYamuxWindow);
}

TEST(SessionWindow, StreamsThatWereOpenedBeforeThePeerWasHeardAreWidened) {
  RawPeer peer(SessionRole::client);
  const auto stream = peer.end.open();
  const Flood flood(stream);
  peer.frames();
  EXPECT_EQ(flood.written, kInitialWindow);
  peer.send({.type = FrameType::ping, .flags = frame_flag::kSyn, .length = 1});
  peer.frames();
  EXPECT_EQ(flood.written, kYamuxWindow);
  peer.data(1, pattern(kYamuxWindow));
  EXPECT_FALSE(peer.end.ended);
}

TEST(SessionWindow, AnAnnouncedWindowIsUsed) {
  RawPeer peer(SessionRole::client);
  const auto early = peer.end.open();
  const Flood flood(early);
  peer.update(0, 0, 3 * kInitialWindow);
  const auto later = peer.end.open();
  const Flood second(later);
  peer.frames();
  EXPECT_EQ(flood.written, 3 * kInitialWindow);
  EXPECT_EQ(second.written, 3 * kInitialWindow);
  EXPECT_TRUE(peer.end.session->stats().simplon_peer);
}

TEST(SessionFairness, ASmallRequestDoesNotWaitBehindBulk) {
  SessionPair pair({}, 16 * 1024);
  std::vector<std::unique_ptr<Flood>> floods;
  std::vector<std::unique_ptr<Drain>> drains;
  for (const auto& [here, there] : connect_many(pair, 4)) {
    drains.push_back(std::make_unique<Drain>(there));
    floods.push_back(std::make_unique<Flood>(here));
  }
  const auto total = [&] {
    std::size_t sum = 0;
    for (const auto& drain : drains) {
      sum += drain->got.size();
    }
    return sum;
  };
  net::test::run_until(pair.loop, [&] { return total() > 2'000'000; });
  const auto small = pair.client.open();
  ASSERT_TRUE(write(*small, "GET / HTTP/1.1\r\n\r\n"));
  const std::size_t before = total();
  net::test::run_until(pair.loop, [&] { return !pair.server.inbound.empty(); });
  const Drain request(pair.server.inbound[0]);
  net::test::run_until(pair.loop, [&] { return !request.got.empty(); });
  // What was queued before it, and not what the bulk streams would still like to send.
  EXPECT_LT(total() - before, 400'000U);

  // Later requests of the same stream take their turn as well.
  for (int i = 0; i < 10; ++i) {
    const std::size_t now = total();
    const std::size_t seen = request.got.size();
    EXPECT_TRUE(net::test::run(pair.loop, net::test::send(small, "again")));
    net::test::run_until(pair.loop, [&] { return request.got.size() > seen; });
    EXPECT_LT(total() - now, 1'000'000U);
  }
}

TEST(SessionFairness, BulkStreamsGetEqualShares) {
  SessionPair pair({}, 16 * 1024);
  std::vector<std::unique_ptr<Flood>> floods;
  std::vector<std::unique_ptr<Drain>> drains;
  for (const auto& [here, there] : connect_many(pair, 5)) {
    drains.push_back(std::make_unique<Drain>(there));
    floods.push_back(std::make_unique<Flood>(here));
  }
  net::test::run_until(pair.loop, [&] { return drains[0]->got.size() > 5'000'000; });
  for (const auto& drain : drains) {
    EXPECT_GT(drain->got.size(), 4'000'000U);
    EXPECT_LT(drain->got.size(), 6'000'000U);
  }
  EXPECT_LE(floods[0]->largest, 64U * 1024);
}

TEST(SessionMemory, UnreadBytesAreCountedAndGivenBack) {
  const auto budget = std::make_shared<MemoryBudget>();
  SessionPair pair({.budget = budget});
  {
    const auto [here, there] = pair.connect();
    ASSERT_TRUE(write(*here, pattern(10'000)));
    settle(pair.loop);
    EXPECT_GE(budget->used(), 10'000U);
    EXPECT_LT(budget->used(), 70'000U);
    EXPECT_EQ(read_now(*there).size(), 10'000U);
    EXPECT_EQ(budget->used(), 0U);
    ASSERT_TRUE(write(*here, pattern(10'000)));
    settle(pair.loop);
    EXPECT_NE(budget->used(), 0U);
  }
  EXPECT_EQ(budget->used(), 0U);
}

TEST(SessionMemory, PastTheLimitTheFullestStreamIsReset) {
  const auto budget = std::make_shared<MemoryBudget>(150'000);
  SessionPair pair({.budget = budget});
  const auto [small, small_end] = pair.connect();
  const auto [large, large_end] = pair.connect();
  const auto [other, other_end] = pair.connect();
  ASSERT_TRUE(write(*large, pattern(60'000)));
  ASSERT_TRUE(write(*small, pattern(1000)));
  settle(pair.loop);
  EXPECT_EQ(budget->sheds(), 0U);
  const Flood flood(other);
  const auto [last, last_end] = pair.connect();
  ASSERT_TRUE(write(*last, pattern(40'000)));
  settle(pair.loop);
  EXPECT_EQ(budget->sheds(), 1U);
  EXPECT_LE(budget->used(), budget->limit());
  EXPECT_EQ(read_now(*small_end).size(), 1000U);
  EXPECT_EQ(read_now(*last_end).size(), 40'000U);
  const bool first_went = read_error(*large_end) == Errc::memory;
  EXPECT_EQ(read_error(first_went ? *large : *other), Errc::memory);
}

TEST(SessionMemory, BytesOfStreamsThatEndedCountToo) {
  const auto budget = std::make_shared<MemoryBudget>(80'000);
  SessionPair pair({.budget = budget});
  const auto [first, first_end] = pair.connect();
  const auto [second, second_end] = pair.connect();
  ASSERT_TRUE(write(*first, pattern(50'000)));
  first->shutdown_send();
  first_end->shutdown_send();
  settle(pair.loop);
  EXPECT_EQ(pair.server.session->stats().streams, 1U);
  ASSERT_TRUE(write(*second, pattern(40'000)));
  settle(pair.loop);
  EXPECT_EQ(budget->sheds(), 1U);
  EXPECT_EQ(read_error(*first_end), Errc::memory);
  EXPECT_EQ(read_now(*second_end).size(), 40'000U);
  EXPECT_EQ(budget->used(), 0U);
}

TEST(SessionMemory, UnderPressureNoWindowGrows) {
  MemoryBudget budget(1000);
  EXPECT_TRUE(budget.promise(400));
  EXPECT_FALSE(budget.promise(101));
  EXPECT_TRUE(budget.promise(100));
  budget.unpromise(500);
  EXPECT_EQ(budget.promised(), 0U);
}

TEST(SessionMemory, SessionsOfTwoLoopsShareABudget) {
  const auto budget = std::make_shared<MemoryBudget>(300'000);
  std::atomic<int> refused = 0;
  const auto work = [&] {
    SessionPair pair({.budget = budget});
    for (int round = 0; round < 20; ++round) {
      std::vector<std::pair<StreamPtr, StreamPtr>> streams;
      for (int i = 0; i < 6; ++i) {
        streams.push_back(pair.connect());
        streams.back().first->try_write(net::as_buffer(pattern(60'000))).value_or(0);
      }
      settle(pair.loop);
      for (const auto& [here, there] : streams) {
        refused += read_error(*there) == Errc::memory ? 1 : 0;
      }
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(budget->used(), 0U);
  EXPECT_EQ(budget->sheds(), static_cast<std::uint64_t>(refused));
  EXPECT_GT(refused, 0);
}

TEST(ReceiveQueue, HoldsNoMemoryWhenItIsEmpty) {
  ReceiveQueue queue;
  const std::string text = pattern(200'000);
  for (std::size_t at = 0; at < text.size(); at += 1000) {
    queue.push(net::as_buffer(text).subspan(at, 1000));
  }
  EXPECT_EQ(queue.size(), text.size());
  EXPECT_GE(queue.memory(), text.size());
  EXPECT_LT(queue.memory(), text.size() + 130'000);
  std::string out(text.size() + 10, '\0');
  EXPECT_EQ(queue.pop(std::as_writable_bytes(std::span(out))), text.size());
  out.resize(text.size());
  EXPECT_TRUE(out == text);
  EXPECT_EQ(queue.memory(), 0U);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace simplon::overlay::test
