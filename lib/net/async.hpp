// Coroutines over Stream: the life of a connection reads top to bottom, the hot path stays
// synchronous because each of these tries before it waits.
//
// Cancellation: a wait that is cancelled (asio's terminal cancellation) returns `cancelled`.
#pragma once

#include <functional>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "net/stream.hpp"

namespace simplon::net {

template <class T>
using awaitable = boost::asio::awaitable<T>;

/// Waits for the event; the error is what Waiter::ready was given.
awaitable<std::error_code> wait(Stream& stream, Event event);

/// At least one byte, or 0 at the end of the stream.
awaitable<Result<std::size_t>> read_some(Stream& stream, std::span<std::byte> into);

/// Exactly into.size() bytes; an earlier end is Errc::truncated.
awaitable<Result<void>> read_exactly(Stream& stream, std::span<std::byte> into);

/// All of the bytes are staged.
awaitable<Result<void>> write_all(Stream& stream, Buffer from);

/// All staged bytes have left.
awaitable<Result<void>> flush(Stream& stream);

/// Waits on the loop's clock.
awaitable<void> sleep_until(Loop& loop, TimePoint when);

/// A one-shot event of a loop: opened once, awaited by one coroutine at a time.
class Gate {
 public:
  explicit Gate(Loop& loop) : loop_(loop) {}
  /// A coroutine that still waits is destroyed.
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Wakes the waiting coroutine, later. On the loop's thread.
  void open();
  bool is_open() const { return open_; }
  /// True once open; false when `deadline` came first (then it can be awaited again) or the
  /// coroutine was cancelled.
  awaitable<bool> wait_until(TimePoint deadline = TimePoint::max());

 private:
  class Wait;
  template <class Handler>
  class WaitOp;

  Loop& loop_;
  bool open_ = false;
  Wait* waiting_ = nullptr;
};

/// Starts a coroutine on the loop; must be called on the loop's thread or before it runs. An
/// exception that leaves the coroutine is logged with `name` (and aborts nothing). Spawned
/// coroutines take their arguments by value.
void spawn(Loop& loop, std::string_view name, awaitable<void> body);

}  // namespace simplon::net
