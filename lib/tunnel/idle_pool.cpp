#include "tunnel/idle_pool.hpp"

#include <utility>

namespace simplon::tunnel {

net::StreamPtr IdlePool::take() {
  if (idle_.empty()) {
    return nullptr;
  }
  net::StreamPtr stream = std::move(idle_.back().stream);
  stream->cancel_wait(net::Event::readable);
  idle_.pop_back();
  arm();
  return stream;
}

void IdlePool::put(net::StreamPtr stream) {
  if (stream->closed()) {
    return;
  }
  if (closed_ || idle_.size() >= kMaxIdle) {
    stream->close();
    return;
  }
  stream->clear_deadline(net::Direction::receive);
  stream->clear_deadline(net::Direction::send);
  Idle& idle = idle_.emplace_back();
  idle.pool = this;
  idle.stream = std::move(stream);
  idle.until = loop_.now() + kMaxIdleTime;
  idle.self = std::prev(idle_.end());
  idle.stream->wait(net::Event::readable, idle);
  if (idle_.size() == 1) {
    arm();
  }
}

void IdlePool::close() {
  closed_ = true;
  sweep_.cancel();
  for (Idle& idle : idle_) {
    idle.stream->cancel_wait(net::Event::readable);
    idle.stream->close();
  }
  idle_.clear();
}

// End of stream, an error, or bytes out of turn: nobody may use it again.
void IdlePool::Idle::ready(net::Event, std::error_code) {
  const net::StreamPtr dropped = std::move(stream);
  IdlePool& owner = *pool;
  owner.idle_.erase(self);  // and *this with it
  owner.arm();
  dropped->close();
}

void IdlePool::sweep() {
  const net::TimePoint now = loop_.now();
  while (!idle_.empty() && idle_.front().until <= now) {
    const net::StreamPtr old = std::move(idle_.front().stream);
    old->cancel_wait(net::Event::readable);
    idle_.pop_front();
    old->close();
  }
  arm();
}

void IdlePool::arm() {
  if (idle_.empty()) {
    sweep_.cancel();
  } else if (!sweep_.armed() || sweep_.when() != idle_.front().until) {
    sweep_.arm(idle_.front().until, [this] { sweep(); });
  }
}

}  // namespace simplon::tunnel
