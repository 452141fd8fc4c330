#include "net/stream.hpp"

#include <utility>

namespace simplon::net {

Stream::Stream(Loop& loop) : loop_(loop), in_(loop), out_(loop) {}

Stream::~Stream() = default;

void Stream::wait(Event event, Waiter& waiter) {
  Slot& s = slot(event);
  s.waiter = &waiter;
  ++s.generation;
  s.deferred = false;
  s.overdue = false;
  if (closed()) {
    notify_later(event, make_error_code(Errc::closed));
    return;
  }
  begin(event);
}

void Stream::begin(Event event) {
  const Direction direction = direction_of(event);
  if (deadline(direction).when != TimePoint::max()) {
    if (deadline(direction).when <= loop_.now()) {
      notify_later(event, make_error_code(Errc::timed_out));
      slot(event).overdue = true;
      return;
    }
    arm(direction);
  }
  const bool outer = std::exchange(starting_wait_, true);
  start_wait(event);
  starting_wait_ = outer;
}

void Stream::cancel_wait(Event event) {
  Slot& s = slot(event);
  if (s.waiter == nullptr) {
    return;
  }
  s.waiter = nullptr;
  s.deferred = false;
  s.overdue = false;
  ++s.generation;
  if (!pending(direction_of(event))) {
    deadline(direction_of(event)).timer.cancel();
  }
  if (!closed()) {
    stop_wait(event);
  }
}

void Stream::set_deadline(Direction direction, TimePoint when) {
  Deadline& d = deadline(direction);
  d.when = when;
  if (when == TimePoint::max()) {
    d.timer.cancel();
  } else if (pending(direction)) {
    arm(direction);
  }
  // A wait that was about to fail because the old deadline had passed begins only now.
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    Slot& s = slot(event);
    if (direction_of(event) == direction && s.waiter != nullptr && s.overdue &&
        when > loop_.now() && !closed()) {
      s.overdue = false;
      s.deferred = false;
      ++s.generation;
      begin(event);
    }
  }
}

void Stream::close() {
  if (state_ != State::open) {
    return;
  }
  state_ = State::closing;
  notify_all(make_error_code(Errc::closed));
  tell_end_watcher();
  do_close();
}

void Stream::reset(std::error_code reason) {
  if (state_ == State::reset) {
    return;
  }
  state_ = State::reset;
  notify_all(make_error_code(Errc::closed));
  tell_end_watcher();
  do_reset(reason);
}

void Stream::tell_end_watcher() {
  if (end_watcher_ == nullptr) {
    return;
  }
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->end_watcher_ != nullptr) {
      std::exchange(self->end_watcher_, nullptr)->ended();
    }
  });
}

void Stream::tell_peer_ended() {
  if (end_watcher_ == nullptr) {
    return;
  }
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->end_watcher_ != nullptr) {
      self->end_watcher_->peer_ended();
    }
  });
}

bool Stream::pending(Direction direction) const {
  if (direction == Direction::receive) {
    return waiting(Event::readable);
  }
  return waiting(Event::writable) || waiting(Event::flushed);
}

void Stream::arm(Direction direction) {
  deadline(direction).timer.arm(deadline(direction).when, [this, direction] { expire(direction); });
}

void Stream::expire(Direction direction) {
  const auto self = shared_from_this();
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    if (direction_of(event) == direction && waiting(event)) {
      stop_wait(event);
      deliver(event, make_error_code(Errc::timed_out));
    }
  }
}

void Stream::notify(Event event, std::error_code error) {
  if (starting_wait_) {
    notify_later(event, error);
  } else {
    deliver(event, error);
  }
}

void Stream::notify_later(Event event, std::error_code error) {
  Slot& s = slot(event);
  if (s.waiter == nullptr || s.deferred) {
    return;
  }
  s.deferred = true;
  loop_.post([weak = weak_from_this(), event, error, generation = s.generation] {
    if (const auto self = weak.lock(); self && self->slot(event).generation == generation) {
      self->deliver(event, error);
    }
  });
}

void Stream::notify_all(std::error_code error) {
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    notify_later(event, error);
  }
}

void Stream::deliver(Event event, std::error_code error) {
  Slot& s = slot(event);
  Waiter* waiter = std::exchange(s.waiter, nullptr);
  s.deferred = false;
  s.overdue = false;
  if (waiter == nullptr) {
    return;
  }
  ++s.generation;
  if (!pending(direction_of(event))) {
    deadline(direction_of(event)).timer.cancel();
  }
  waiter->ready(event, error);
}

}  // namespace simplon::net
