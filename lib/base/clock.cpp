#include "base/clock.hpp"

#include <utility>

namespace simplon::base {

void Clock::on_move(std::function<void()>) {}

Clock& steady_clock() {
  class Steady final : public Clock {
    TimePoint now() const override { return std::chrono::steady_clock::now(); }
  };
  static Steady instance;
  return instance;
}

TimePoint ManualClock::now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

void ManualClock::on_move(std::function<void()> moved) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(moved));
}

void ManualClock::advance(Duration by) {
  std::vector<std::function<void()>> listeners;
  {
    const std::lock_guard lock(mutex_);
    now_ += by;
    listeners = listeners_;
  }
  for (const auto& moved : listeners) {
    moved();
  }
}

}  // namespace simplon::base
