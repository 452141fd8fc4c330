#include "net/splice.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/buffer_pool.hpp"

namespace simplon::net {
namespace {

namespace asio = boost::asio;

using Cause = SpliceResult::Cause;
using Done = std::move_only_function<void(SpliceResult)>;

// A direction passes on so much before others have their turn.
constexpr std::size_t kTurnBytes = 4 * kPooledBufferSize;

class Splice;

// How many directions hold bytes that their reader does not take. The bytes that one of them holds
// are all that a connection which stands still costs, and many may be made to.
std::atomic<std::size_t> standing = 0;

class Standing {
 public:
  ~Standing() { set(false); }
  void set(bool on) {
    if (on != std::exchange(on_, on)) {
      on ? ++standing : --standing;
    }
  }

 private:
  bool on_ = false;
};

// One direction.
class Pump final : public Waiter {
 public:
  Pump(Splice& owner, Stream& from, Stream& to, Cause from_failed, Cause to_failed)
      : owner_(owner), from_(from), to_(to), from_failed_(from_failed), to_failed_(to_failed) {}
  ~Pump() = default;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  void run();
  void cancel_waits();
  void ready(Event event, std::error_code error) override;
  bool ended() const { return ended_; }
  std::uint64_t moved() const { return moved_; }

 private:
  std::span<std::byte> take_buffer();
  void release_buffer();
  bool write_held();
  void pass_on_end();

  Splice& owner_;
  Stream& from_;
  Stream& to_;
  Cause from_failed_;
  Cause to_failed_;
  PooledBuffer buffer_;
  std::unique_ptr<std::byte[]> small_;  // instead, when too many stand still
  Buffer held_;                         // in one of them: read and not yet written
  Standing standing_;
  std::uint64_t moved_ = 0;
  bool ended_ = false;  // the end was passed on and has left
};

class Splice final : public Operation, public std::enable_shared_from_this<Splice> {
 public:
  Splice(StreamPtr a, StreamPtr b, SpliceOptions options, Done done)
      : Operation(a->loop()),
        a_(std::move(a)),
        b_(std::move(b)),
        options_(std::move(options)),
        done_(std::move(done)),
        forward_(*this, *a_, *b_, Cause::a_failed, Cause::b_failed),
        backward_(*this, *b_, *a_, Cause::b_failed, Cause::a_failed),
        idle_(loop()) {}

  ~Splice() {
    if (!finished_) {
      cancel_waits();
    }
  }

  void start() {
    self_ = shared_from_this();
    for (const Direction direction : {Direction::receive, Direction::send}) {
      a_->clear_deadline(direction);
      b_->clear_deadline(direction);
    }
    // While both directions wait for b, nothing else would tell that a was ended here.
    a_->watch_end(&a_end_);
    b_->watch_end(&b_end_);
    active_at_ = loop().now();
    watch_idle();
    next_turn(forward_);
    next_turn(backward_);
  }

  Loop& loop() { return a_->loop(); }

  // In a later handler.
  void next_turn(Pump& pump) {
    loop().post([weak = weak_from_this(), &pump, failing = failing()] {
      // A turn of before a failure is no turn any more.
      if (const auto self = weak.lock(); self && !self->finished_ && failing == self->failing()) {
        pump.run();
      }
    });
  }

  void moved(const Pump& pump, std::size_t bytes) {
    if (options_.idle_timeout > Duration::zero()) {
      active_at_ = loop().now();
    }
    if (options_.counters) {
      auto& counter = &pump == &forward_ ? options_.counters->forward : options_.counters->backward;
      counter.fetch_add(bytes, std::memory_order_relaxed);
    }
  }

  void direction_ended() {
    if (failed_) {
      finish(failed_->cause, failed_->error);
    } else if (forward_.ended() && backward_.ended()) {
      finish(Cause::ended, {});
    }
  }

  bool failing() const { return failed_.has_value(); }

  // The reader's word for what failed, which may know more than the first sign of it did.
  void failed_with(std::error_code error) {
    if (failed_->error == Errc::reset) {
      failed_->error = error;
    }
  }

  // One side is broken. What it sent before may still be on its way: a server that answers, and
  // closes without having read everything, is a reset right behind its answer. `rest` brings that.
  void fail(Cause cause, std::error_code error, Pump& rest) {
    if (finished_) {
      return;
    }
    if (failed_ || rest.ended()) {
      finish(failed_ ? failed_->cause : cause, failed_ ? failed_->error : error);
      return;
    }
    failed_ = {cause, error};
    forward_.cancel_waits();
    backward_.cancel_waits();
    idle_.arm(loop().now() + kCloseTimeout, [this] {
      const auto keep = shared_from_this();
      finish(failed_->cause, failed_->error);
    });
    next_turn(rest);
  }

  // The pump that reads what this one writes to.
  Pump& opposite(const Pump& pump) { return &pump == &forward_ ? backward_ : forward_; }

  void finish(Cause cause, std::error_code error) {
    if (std::exchange(finished_, true)) {
      return;
    }
    cancel_waits();
    idle_.cancel();
    switch (cause) {
      case Cause::ended:
        a_->close();
        b_->close();
        break;
      case Cause::a_failed:
        b_->reset(reason_for_peer(error));
        a_->reset();
        break;
      case Cause::b_failed:
        a_->reset(reason_for_peer(error));
        b_->reset();
        break;
      case Cause::idle:
      case Cause::cancelled:
        a_->reset(error);
        b_->reset(error);
        break;
    }
    const SpliceResult result{
        .forward = forward_.moved(), .backward = backward_.moved(), .cause = cause, .error = error};
    loop().post([done = std::move(done_), result]() mutable { done(result); });
    // The caller, a pump of this object, holds another reference.
    const auto last = std::move(self_);
  }

 private:
  void abandon() override { const auto last = std::move(self_); }

  void side_ended(const Stream& side, Cause cause) {
    const auto keep = shared_from_this();
    if (side.closed()) {
      finish(cause, make_error_code(Errc::closed));
    } else if (!failed_) {  // by its peer; the reading tells why
      fail(cause, make_error_code(Errc::reset), &side == a_.get() ? forward_ : backward_);
    }
  }

  struct End final : EndWatcher {
    End(Splice& splice, Stream& stream, Cause failed)
        : owner(splice), side(stream), cause(failed) {}
    void ended() override { owner.side_ended(side, cause); }
    Splice& owner;
    Stream& side;
    Cause cause;
  };

  // What a stream of ours was ended with locally says nothing to the other's peer.
  static std::error_code reason_for_peer(std::error_code error) {
    return error == Errc::closed ? std::error_code{} : error;
  }

  void cancel_waits() {
    forward_.cancel_waits();
    backward_.cancel_waits();
    a_->watch_end(nullptr);
    b_->watch_end(nullptr);
  }

  // Moved only when it fires: a byte costs a store, not a timer.
  void watch_idle() {
    if (options_.idle_timeout <= Duration::zero()) {
      return;
    }
    const TimePoint due = active_at_ + options_.idle_timeout;
    idle_.arm(due, [this] {
      const auto keep = shared_from_this();
      if (loop().now() >= active_at_ + options_.idle_timeout) {
        finish(Cause::idle, make_error_code(Errc::timed_out));
      } else {
        watch_idle();
      }
    });
  }

  const StreamPtr a_;
  const StreamPtr b_;
  SpliceOptions options_;
  Done done_;
  Pump forward_;
  Pump backward_;
  End a_end_{*this, *a_, Cause::a_failed};
  End b_end_{*this, *b_, Cause::b_failed};
  Timer idle_;
  TimePoint active_at_{};
  struct Failed {
    Cause cause;
    std::error_code error;
  };
  std::optional<Failed> failed_;  // the rest of what that side sent is being passed on
  bool finished_ = false;
  std::shared_ptr<Splice> self_;  // until it has ended
};

void Pump::cancel_waits() {
  from_.cancel_wait(Event::readable);
  to_.cancel_wait(Event::writable);
  to_.cancel_wait(Event::flushed);
}

void Pump::ready(Event event, std::error_code error) {
  const auto keep = owner_.shared_from_this();
  if (error && event == Event::readable) {
    owner_.fail(from_failed_, error, *this);
  } else if (error) {
    owner_.fail(to_failed_, error, owner_.opposite(*this));
  } else if (event == Event::flushed) {
    ended_ = true;
    owner_.direction_ended();
  } else {
    run();
  }
}

// Nothing more comes. Until the rest has left, the end is not passed on: close() would wait for a
// second only, and reset() not at all.
void Pump::pass_on_end() {
  if (!owner_.failing()) {
    to_.shutdown_send();
  }
  to_.wait(Event::flushed, *this);
}

// False: waits, or the splice is over.
bool Pump::write_held() {
  while (!held_.empty()) {
    const auto put = to_.try_write(held_);
    if (!put) {
      if (put.error() == Errc::would_block) {
        standing_.set(true);
        to_.wait(Event::writable, *this);
      } else {
        owner_.fail(to_failed_, put.error(), owner_.opposite(*this));
      }
      return false;
    }
    held_ = held_.subspan(*put);
    moved_ += *put;
    owner_.moved(*this, *put);
  }
  standing_.set(false);
  return true;
}

std::span<std::byte> Pump::take_buffer() {
  if (buffer_) {
    return buffer_.bytes();
  }
  if (standing >= kMaxStanding) {
    if (!small_) {
      small_ = std::make_unique_for_overwrite<std::byte[]>(kSmallBuffer);
    }
    return {small_.get(), kSmallBuffer};
  }
  small_.reset();
  buffer_ = PooledBuffer::take();
  return buffer_.bytes();
}

void Pump::release_buffer() {
  buffer_.release();
  small_.reset();
}

void Pump::run() {
  const auto keep = owner_.shared_from_this();
  if (!write_held()) {
    return;
  }
  const std::span<std::byte> buffer = take_buffer();
  for (std::size_t left = kTurnBytes; left > 0;) {
    const auto got = from_.try_read(buffer);
    if (!got || *got == 0) {
      release_buffer();
      if (!got && got.error() == Errc::would_block) {
        from_.wait(Event::readable, *this);
      } else if (got) {
        pass_on_end();
      } else if (owner_.failing()) {
        owner_.failed_with(got.error());
        pass_on_end();
      } else {
        owner_.fail(from_failed_, got.error(), *this);
      }
      return;
    }
    held_ = Buffer(buffer.first(*got));
    if (!write_held()) {
      return;
    }
    left -= std::min(left, *got);
  }
  release_buffer();
  owner_.next_turn(*this);
}

// A coroutine's splice.
template <class Handler>
void start_for(Handler handler, StreamPtr a, StreamPtr b, SpliceOptions options) {
  auto slot = asio::get_associated_cancellation_slot(handler);
  const auto splice =
      std::make_shared<Splice>(std::move(a), std::move(b), std::move(options),
                               [slot, handler = std::move(handler)](SpliceResult result) mutable {
                                 if (slot.is_connected()) {
                                   slot.clear();
                                 }
                                 std::move(handler)(result);
                               });
  if (slot.is_connected()) {
    slot.assign([weak = std::weak_ptr(splice)](asio::cancellation_type) {
      if (const auto running = weak.lock()) {
        running->finish(Cause::cancelled, make_error_code(Errc::cancelled));
      }
    });
  }
  splice->start();
}

}  // namespace

awaitable<SpliceResult> splice(StreamPtr a, StreamPtr b, SpliceOptions options) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(SpliceResult)>(
      [&a, &b, &options](auto handler) {
        auto complete = std::move(handler);
        start_for(std::move(complete), std::move(a), std::move(b), std::move(options));
      },
      asio::use_awaitable);
}

void start_splice(StreamPtr a, StreamPtr b, SpliceOptions options, Done done) {
  std::make_shared<Splice>(std::move(a), std::move(b), std::move(options), std::move(done))
      ->start();
}

}  // namespace simplon::net
