// Stream: every byte stream of Simplon. TCP, TLS, unix socket, memory pipe, a stream of a session,
// an OpenZiti connection.
//
// Shape of use: *try* first, *wait* only on would_block. Waiting holds no buffer, so an idle
// connection costs none.
//
// Ownership: shared, because a closing stream keeps itself alive until it has flushed (at most
// kCloseTimeout). Dropping the last reference without close() resets.
// Threads: everything is for the stream's loop only.
// Cancellation: cancel_wait() forgets a waiter without calling it; a waiter cancels its waits
// before it is destroyed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include "base/error.hpp"
#include "net/loop.hpp"

namespace simplon::net {

using base::Errc;
using base::Result;

/// Bytes to be written; not owned.
using Buffer = std::span<const std::byte>;

/// How long close() goes on flushing before it gives up and resets.
inline constexpr std::chrono::seconds kCloseTimeout{1};

enum class Direction : std::uint8_t { receive, send };

/// What can be waited for. `flushed`: all staged bytes have left this process.
enum class Event : std::uint8_t { readable, writable, flushed };
inline constexpr Direction direction_of(Event event) {
  return event == Event::readable ? Direction::receive : Direction::send;
}

/// Who is on the other side, as proven by the transport (TLS client or server certificate).
struct Peer {
  std::string name;         ///< the certificate's identity name
  std::string spki_sha256;  ///< 32 raw bytes: SHA-256 of the SubjectPublicKeyInfo
  std::string certificate;  ///< DER
};

/// One pending wait's receiver. The only callback of a stream.
class Waiter {
 public:
  /// `error` is empty when a try would progress (end of stream and errors count as progress:
  /// the try tells). Otherwise timed_out, closed, or what ended the stream.
  virtual void ready(Event event, std::error_code error) = 0;

 protected:
  ~Waiter() = default;
};

/// Learns that a stream was ended, although no wait on it is pending.
class EndWatcher {
 public:
  /// On this side, or by the peer's reset. Nothing is told behind it.
  virtual void ended() = 0;
  /// The peer ended its direction in order, behind bytes that may be unread: peek() has them.
  /// Sockets and memory streams tell; of others only a read does.
  virtual void peer_ended() {}

 protected:
  ~EndWatcher() = default;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(Loop& loop);
  virtual ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Loop& loop() const { return loop_; }

  /// Reads what is there now into `into` (not empty). 0: the peer ended its direction.
  /// Errors: would_block; reset, truncated, closed, or a typed reason, each for good.
  virtual Result<std::size_t> try_read(std::span<std::byte> into) = 0;

  /// Takes bytes from `from`, in order, at most all of them; they are staged, not delivered (wait
  /// for Event::flushed for that). would_block when not one byte could be taken.
  virtual Result<std::size_t> try_write(std::span<const Buffer> from) = 0;
  Result<std::size_t> try_write(Buffer from) { return try_write(std::span(&from, 1)); }

  /// Calls `waiter` once, never from within this call, when a try would progress, the direction's
  /// deadline passes, or the stream ends. One waiter per event.
  void wait(Event event, Waiter& waiter);
  /// Forgets the pending waiter, if any, without calling it.
  void cancel_wait(Event event);

  /// From now on waits of that direction end with timed_out at `when`; applies at once to a wait
  /// that is pending. A passed deadline fails waits until it is moved or cleared; tries are never
  /// affected.
  virtual void set_deadline(Direction direction, TimePoint when);
  void clear_deadline(Direction direction) { set_deadline(direction, TimePoint::max()); }

  /// Half-close: what is staged goes out, then end of stream; reading goes on. Idempotent.
  virtual void shutdown_send() = 0;

  /// Ends both directions after flushing, at most kCloseTimeout later. Pending waits wake with
  /// `closed`. Idempotent.
  void close();
  /// Ends both directions at once; `reason` travels to the peer where carries_reason(). Idempotent,
  /// and stronger than a close() that still flushes.
  void reset(std::error_code reason = {});
  bool closed() const { return state_ != State::open; }
  /// Calls the watcher, from later handlers, after close() or reset() of this end, or the peer's
  /// reset or end, also one that has happened. One at a time; null forgets it.
  void watch_end(EndWatcher* watcher) {
    end_watcher_ = watcher;
    if (watcher != nullptr) {
      start_end_watch();
    }
  }

  /// A copy of what came and was not read, which stays. Nothing where that is more than `most`, or
  /// this kind of stream cannot tell.
  virtual std::optional<std::string> peek(std::size_t most) {
    static_cast<void>(most);
    return std::nullopt;
  }

  /// Whether the peer of this kind of stream learns the reason given to reset().
  virtual bool carries_reason() const { return false; }
  /// The authenticated peer, or null.
  virtual const Peer* peer() const { return nullptr; }

 protected:
  /// Arrange for notify(event) once a try would progress. Called with no wait of that event pending
  /// before; may notify at once.
  virtual void start_wait(Event event) = 0;
  /// The wait was cancelled or timed out. A late notify() does no harm.
  virtual void stop_wait(Event event) = 0;
  /// From now on the peer's reset calls tell_end_watcher(), also one that has happened, and its end
  /// tell_peer_ended(). May be called again.
  virtual void start_end_watch() {}
  /// Flush what is staged, at most until kCloseTimeout from now, then free the resources.
  /// Implementations keep themselves alive with shared_from_this() while they flush.
  virtual void do_close() = 0;
  /// Free the resources now.
  virtual void do_reset(std::error_code reason) = 0;

  /// Wakes the waiter from a handler of the loop. Inside wait() it is deferred.
  void notify(Event event, std::error_code error = {});
  /// Wakes the waiter in a later handler: for callers that are in the middle of something.
  void notify_later(Event event, std::error_code error = {});
  /// Wakes all waiters, later.
  void notify_all(std::error_code error);
  /// Both directions are over, whoever ended them.
  void tell_end_watcher();
  /// The peer ended its direction; once for each watcher.
  void tell_peer_ended();
  bool waiting(Event event) const { return slot(event).waiter != nullptr; }

 private:
  enum class State : std::uint8_t { open, closing, reset };
  struct Slot {
    Waiter* waiter = nullptr;
    std::uint32_t generation = 0;  // tells a deferred wake-up from a later wait
    bool deferred = false;
    bool overdue = false;  // deferred because the deadline had passed when the wait began
  };
  struct Deadline {
    explicit Deadline(Loop& loop) : timer(loop) {}
    TimePoint when = TimePoint::max();
    Timer timer;
  };

  Slot& slot(Event event) { return slots_[static_cast<std::size_t>(event)]; }
  const Slot& slot(Event event) const { return slots_[static_cast<std::size_t>(event)]; }
  Deadline& deadline(Direction direction) { return direction == Direction::receive ? in_ : out_; }
  bool pending(Direction direction) const;
  void begin(Event event);
  void arm(Direction direction);
  void expire(Direction direction);
  void deliver(Event event, std::error_code error);

  Loop& loop_;
  std::array<Slot, 3> slots_{};
  Deadline in_;
  Deadline out_;
  EndWatcher* end_watcher_ = nullptr;
  State state_ = State::open;
  bool starting_wait_ = false;
};

using StreamPtr = std::shared_ptr<Stream>;

inline Buffer as_buffer(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace simplon::net
