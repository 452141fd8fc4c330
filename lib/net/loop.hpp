// An event loop: one io_context with one thread, its timers, and work for the end of each turn.
//
// Owned by whoever runs it (the agent's composition, or a test). Everything here is for the loop's
// own thread, except post(), poster(), stop() and context().
// End: destroying the loop drops what was still posted, armed or pending (Operation), without
// calling it. Objects that such work kept alive are destroyed then, while the loop's timers can
// still be cancelled.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/clock.hpp"

namespace simplon::net {

using base::Clock;
using base::Duration;
using base::TimePoint;

class EndPoll;
class Loop;
class Operation;
class Timer;

/// All armed timers of a loop by time. A timer keeps its node when it is disarmed, so that the
/// common case (a deadline armed and cleared for each request) allocates nothing.
using TimerQueue = std::set<std::pair<TimePoint, Timer*>>;

/// A one-shot timer of a loop. Destroying or cancelling it guarantees that the callback is not
/// called any more. Arming an armed timer moves it.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(TimePoint when, std::move_only_function<void()> callback);
  void cancel();
  bool armed() const { return armed_; }
  /// The time it was last armed for.
  TimePoint when() const { return when_; }

 private:
  friend class Loop;
  Loop& loop_;
  TimePoint when_{};
  bool armed_ = false;
  TimerQueue::iterator position_{};  // while armed
  TimerQueue::node_type node_;       // while not
  std::move_only_function<void()> callback_;
};

/// Something that waits and that nobody owns until it completes: a suspended coroutine, a splice.
/// The loop knows those that are left when it ends, and drops them. On the loop's thread.
class Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 protected:
  explicit Operation(Loop& loop);
  ~Operation();

 private:
  friend class Loop;
  /// Destroys the operation without completing it.
  virtual void abandon() = 0;

  Loop& loop_;
  Operation* previous_ = nullptr;
  Operation* next_ = nullptr;
};

class Loop {
 private:
  struct Alive;

 public:
  explicit Loop(Clock& clock = base::steady_clock());
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& context() { return context_; }
  Clock& clock() { return clock_; }
  TimePoint now() const { return clock_.now(); }

  /// Runs until stop(), or until nothing is left to do where `until_idle` is true.
  void run(bool until_idle = false);
  /// Handlers that are ready now, and the work they leave for the end of the turn. For tests.
  std::size_t poll();
  void stop() { context_.stop(); }

  /// From any thread: calls `work` on the loop.
  void post(std::move_only_function<void()> work);
  /// Calls `work` once, after the handlers that are ready now: where frames of many streams are
  /// coalesced into one send. Work added meanwhile waits for the next turn.
  void at_end_of_turn(std::move_only_function<void()> work);

  /// Posts to a loop that may be gone by then: for other threads' answers. Any thread.
  class Poster {
   public:
    /// False, and `work` destroyed on this thread, when the loop is gone.
    bool post(std::move_only_function<void()> work) const;

   private:
    friend class Loop;
    explicit Poster(std::shared_ptr<Alive> alive) : alive_(std::move(alive)) {}
    std::shared_ptr<Alive> alive_;
  };
  Poster poster() const { return Poster(alive_); }
  /// Made when it is first asked for; null where that fails.
  std::shared_ptr<EndPoll> end_poll();

 private:
  friend class Operation;
  friend class Timer;

  void add(Timer& timer);
  void remove(Timer& timer);
  void schedule_wakeup();
  void fire_due();

  Clock& clock_;
  std::shared_ptr<Alive> alive_;
  bool ending_ = false;
  Operation* operations_ = nullptr;  // the head of a list
  // Before the context: what its handlers keep alive cancels timers while the context dies.
  TimerQueue timers_;
  std::vector<std::move_only_function<void()>> end_of_turn_;
  bool flush_posted_ = false;
  TimePoint wakeup_at_ = TimePoint::max();
  boost::asio::io_context context_{1};
  boost::asio::steady_timer wakeup_{context_};
  std::shared_ptr<EndPoll> end_poll_;
};

}  // namespace simplon::net
