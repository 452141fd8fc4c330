#include "overlay/ziti/circuit_stream.hpp"

#include <algorithm>

#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {

using net::Errc;
using net::Event;
using net::Result;

CircuitStream::CircuitStream(std::shared_ptr<ChannelCore> channel, std::uint32_t id,
                             const std::optional<CircuitKeys>& keys)
    : Stream(channel->loop()), channel_(std::move(channel)), id_(id) {
  if (keys) {
    sealer_.emplace(*keys);
    opener_.emplace(*keys);
  }
}

CircuitStream::~CircuitStream() {
  channel_->forget_flush(*this);
  drop_unread();
  if (attached_) {
    send_closed();
  }
}

void CircuitStream::begin() {
  if (sealer_) {
    std::vector<std::byte>& to = channel_->data_batch(*this);
    FrameWriter writer(to, content::kData, channel_->next_sequence());
    announce(writer, 0);
    writer.body(sealer_->header());
  }
}

Result<std::size_t> CircuitStream::try_read(std::span<std::byte> into) {
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
  if (const auto more = window_.read(count); more && attached_ && !sent_fin_ && !received_fin_) {
    grant(*more);
  }
  return count;
}

Result<std::size_t> CircuitStream::try_write(std::span<const net::Buffer> from) {
  if (closed() || sent_fin_) {
    return base::fail(Errc::closed);
  }
  if (send_failure_) {
    return std::unexpected(send_failure_);
  }
  if (std::ranges::all_of(from, &net::Buffer::empty)) {
    return 0;
  }
  const std::size_t count = channel_->take(*this, from);
  return count == 0 ? base::fail(Errc::would_block) : Result<std::size_t>(count);
}

void CircuitStream::shutdown_send() {
  if (closed() || sent_fin_ || !attached_) {
    return;
  }
  if (window_.grants() && !received_fin_) {
    // Routers need not carry what follows a FIN: no grant will.
    FrameWriter(channel_->data_batch(*this), content::kData, channel_->next_sequence())
        .u32(header::kConnId, id_)
        .header(header::kReflected, grant_marker(kNoLimit))
        .end();
  }
  sent_fin_ = true;
  bare_message(channel_->data_batch(*this), data_flag::kFin);
  if (received_fin_) {
    send_closed();  // two FINs alone never free a circuit
  }
  notify_later(Event::writable);
}

void CircuitStream::start_wait(Event event) {
  switch (event) {
    case Event::readable:
      if (unread() || receive_failure_ || received_fin_) {
        notify(event);
      }
      break;
    case Event::writable:
      if (send_failure_ || sent_fin_ || channel_->has_room(*this)) {
        notify(event);
      } else if (window_.room(1) != 0) {
        channel_->park(*this);
      }  // else the peer's grant wakes it
      break;
    case Event::flushed:
      if (send_failure_) {
        notify(event, send_failure_);
      } else {
        channel_->await_flush(*this);
      }
      break;
  }
}

void CircuitStream::stop_wait(Event event) {
  if (event == Event::flushed) {
    channel_->forget_flush(*this);
  }
}

void CircuitStream::start_end_watch() {
  if (send_failure_ && (!received_fin_ || queue_.empty())) {
    tell_end_watcher();
  }
}

void CircuitStream::do_close() {
  drop_unread();
  if (!attached_) {
    return;
  }
  if (!std::exchange(sent_fin_, true)) {
    bare_message(channel_->data_batch(*this), data_flag::kFin);
  }
  send_closed();
}

void CircuitStream::do_reset(std::error_code) {
  drop_unread();
  if (attached_) {
    send_closed();
  }
}

void CircuitStream::announce(FrameWriter& writer, std::uint32_t flags) {
  writer.u32(header::kConnId, id_);
  if (!std::exchange(announced_, true)) {
    flags |= data_flag::kStream;
  }
  if (flags != 0) {
    writer.u32(header::kFlags, flags).text(header::kReflected, kFinMarker);
  }
}

void CircuitStream::message(std::vector<std::byte>& to, net::Buffer plain) {
  FrameWriter writer(to, content::kData, channel_->next_sequence());
  announce(writer, 0);
  if (sealer_) {
    sealer_->seal(plain, writer.body(plain.size() + kSealOverhead));
  } else {
    writer.body(plain);
  }
}

void CircuitStream::bare_message(std::vector<std::byte>& to, std::uint32_t flags) {
  FrameWriter writer(to, content::kData, channel_->next_sequence());
  announce(writer, flags);
  writer.end();
}

// Ahead of the data that waits: the peer may be waiting for it.
void CircuitStream::grant(std::uint64_t limit) {
  channel_->control(content::kData)
      .u32(header::kConnId, id_)
      .header(header::kReflected, grant_marker(limit))
      .end();
  channel_->sent_control();
}

void CircuitStream::granted(std::uint64_t limit) {
  window_.heard(limit);
  if (waiting(Event::writable) && !send_failure_ && window_.room(1) != 0) {
    channel_->park(*this);
  }
}

void CircuitStream::send_closed() {
  std::vector<std::byte>& to = channel_->data_batch(*this);
  if (!announced_) {
    bare_message(to, 0);  // or the peer takes it for an end of stream
  }
  FrameWriter(to, content::kStateClosed, channel_->next_sequence()).u32(header::kConnId, id_).end();
  channel_->drop(id_);
  detach();
}

void CircuitStream::data(const FrameView& frame) {
  const bool marked = frame.string(header::kReflected) == kFinMarker;
  const std::uint32_t flags = frame.number(header::kFlags).value_or(0);
  if (marked && !std::exchange(sends_fin_always_, true) && !sent_fin_ &&
      (flags & data_flag::kFin) == 0) {
    grant(window_.open());
  } else if (const auto limit = granted_by(frame.string(header::kReflected))) {
    granted(*limit);
  }
  if (!attached_) {
    return;
  }
  std::span<std::byte> body = frame.body();
  if (!body.empty()) {
    if (received_fin_) {
      abort(Errc::protocol_error);
      return;
    }
    if (opener_ && !opener_->started()) {
      if (!opener_->start(body)) {
        abort(Errc::protocol_error);
        return;
      }
      body = {};
    } else if (opener_) {
      const auto plain = opener_->open(body);
      if (!plain) {
        abort(Errc::protocol_error);
        return;
      }
      body = *plain;
    }
    if ((flags & data_flag::kMultipartBody) != 0) {
      if (!deliver_parts(body)) {
        return;
      }
    } else {
      receive(body);
    }
  }
  // Some routers make a FIN of a StateClosed: it is not the peer's, who marks its own.
  const bool genuine = marked || !sends_fin_always_;
  if ((flags & data_flag::kFin) != 0 && genuine && attached_ && !received_fin_) {
    receive_fin();
  }
}

// Each part behind its length, two bytes. False when the circuit is over.
bool CircuitStream::deliver_parts(net::Buffer parts) {
  const auto length = [](net::Buffer at) {
    return std::to_integer<std::size_t>(at[0]) | std::to_integer<std::size_t>(at[1]) << 8U;
  };
  for (net::Buffer rest = parts; !rest.empty(); rest = rest.subspan(2 + length(rest))) {
    if (rest.size() < 2 || rest.size() - 2 < length(rest)) {
      abort(Errc::protocol_error);
      return false;
    }
  }
  for (net::Buffer rest = parts; !rest.empty() && attached_;
       rest = rest.subspan(2 + length(rest))) {
    receive(rest.subspan(2, length(rest)));
  }
  return attached_;
}

// A waiting reader is offered the bytes where they are; only what it leaves is queued.
void CircuitStream::receive(net::Buffer bytes) {
  if (bytes.empty()) {
    return;
  }
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

void CircuitStream::receive_fin() {
  received_fin_ = true;
  if (sent_fin_ && attached_) {
    send_closed();
  }
  notify(Event::readable);
}

// Of a peer that always sends FIN first this is no end in order. Others end like this.
void CircuitStream::peer_closed() {
  if (!received_fin_ && !sends_fin_always_) {
    received_fin_ = true;
  }
  fail(Errc::reset);
}

void CircuitStream::abort(std::error_code why) {
  if (attached_) {
    send_closed();
  }
  fail(why);
}

void CircuitStream::detach() {
  attached_ = false;
  if (!queue_.empty() && !std::exchange(listed_, true)) {
    channel_->keep_unread(*this);
  }
  if (std::exchange(stalled_, false)) {
    channel_->resume(*this);
  }
}

void CircuitStream::fail(std::error_code why) {
  send_failure_ = why;
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

void CircuitStream::drop_unread() {
  const std::size_t before = queue_.memory();
  queue_.clear();
  direct_ = {};
  account(before);
}

void CircuitStream::account(std::size_t before) {
  if (queue_.memory() > before) {
    channel_->budget().use(*channel_, queue_.memory() - before);
  } else if (queue_.memory() < before) {
    channel_->budget().release(*channel_, before - queue_.memory());
  }
  if (queue_.empty() && std::exchange(listed_, false)) {
    channel_->forget_unread(*this);
  }
  if (attached_ && !stalled_ && queue_.size() > kReceiveLimit) {
    stalled_ = true;
    channel_->stall(*this);
  } else if (stalled_ && queue_.size() <= kReceiveLimit - kReceiveResume) {
    stalled_ = false;
    channel_->resume(*this);
  }
}

}  // namespace simplon::overlay::ziti
