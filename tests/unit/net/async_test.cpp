#include "net/async.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <gmock/gmock.h>

#include "net/memory.hpp"
#include "unit/net/harness.hpp"

namespace simplon::net::test {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

class AsyncTest : public testing::Test {
 protected:
  // Cancels with the signal; gives up `out` when it ends.
  template <class T>
  void run_cancellable(awaitable<T> body, std::optional<T>& out) {
    asio::co_spawn(
        loop.context(), std::move(body),
        asio::bind_cancellation_slot(
            signal.slot(), [&out](const std::exception_ptr&, T got) { out = std::move(got); }));
    settle(loop);
  }

  base::ManualClock clock;
  Loop loop{clock};
  asio::cancellation_signal signal;
};

TEST_F(AsyncTest, ACancelledWaitEndsOnceHoweverOftenItIsCancelled) {
  const auto [here, there] = make_memory_pair(loop);
  std::optional<Result<std::string>> out;
  run_cancellable(read_to_end(here), out);
  signal.emit(asio::cancellation_type::terminal);
  signal.emit(asio::cancellation_type::terminal);
  settle(loop);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error(), Errc::cancelled);
  ASSERT_TRUE(there->try_write(as_buffer("later")));
  EXPECT_EQ(run(loop, read_count(here, 5)), "later");
}

TEST_F(AsyncTest, AnEndBeforeTheCountIsATruncation) {
  const auto [here, there] = make_memory_pair(loop);
  ASSERT_TRUE(there->try_write(as_buffer("abc")));
  there->shutdown_send();
  EXPECT_EQ(error_of(run(loop, read_count(here, 4))), Errc::truncated);
}

TEST_F(AsyncTest, AGateWakesItsWaiterOnce) {
  Gate gate(loop);
  const auto opened = start(loop, gate.wait_until());
  settle(loop);
  EXPECT_FALSE(opened->has_value());
  gate.open();
  gate.open();
  settle(loop);
  EXPECT_TRUE(opened->value());
  EXPECT_TRUE(run(loop, gate.wait_until()));
}

TEST_F(AsyncTest, AGatesDeadlinePassesAndItCanBeAwaitedAgain) {
  Gate gate(loop);
  const auto first = start(loop, gate.wait_until(clock.now() + seconds(5)));
  settle(loop);
  clock.advance(seconds(5));
  settle(loop);
  EXPECT_FALSE(first->value());
  const auto second = start(loop, gate.wait_until());
  settle(loop);
  gate.open();
  settle(loop);
  EXPECT_TRUE(second->value());
}

TEST_F(AsyncTest, AGateThatOpensAndIsCancelledAtOnceWakesOnce) {
  Gate gate(loop);
  std::optional<bool> out;
  run_cancellable(gate.wait_until(), out);
  gate.open();
  signal.emit(asio::cancellation_type::terminal);
  settle(loop);
  EXPECT_EQ(out, true);
}

awaitable<void> hold(std::shared_ptr<int> witness, awaitable<bool> body) {
  co_await std::move(body);
  ++*witness;
}

awaitable<bool> wait_for_own_gate(Loop& loop) {
  Gate gate(loop);
  co_return co_await gate.wait_until(loop.now() + seconds(1));
}

awaitable<bool> wait_for_own_stream(Loop& loop) {
  const auto [here, there] = make_memory_pair(loop);
  co_return (co_await read_to_end(here)).has_value();
}

TEST(Async, ALoopThatEndsDestroysItsSuspendedCoroutines) {
  const auto witness = std::make_shared<int>(0);
  {
    base::ManualClock clock;
    Loop loop(clock);
    spawn(loop, "gate", hold(witness, wait_for_own_gate(loop)));
    spawn(loop, "stream", hold(witness, wait_for_own_stream(loop)));
    settle(loop);
    EXPECT_EQ(witness.use_count(), 3);
  }
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_EQ(*witness, 0);
}

}  // namespace
}  // namespace simplon::net::test
