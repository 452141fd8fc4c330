// How frames leave: control first, then data in the order of the circuits' turns, all of a turn in
// one gathered write of the transport.
#include <algorithm>
#include <array>

#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {
namespace {

using net::Errc;
using net::Event;

// Cuts what a caller wants to write into messages, where it is as long as one piece holds enough.
class Cutter {
 public:
  explicit Cutter(std::span<const net::Buffer> from) : from_(from) {}

  net::Buffer next(std::size_t size) {
    skip();
    if (from_.front().size() - at_ >= size) {
      const net::Buffer out = from_.front().subspan(at_, size);
      at_ += size;
      return out;
    }
    thread_local std::array<std::byte, kMaxMessage> joined;
    for (std::size_t have = 0; have < size; skip()) {
      const net::Buffer part =
          from_.front().subspan(at_, std::min(size - have, from_.front().size() - at_));
      std::ranges::copy(part, joined.begin() + static_cast<std::ptrdiff_t>(have));
      have += part.size();
      at_ += part.size();
    }
    return net::Buffer(joined).first(size);
  }

 private:
  void skip() {
    while (!from_.empty() && at_ == from_.front().size()) {
      from_ = from_.subspan(1);
      at_ = 0;
    }
  }

  std::span<const net::Buffer> from_;
  std::size_t at_ = 0;
};

}  // namespace

std::size_t ChannelCore::take(CircuitStream& stream, std::span<const net::Buffer> from) {
  if (stream.turn_ != turn_) {
    stream.turn_ = turn_;
    stream.turn_bytes_ = 0;
  }
  if (out_.backlog() >= kSendQueue) {
    return 0;
  }
  std::size_t wanted = 0;
  for (const net::Buffer& piece : from) {
    wanted += piece.size();
  }
  const std::size_t count =
      stream.window_.room(std::min(wanted, kCircuitTurn - stream.turn_bytes_));
  if (count == 0) {
    return 0;
  }
  stream.turn_bytes_ += count;
  stream.window_.sent(count);
  std::vector<std::byte>& to = data_batch(stream);
  Cutter cutter(from);
  for (std::size_t left = count; left != 0;) {
    const std::size_t size = std::min(left, kMaxMessage);
    stream.message(to, cutter.next(size));
    left -= size;
  }
  return count;
}

bool ChannelCore::has_room(const CircuitStream& stream) const {
  return out_.backlog() < kSendQueue && stream.window_.room(1) != 0 &&
         (stream.turn_ != turn_ || stream.turn_bytes_ < kCircuitTurn);
}

void ChannelCore::park(CircuitStream& stream) {
  if (!std::exchange(stream.parked_, true)) {
    parked_.push_back(stream.id_);
    schedule_flush();
  }
}

std::vector<std::byte>& ChannelCore::data_batch(CircuitStream& stream) {
  stream.batch_ = out_.batch();
  schedule_flush();
  return out_.data();
}

void ChannelCore::sent_control() {
  if (out_.size() > kControlQueue) {
    end({.kind = EdgeErrorKind::protocol, .text = "the router does not read our answers"},
        Close::now);
    return;
  }
  schedule_flush();
}

void ChannelCore::schedule_flush() {
  if (!blocked_ && !std::exchange(flush_scheduled_, true)) {
    loop().at_end_of_turn([weak = weak_from_this(), this] {
      if (const auto keep = weak.lock()) {
        flush_scheduled_ = false;
        if (!blocked_ && !finished_) {
          flush();
        }
      }
    });
  }
}

void ChannelCore::flush() {
  ++turn_;
  if (finished_ || !write_transport()) {
    return;
  }
  if (alive_) {
    wait_flushed();
    serve_parked();
  } else if (out_.size() == 0) {
    finish();
  }
}

bool ChannelCore::write_transport() {
  while (true) {
    const auto pieces = out_.pieces();
    if (std::ranges::all_of(pieces, &net::Buffer::empty)) {
      return true;
    }
    const auto count = transport_->try_write(pieces);
    if (count) {
      out_.sent(*count);
    } else if (count.error() == Errc::would_block) {
      blocked_ = true;
      transport_->wait(Event::writable, *this);
      return true;
    } else {
      end(lost_by(count.error(), false), Close::now);
      finish();  // had it ended before
      return false;
    }
  }
}

// First parked, first served, one turn each; who parks again waits for the next.
void ChannelCore::serve_parked() {
  for (std::size_t left = parked_.size(); left != 0 && alive_ && out_.backlog() < kSendQueue;
       --left) {
    const auto at = conns_.find(parked_.front());
    parked_.pop_front();
    if (at == conns_.end() || at->second.stream == nullptr) {
      continue;
    }
    const auto stream = at->second.stream->shared_from_this();
    at->second.stream->parked_ = false;
    at->second.stream->notify(Event::writable);
  }
}

void ChannelCore::await_flush(CircuitStream& stream) {
  if (!alive_) {
    stream.notify(Event::flushed, Errc::link_lost);
  } else if (!std::exchange(stream.flushing_, true)) {
    flushing_.push_back(&stream);
    wait_flushed();
  }
}

void ChannelCore::forget_flush(CircuitStream& stream) {
  if (std::exchange(stream.flushing_, false)) {
    std::erase(flushing_, &stream);
  }
}

void ChannelCore::wait_flushed() {
  const auto has_left = [this](const CircuitStream* stream) {
    return stream->batch_ <= out_.sent_batch();
  };
  if (!waits_flushed_ && std::ranges::any_of(flushing_, has_left)) {
    waits_flushed_ = true;
    flush_mark_ = out_.sent_batch();
    transport_->wait(Event::flushed, *this);
  }
}

void ChannelCore::transport_flushed() {
  waits_flushed_ = false;
  std::erase_if(flushing_, [this](CircuitStream* stream) {
    if (stream->batch_ > flush_mark_) {
      return false;
    }
    stream->flushing_ = false;
    stream->notify_later(Event::flushed);
    return true;
  });
  wait_flushed();
}

}  // namespace simplon::overlay::ziti
