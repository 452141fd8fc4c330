#include <algorithm>

#include "overlay/embedded/session_core.hpp"

namespace simplon::overlay {

using net::Errc;
using net::Event;
using net::Result;

SessionStream::SessionStream(std::shared_ptr<SessionCore> session, std::uint32_t id,
                             std::uint32_t send_window, std::uint32_t receive_window)
    : Stream(session->loop()),
      session_(std::move(session)),
      id_(id),
      send_window_(send_window),
      window_(receive_window),
      credit_(receive_window),
      last_grant_(loop().now()),
      round_start_(last_grant_) {}

SessionStream::~SessionStream() {
  session_->forget_flush(*this);
  if (attached_) {
    session_->send_reset(*this, kNoReason);
  }
  drop_unread();
  session_->budget().unpromise(promised_);
}

Result<std::size_t> SessionStream::try_read(std::span<std::byte> into) {
  if (closed()) {
    return base::fail(Errc::closed);
  }
  std::size_t count = 0;
  if (!queue_.empty()) {
    const std::size_t before = queue_.memory();
    count = queue_.pop(into);
    account(before);
  } else if (!direct_.empty()) {
    count = std::min(into.size(), direct_.size());
    std::ranges::copy(direct_.first(count), into.begin());
    direct_ = direct_.subspan(count);
  } else if (receive_failure_) {
    return std::unexpected(receive_failure_);
  } else {
    return received_fin_ ? Result<std::size_t>(0) : base::fail(Errc::would_block);
  }
  consumed(count);
  return count;
}

Result<std::size_t> SessionStream::try_write(std::span<const net::Buffer> from) {
  if (closed() || sent_fin_) {
    return base::fail(Errc::closed);
  }
  if (send_failure_) {
    return std::unexpected(send_failure_);
  }
  if (std::ranges::all_of(from, &net::Buffer::empty)) {
    return 0;
  }
  const std::size_t count = session_->take(*this, from);
  return count == 0 ? base::fail(Errc::would_block) : Result<std::size_t>(count);
}

void SessionStream::shutdown_send() {
  if (!closed() && !sent_fin_ && attached_) {
    session_->send_fin(*this);
  }
}

void SessionStream::start_wait(Event event) {
  switch (event) {
    case Event::readable:
      if (!queue_.empty() || !direct_.empty() || receive_failure_ || received_fin_) {
        notify(event);
      }
      break;
    case Event::writable:
      if (send_failure_ || sent_fin_ || session_->has_room(*this)) {
        notify(event);
      } else if (send_window_ != 0) {
        session_->park(*this);
      }
      break;
    case Event::flushed:
      if (send_failure_) {
        notify(event, send_failure_);
      } else {
        session_->await_flush(*this);
      }
      break;
  }
}

void SessionStream::stop_wait(Event event) {
  if (event == Event::flushed) {
    session_->forget_flush(*this);
  }
}

void SessionStream::start_end_watch() {
  if (send_failure_ && (!received_fin_ || queue_.empty())) {
    tell_end_watcher();
  }
}

void SessionStream::do_close() {
  const bool unread = !queue_.empty() || !direct_.empty();
  drop_unread();
  if (!attached_) {
    return;
  }
  if (!sent_fin_) {
    session_->send_fin(*this);
  }
  if (attached_) {
    attached_ = false;
    session_->abandon(*this, unread);
  }
}

void SessionStream::do_reset(std::error_code reason) {
  drop_unread();
  // After close() the session may still wait for the peer's end under this number.
  if (std::exchange(attached_, false) || (sent_fin_ && !received_fin_ && !send_failure_)) {
    session_->send_reset(*this, to_wire(reason));
  }
}

// A waiting reader is offered the bytes where they are; only what it leaves is queued.
void SessionStream::receive(std::span<const std::byte> bytes) {
  if (queue_.empty() && waiting(Event::readable)) {
    direct_ = bytes;
    notify(Event::readable);
    bytes = std::exchange(direct_, {});
    if (closed() || receive_failure_) {
      return;
    }
  }
  if (!bytes.empty()) {
    const std::size_t before = queue_.memory();
    queue_.push(bytes);
    account(before);
  }
}

void SessionStream::receive_fin() {
  received_fin_ = true;
  notify(Event::readable);
}

void SessionStream::widen(std::uint32_t more_to_send, std::uint32_t more_to_receive) {
  send_window_ += more_to_send;
  window_ += more_to_receive;
  credit_ += more_to_receive;
  if (more_to_send != 0) {
    notify_later(Event::writable);
  }
}

bool SessionStream::add_credit(std::uint32_t credit) {
  if (credit > std::numeric_limits<std::uint32_t>::max() - send_window_) {
    return false;
  }
  send_window_ += credit;
  if (waiting(Event::writable) && !parked_ && send_window_ != 0) {
    if (session_->has_room(*this)) {
      notify(Event::writable);
    } else {
      session_->park(*this);
    }
  }
  return true;
}

void SessionStream::detach() {
  attached_ = false;
  if (!queue_.empty() && !std::exchange(listed_, true)) {
    session_->keep_unread(*this);
  }
}

void SessionStream::fail(std::error_code why) {
  send_failure_ = why;
  held_ = nullptr;
  if (!received_fin_) {
    receive_failure_ = why;
    drop_unread();
  }
  detach();
  notify_later(Event::readable);
  notify_later(Event::writable);
  notify_later(Event::flushed, why);
  // What came before an end in order is still to be read.
  if (!received_fin_ || queue_.empty()) {
    tell_end_watcher();
  }
}

// Credit goes back in halves of the window, or in steps of a large one.
void SessionStream::consumed(std::size_t count) {
  taken_ += count;
  drained_ += static_cast<std::uint32_t>(count);
  const std::uint32_t step = window_ > kStalledWindow ? kCreditStep : window_ / 2;
  if (!attached_ || received_fin_ || drained_ < step) {
    return;
  }
  const net::TimePoint now = loop().now();
  const auto grant = static_cast<std::uint32_t>(drained_ + resize(now));
  credit_ += grant;
  drained_ = 0;
  last_grant_ = now;
  if (grant != 0) {
    session_->send_credit(id_, grant);
  }
}

// A window that its reader empties faster than a few round trips is what limits the stream: then it
// grows. A large one whose reader has become slow shrinks, by credit that is not given back.
std::int64_t SessionStream::resize(net::TimePoint now) {
  round_bytes_ += drained_;
  std::int64_t change = 0;
  if (window_ < kStalledWindow) {
    change = session_->growth(window_, drained_, now - last_grant_);
  } else {
    const auto wanted = session_->long_growth(window_, round_bytes_, now - round_start_);
    if (!wanted) {
      return 0;
    }
    change = std::max(*wanted, -static_cast<std::int64_t>(std::min(drained_, promised_)));
  }
  round_start_ = now;
  round_bytes_ = 0;
  if (change < 0) {
    session_->budget().unpromise(static_cast<std::size_t>(-change));
  }
  promised_ = static_cast<std::uint32_t>(promised_ + change);
  window_ = static_cast<std::uint32_t>(window_ + change);
  return change;
}

void SessionStream::drop_unread() {
  const std::size_t before = queue_.memory();
  queue_.clear();
  direct_ = {};
  account(before);
}

void SessionStream::account(std::size_t before) {
  if (queue_.memory() > before) {
    session_->budget().use(*session_, queue_.memory() - before);
  } else if (queue_.memory() < before) {
    session_->budget().release(*session_, before - queue_.memory());
  }
  if (queue_.empty() && std::exchange(listed_, false)) {
    session_->forget_unread(*this);
  }
  const bool swollen = queue_.size() > kStalledWindow;
  if (swollen != std::exchange(swollen_, swollen)) {
    if (swollen) {
      session_->watch_reader(*this);
    } else {
      session_->unwatch_reader(*this);
    }
  }
}

}  // namespace simplon::overlay
