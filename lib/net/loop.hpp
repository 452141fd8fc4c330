// An event loop: one io_context with one thread, its timers, and work for the end of each turn.
//
// Owned by whoever runs it (the agent's composition, or a test). Everything here is for the loop's
// own thread, except post(), stop() and context().
#pragma once

#include <cstdint>
#include <functional>
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

class Loop;

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
  TimePoint when() const { return when_; }

 private:
  friend class Loop;
  Loop& loop_;
  TimePoint when_{};
  bool armed_ = false;
  std::move_only_function<void()> callback_;
};

class Loop {
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

 private:
  friend class Timer;
  using Entry = std::pair<TimePoint, Timer*>;

  void add(Timer& timer);
  void remove(Timer& timer);
  void schedule_wakeup();
  void fire_due();

  Clock& clock_;
  boost::asio::io_context context_{1};
  boost::asio::steady_timer wakeup_{context_};
  TimePoint wakeup_at_ = TimePoint::max();
  std::set<Entry> timers_;
  std::vector<std::move_only_function<void()>> end_of_turn_;
  bool flush_posted_ = false;
  struct Alive;
  std::shared_ptr<Alive> alive_;
};

}  // namespace simplon::net
