#include "net/loop.hpp"

#include <mutex>
#include <system_error>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "net/end_poll.hpp"

namespace simplon::net {

/// Lets a clock or another thread that outlives the loop find out that the loop is gone.
struct Loop::Alive {
  std::mutex mutex;
  Loop* loop = nullptr;
};

void Timer::arm(TimePoint when, std::move_only_function<void()> callback) {
  cancel();
  when_ = when;
  callback_ = std::move(callback);
  loop_.add(*this);
}

void Timer::cancel() {
  if (armed_) {
    loop_.remove(*this);
    const auto dropped = std::exchange(callback_, nullptr);
  }
}

Operation::Operation(Loop& loop) : loop_(loop), next_(loop.operations_) {
  if (next_ != nullptr) {
    next_->previous_ = this;
  }
  loop.operations_ = this;
}

Operation::~Operation() {
  (previous_ != nullptr ? previous_->next_ : loop_.operations_) = next_;
  if (next_ != nullptr) {
    next_->previous_ = previous_;
  }
}

Loop::Loop(Clock& clock) : clock_(clock), alive_(std::make_shared<Alive>()) {
  alive_->loop = this;
  if (!clock_.real()) {
    clock_.on_move([poster = poster(), this] { poster.post([this] { fire_due(); }); });
  }
}

Loop::~Loop() {
  {
    const std::lock_guard lock(alive_->mutex);
    alive_->loop = nullptr;
  }
  ending_ = true;
  while (operations_ != nullptr) {
    operations_->abandon();
  }
  // A callback may own the object that owns its timer, and others.
  while (!timers_.empty()) {
    Timer& timer = *timers_.begin()->second;
    remove(timer);
    const auto dropped = std::exchange(timer.callback_, nullptr);
  }
  end_of_turn_.clear();
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

bool Loop::Poster::post(std::move_only_function<void()> work) const {
  const std::lock_guard lock(alive_->mutex);
  if (alive_->loop == nullptr) {
    return false;
  }
  alive_->loop->post(std::move(work));
  return true;
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

std::shared_ptr<EndPoll> Loop::end_poll() {
  if (!end_poll_) {
    try {
      end_poll_ = std::make_shared<EndPoll>(context_);
    } catch (const std::system_error&) {
      return nullptr;  // no descriptor is left: perhaps there is one next time
    }
  }
  return end_poll_;
}

void Loop::add(Timer& timer) {
  if (ending_) {
    const auto dropped = std::exchange(timer.callback_, nullptr);
    return;
  }
  if (timer.node_) {
    timer.node_.value() = {timer.when_, &timer};
    timer.position_ = timers_.insert(std::move(timer.node_)).position;
  } else {
    timer.position_ = timers_.emplace(timer.when_, &timer).first;
  }
  timer.armed_ = true;
  schedule_wakeup();
}

void Loop::remove(Timer& timer) {
  timer.armed_ = false;
  timer.node_ = timers_.extract(timer.position_);
}

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
  // Only those that are due at this moment: a callback that arms a timer in the past again must not
  // keep the loop from its other work.
  std::size_t due = 0;
  for (auto it = timers_.begin(); it != timers_.end() && it->first <= now; ++it) {
    ++due;
  }
  for (; due > 0 && !timers_.empty() && timers_.begin()->first <= now; --due) {
    Timer& timer = *timers_.begin()->second;
    remove(timer);
    auto callback = std::exchange(timer.callback_, nullptr);
    callback();  // may destroy or re-arm the timer
  }
  schedule_wakeup();
}

}  // namespace simplon::net
