#include "net/loop.hpp"

#include <memory>
#include <mutex>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace simplon::net {

/// Lets a ManualClock that outlives the loop find out that the loop is gone.
struct Loop::Alive {
  std::mutex mutex;
  Loop* loop;
};

void Timer::arm(TimePoint when, std::move_only_function<void()> callback) {
  cancel();
  when_ = when;
  callback_ = std::move(callback);
  armed_ = true;
  loop_.add(*this);
}

void Timer::cancel() {
  if (armed_) {
    armed_ = false;
    loop_.remove(*this);
    callback_ = nullptr;
  }
}

Loop::Loop(Clock& clock) : clock_(clock), alive_(std::make_shared<Alive>()) {
  alive_->loop = this;
  if (!clock_.real()) {
    clock_.on_move([alive = alive_] {
      const std::lock_guard lock(alive->mutex);
      if (alive->loop != nullptr) {
        alive->loop->post([loop = alive->loop] { loop->fire_due(); });
      }
    });
  }
}

Loop::~Loop() {
  const std::lock_guard lock(alive_->mutex);
  alive_->loop = nullptr;
}

void Loop::run(bool until_idle) {
  if (until_idle) {
    context_.run();
  } else {
    const auto guard = boost::asio::make_work_guard(context_);
    context_.run();
  }
}

std::size_t Loop::poll() {
  context_.restart();
  return context_.poll();
}

void Loop::post(std::move_only_function<void()> work) {
  boost::asio::post(context_, std::move(work));
}

void Loop::at_end_of_turn(std::move_only_function<void()> work) {
  end_of_turn_.push_back(std::move(work));
  if (flush_posted_) {
    return;
  }
  // A posted handler runs after those that this turn of epoll made ready.
  flush_posted_ = true;
  boost::asio::post(context_, [this] {
    flush_posted_ = false;
    auto batch = std::exchange(end_of_turn_, {});
    for (auto& item : batch) {
      item();
    }
  });
}

void Loop::add(Timer& timer) {
  timers_.emplace(timer.when_, &timer);
  schedule_wakeup();
}

void Loop::remove(Timer& timer) { timers_.erase({timer.when_, &timer}); }

// The wake-up is moved only forward in time when it fires: cancelling a far deadline costs nothing,
// and the common case (a deadline armed and cleared for each request) never touches the kernel.
void Loop::schedule_wakeup() {
  if (timers_.empty() || timers_.begin()->first >= wakeup_at_) {
    return;
  }
  const TimePoint first = timers_.begin()->first;
  if (!clock_.real()) {
    if (first <= clock_.now()) {
      post([this] { fire_due(); });
    }
    return;
  }
  wakeup_at_ = first;
  wakeup_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(first));
  wakeup_.async_wait([this](boost::system::error_code error) {
    if (!error) {
      wakeup_at_ = TimePoint::max();
      fire_due();
    }
  });
}

void Loop::fire_due() {
  const TimePoint now = clock_.now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer& timer = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    timer.armed_ = false;
    auto callback = std::exchange(timer.callback_, nullptr);
    callback();  // may destroy or re-arm the timer
  }
  schedule_wakeup();
}

}  // namespace simplon::net
