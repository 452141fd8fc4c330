// Time as the event loops see it, replaceable in tests.
//
// Clock::now may be called from any thread. ManualClock only moves when a test says so; the loop
// that uses it learns of the move through the listener that the loop installs (net/loop.hpp).
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

namespace simplon::base {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  /// True when the time passes by itself, so that a loop may sleep until a deadline.
  virtual bool real() const { return true; }
  /// Calls `moved` whenever the clock jumped (never, for a real clock).
  virtual void on_move(std::function<void()> moved);
};

/// The process-wide steady clock.
Clock& steady_clock();

class ManualClock final : public Clock {
 public:
  TimePoint now() const override;
  bool real() const override { return false; }
  void on_move(std::function<void()> moved) override;
  void advance(Duration by);

 private:
  mutable std::mutex mutex_;
  TimePoint now_{std::chrono::hours(1)};
  std::vector<std::function<void()>> listeners_;
};

}  // namespace simplon::base
