#include "net/splice.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <gmock/gmock.h>

#include "net/buffer_pool.hpp"
#include "net/memory.hpp"
#include "unit/net/harness.hpp"

namespace simplon::net::test {
namespace {

using std::chrono::seconds;
using Cause = SpliceResult::Cause;

// client <-> a =splice= b <-> server
class SpliceTest : public testing::Test {
 protected:
  void connect(std::size_t capacity = kMemoryCapacity, SpliceOptions options = {}) {
    std::tie(client, a) = make_memory_pair(loop, capacity);
    std::tie(b, server) = make_memory_pair(loop, capacity);
    result = start(loop, splice(a, b, std::move(options)));
    settle(loop);
  }

  bool over() const { return result->has_value(); }

  base::ManualClock clock;
  Loop loop{clock};
  StreamPtr client, a, b, server;
  std::shared_ptr<std::optional<SpliceResult>> result;
};

TEST_F(SpliceTest, BytesPassBothWays) {
  connect();
  ASSERT_TRUE(client->try_write(as_buffer("question")));
  ASSERT_TRUE(server->try_write(as_buffer("answer")));
  settle(loop);
  EXPECT_EQ(read_now(*server), "question");
  EXPECT_EQ(read_now(*client), "answer");
  EXPECT_FALSE(over());
}

TEST_F(SpliceTest, TheEndOfOneDirectionLeavesTheOtherAlive) {
  connect();
  client->shutdown_send();
  EXPECT_EQ(run(loop, read_to_end(server)), "");
  ASSERT_TRUE(server->try_write(as_buffer("still here")));
  settle(loop);
  EXPECT_EQ(read_now(*client), "still here");
  EXPECT_FALSE(over());
}

TEST_F(SpliceTest, BothEndsInOrderAreNoError) {
  connect();
  const std::string there = pattern(300'000);
  const std::string back = pattern(200'000);
  const auto sent = start(loop, send(client, there, true));
  const auto answered = start(loop, send(server, back, true));
  const auto at_client = start(loop, read_to_end(client));
  EXPECT_EQ(run(loop, read_to_end(server)), there);
  settle(loop);
  EXPECT_EQ(**at_client, back);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::ended);
  EXPECT_FALSE((*result)->error);
  EXPECT_EQ((*result)->forward, there.size());
  EXPECT_EQ((*result)->backward, back.size());
  EXPECT_TRUE(a->closed());
  EXPECT_TRUE(b->closed());
}

TEST_F(SpliceTest, AResetIsPassedOnWithItsReason) {
  connect();
  server->reset(make_error_code(Errc::target_refused));
  EXPECT_EQ(error_of(run(loop, read_to_end(client))), Errc::target_refused);
  settle(loop);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::b_failed);
  EXPECT_EQ((*result)->error, Errc::target_refused);
}

TEST_F(SpliceTest, AFailedWriteResetsTheWriterWithTheReason) {
  connect(16);
  const auto sent = start(loop, send(client, pattern(1000)));
  settle(loop);
  server->reset(make_error_code(Errc::memory));
  settle(loop);
  EXPECT_EQ(error_of(**sent), Errc::memory);
  EXPECT_EQ((*result)->error, Errc::memory);
}

// A server that answers before it has read everything, and closes: its kernel resets the
// connection, and the write that is under way fails before the answer was read.
TEST_F(SpliceTest, WhatAPeerSaidBeforeItStoppedReadingArrives) {
  connect();
  ASSERT_TRUE(client->try_write(as_buffer("a long question")));
  ASSERT_TRUE(server->try_write(as_buffer("answer")));
  server->close();
  settle(loop);
  EXPECT_EQ(read_now(*client), "answer");
  EXPECT_EQ(error_of(run(loop, read_to_end(client))), Errc::reset);
  settle(loop);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::b_failed);
  EXPECT_EQ((*result)->backward, 6U);
}

TEST_F(SpliceTest, TheRestOfABrokenPeerIsWaitedForASecondOnly) {
  connect(16);
  const auto sent = start(loop, send(server, pattern(1000)));
  settle(loop);  // the client does not read
  server->reset(make_error_code(Errc::memory));
  ASSERT_TRUE(client->try_write(as_buffer("and more")));
  settle(loop);
  EXPECT_FALSE(over());
  clock.advance(kCloseTimeout);
  settle(loop);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::b_failed);
}

TEST_F(SpliceTest, ALocalResetOfOneStreamEndsBoth) {
  connect();
  a->reset();
  settle(loop);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::a_failed);
  EXPECT_EQ((*result)->error, Errc::closed);
  EXPECT_EQ(error_of(run(loop, read_to_end(server))), Errc::reset);
}

// Both directions wait for the other stream then.
TEST_F(SpliceTest, ALocalResetIsSeenWhileTheOtherSideIsStuck) {
  for (const bool reset_a : {true, false}) {
    connect(1024);
    const auto sent = start(loop, send(reset_a ? client : server, pattern(100'000)));
    settle(loop);
    (reset_a ? a : b)->reset();
    settle(loop);
    ASSERT_TRUE(over());
    EXPECT_EQ((*result)->cause, reset_a ? Cause::a_failed : Cause::b_failed);
    EXPECT_EQ((*result)->error, Errc::closed);
    EXPECT_TRUE(a->closed());
    EXPECT_TRUE(b->closed());
  }
}

TEST_F(SpliceTest, ASlowReaderHoldsTheWriterBack) {
  connect(1024);
  const auto sent = start(loop, send(client, pattern(1'000'000), true));
  settle(loop);
  EXPECT_FALSE(sent->has_value());
  clock.advance(seconds(100));
  settle(loop);
  EXPECT_FALSE(over());
  EXPECT_EQ(run(loop, read_to_end(server)), pattern(1'000'000));
}

TEST_F(SpliceTest, WhatWasSentBeforeTheEndArrivesHoweverLongItTakes) {
  connect(1024);
  server->shutdown_send();
  const auto sent = start(loop, send(client, pattern(1024), true));
  settle(loop);
  clock.advance(seconds(100));
  settle(loop);
  EXPECT_FALSE(over());
  EXPECT_EQ(run(loop, read_to_end(server)), pattern(1024));
  settle(loop);
  EXPECT_EQ((*result)->cause, Cause::ended);
}

TEST_F(SpliceTest, AnIdlePathHoldsNoBuffer) {
  const auto before = pooled_buffers_in_use();
  connect();
  EXPECT_EQ(pooled_buffers_in_use(), before);
  ASSERT_TRUE(client->try_write(as_buffer("x")));
  settle(loop);
  EXPECT_EQ(read_now(*server), "x");
  EXPECT_EQ(pooled_buffers_in_use(), before);
}

TEST_F(SpliceTest, AnIdlePathEndsAfterItsTimeout) {
  connect(kMemoryCapacity, {.idle_timeout = seconds(60)});
  clock.advance(seconds(59));
  settle(loop);
  ASSERT_TRUE(server->try_write(as_buffer("x")));
  settle(loop);
  clock.advance(seconds(59));
  settle(loop);
  EXPECT_FALSE(over());
  clock.advance(seconds(1));
  settle(loop);
  ASSERT_TRUE(over());
  EXPECT_EQ((*result)->cause, Cause::idle);
  EXPECT_EQ((*result)->error, Errc::timed_out);
  EXPECT_EQ(error_of(run(loop, read_to_end(client))), Errc::timed_out);
  EXPECT_EQ(error_of(run(loop, read_to_end(server))), Errc::timed_out);
}

// The upgrade to a websocket once left the deadline of the response's head behind.
TEST_F(SpliceTest, DeadlinesOfBeforeAreCleared) {
  std::tie(client, a) = make_memory_pair(loop);
  std::tie(b, server) = make_memory_pair(loop);
  a->set_deadline(Direction::receive, clock.now() + seconds(5));
  b->set_deadline(Direction::send, clock.now() + seconds(5));
  result = start(loop, splice(a, b));
  settle(loop);
  clock.advance(seconds(10));
  settle(loop);
  EXPECT_FALSE(over());
}

TEST_F(SpliceTest, BytesAreCountedAsTheyGo) {
  const auto counters = std::make_shared<SpliceCounters>();
  connect(kMemoryCapacity, {.counters = counters});
  ASSERT_TRUE(client->try_write(as_buffer("12345")));
  ASSERT_TRUE(server->try_write(as_buffer("123")));
  settle(loop);
  EXPECT_EQ(counters->forward, 5U);
  EXPECT_EQ(counters->backward, 3U);
}

TEST_F(SpliceTest, ACancelledCoroutineResetsBoth) {
  namespace asio = boost::asio;
  std::tie(client, a) = make_memory_pair(loop);
  std::tie(b, server) = make_memory_pair(loop);
  asio::cancellation_signal signal;
  std::optional<SpliceResult> ended;
  asio::co_spawn(loop.context(), splice(a, b),
                 asio::bind_cancellation_slot(
                     signal.slot(), [&](const std::exception_ptr&, SpliceResult r) { ended = r; }));
  settle(loop);
  signal.emit(asio::cancellation_type::terminal);
  settle(loop);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->cause, Cause::cancelled);
  EXPECT_TRUE(a->closed());
  EXPECT_EQ(error_of(run(loop, read_to_end(server))), Errc::cancelled);
}

// A connection that stands still keeps what its path has read. Many may be made to stand.
TEST(Splice, WhenManyStandStillTheNextOnesHoldLittle) {
  constexpr std::size_t kFull = 16UL * 1024;
  base::ManualClock clock;
  Loop loop{clock};
  struct Path {
    StreamPtr client;
    StreamPtr server;
  };
  std::vector<Path> paths;
  // As many bytes as the path took, before it stood.
  const auto stand = [&] {
    auto [client, a] = make_memory_pair(loop, kFull);
    auto [b, server] = make_memory_pair(loop, 100);
    start_splice(a, b, {}, [](const SpliceResult&) {});
    settle(loop);
    EXPECT_EQ(client->try_write(as_buffer(pattern(kFull))).value_or(0), kFull);
    settle(loop);
    paths.push_back({client, server});
    return client->try_write(as_buffer(pattern(kFull))).value_or(0);
  };
  for (std::size_t i = 0; i < kMaxStanding; ++i) {
    ASSERT_EQ(stand(), kFull);
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(stand(), kSmallBuffer);
  }
  // Nothing is lost on the way, and who comes when others have gone on is none the worse.
  EXPECT_EQ(run(loop, read_count(paths.back().server, kFull)).value_or(""), pattern(kFull));
  for (Path& path : paths) {
    path.server->reset();
  }
  settle(loop);
  EXPECT_EQ(stand(), kFull);
  paths.clear();
  settle(loop);
}

TEST(Splice, ALoopThatEndsDropsARunningSplice) {
  const auto witness = std::make_shared<int>(0);
  {
    base::ManualClock clock;
    Loop loop(clock);
    auto [client, a] = make_memory_pair(loop);
    auto [b, server] = make_memory_pair(loop);
    start_splice(a, b, {.idle_timeout = seconds(1)}, [witness](SpliceResult) { ++*witness; });
    a.reset();
    b.reset();
    settle(loop);
    EXPECT_EQ(witness.use_count(), 2);
    client.reset();
    server.reset();
  }
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_EQ(*witness, 0);
}

}  // namespace
}  // namespace simplon::net::test
