#include "overlay/ziti/late_stream.hpp"

#include <utility>

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using net::Event;

constexpr std::array kEvents{Event::readable, Event::writable, Event::flushed};

}  // namespace

LateStream::LateStream(net::Loop& loop, std::move_only_function<void()> given_up)
    : Stream(loop), given_up_(std::move(given_up)) {}

LateStream::~LateStream() { let_go(); }

void LateStream::arrive(net::StreamPtr below) {
  given_up_ = nullptr;
  if (closed()) {
    below->reset();
    return;
  }
  below_ = std::move(below);
  for (const Event event : kEvents) {
    if (waiting(event)) {
      below_->wait(event, *this);
    }
  }
  if (watched_) {
    below_->watch_end(this);
  }
  if (send_ended_) {
    below_->shutdown_send();
  }
}

void LateStream::fail(std::error_code why) {
  given_up_ = nullptr;
  if (closed() || below_ || failure_) {
    return;
  }
  failure_ = why;
  for (const Event event : kEvents) {
    notify_later(event);
  }
  if (watched_) {
    tell_end_watcher();
  }
}

net::Result<std::size_t> LateStream::try_read(std::span<std::byte> into) {
  if (closed()) {
    return base::fail(Errc::closed);
  }
  if (failure_) {
    return std::unexpected(failure_);
  }
  return below_ ? below_->try_read(into) : base::fail(Errc::would_block);
}

net::Result<std::size_t> LateStream::try_write(std::span<const net::Buffer> from) {
  if (closed() || send_ended_) {
    return base::fail(Errc::closed);
  }
  if (failure_) {
    return std::unexpected(failure_);
  }
  return below_ ? below_->try_write(from) : base::fail(Errc::would_block);
}

void LateStream::shutdown_send() {
  if (closed() || std::exchange(send_ended_, true)) {
    return;
  }
  if (below_) {
    below_->shutdown_send();
  } else {
    notify_later(Event::writable);  // a wait for room is over
    notify_later(Event::flushed);
  }
}

bool LateStream::carries_reason() const { return below_ && below_->carries_reason(); }
const net::Peer* LateStream::peer() const { return below_ ? below_->peer() : nullptr; }

void LateStream::start_wait(Event event) {
  if (failure_) {
    notify(event);
  } else if (below_) {
    below_->wait(event, *this);
  } else if (event == Event::flushed || (event == Event::writable && send_ended_)) {
    notify(event);  // nothing is staged
  }
}

void LateStream::stop_wait(Event event) {
  if (below_) {
    below_->cancel_wait(event);
  }
}

void LateStream::start_end_watch() {
  watched_ = true;
  if (failure_) {
    tell_end_watcher();
  } else if (below_ && !closed()) {
    below_->watch_end(this);
  }
}

void LateStream::do_close() {
  const auto keep = shared_from_this();
  let_go();
  if (below_) {
    below_->close();
  } else if (auto tell = std::exchange(given_up_, nullptr)) {
    tell();
  }
}

void LateStream::do_reset(std::error_code reason) {
  const auto keep = shared_from_this();
  let_go();
  if (below_) {
    below_->reset(reason);
  } else if (auto tell = std::exchange(given_up_, nullptr)) {
    tell();
  }
}

void LateStream::ready(Event event, std::error_code error) {
  const auto keep = shared_from_this();
  notify(event, error);
}

void LateStream::ended() { tell_end_watcher(); }

// Nothing below calls this any more.
void LateStream::let_go() {
  if (below_) {
    below_->watch_end(nullptr);
    for (const Event event : kEvents) {
      below_->cancel_wait(event);
    }
  }
}

}  // namespace simplon::overlay::ziti
