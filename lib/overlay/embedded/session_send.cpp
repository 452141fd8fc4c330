#include <algorithm>
#include <array>

#include "overlay/embedded/session_core.hpp"

namespace simplon::overlay {

using net::Errc;
using net::Event;

std::size_t SessionCore::take(SessionStream& stream, std::span<const net::Buffer> from) {
  std::size_t wanted = 0;
  for (const net::Buffer& piece : from) {
    wanted += piece.size();
  }
  if (stream.held_ != nullptr) {
    return hold(stream, from, wanted);
  }
  if (stream.turn_ != turn_) {
    stream.turn_ = turn_;
    stream.turn_bytes_ = 0;
  }
  std::size_t room = out_.backlog() < kSendQueue ? kStreamTurn - stream.turn_bytes_ : 0;
  if (!stream.wrote_ && wanted <= kFirstWrite && out_.backlog() < kSendQueueHard) {
    room = std::max(room, wanted);
  }
  const std::size_t count = std::min({wanted, room, std::size_t{stream.send_window_}});
  if (count == 0) {
    return 0;
  }
  stream.wrote_ = true;
  stream.turn_bytes_ = std::min(kStreamTurn, stream.turn_bytes_ + count);
  stream.send_window_ -= static_cast<std::uint32_t>(count);
  stream.batch_ = out_.batch();
  queue(
      out_.data(),
      {.type = FrameType::data, .stream = stream.id_, .length = static_cast<std::uint32_t>(count)});
  std::size_t left = count;
  for (const net::Buffer& piece : from) {
    const net::Buffer part = piece.first(std::min(left, piece.size()));
    out_.data().insert(out_.data().end(), part.begin(), part.end());
    left -= part.size();
  }
  return count;
}

// The first write of a stream whose open waits.
std::size_t SessionCore::hold(SessionStream& stream, std::span<const net::Buffer> from,
                              std::size_t wanted) {
  if (stream.wrote_ || wanted > kFirstWrite) {
    return 0;
  }
  stream.wrote_ = true;
  stream.send_window_ -= static_cast<std::uint32_t>(wanted);
  held_bytes_ += wanted;
  for (const net::Buffer& piece : from) {
    stream.held_->bytes.insert(stream.held_->bytes.end(), piece.begin(), piece.end());
  }
  return wanted;
}

void SessionCore::release_held() {
  while (!held_.empty() && unacknowledged_ < max_unacknowledged_ && alive_) {
    const HeldOpen open = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= open.bytes.size();
    const auto at = streams_.find(open.id);
    if (at == streams_.end()) {
      continue;  // reset meanwhile
    }
    ++unacknowledged_;
    at->second.unacknowledged = true;
    SessionStream* const stream = at->second.stream;
    if (!open.bytes.empty()) {
      queue(out_.data(), {.type = FrameType::data,
                          .stream = open.id,
                          .length = static_cast<std::uint32_t>(open.bytes.size())});
      out_.data().insert(out_.data().end(), open.bytes.begin(), open.bytes.end());
    }
    if (open.fin) {
      queue(out_.data(),
            {.type = FrameType::window_update, .flags = frame_flag::kFin, .stream = open.id});
    }
    if (stream != nullptr) {
      stream->held_ = nullptr;
      stream->batch_ = out_.batch();
      stream->notify_later(Event::writable);
    } else {
      linger(open.id);
    }
    control({.type = FrameType::window_update, .flags = frame_flag::kSyn, .stream = open.id});
  }
}

bool SessionCore::has_room(const SessionStream& stream) const {
  if (stream.held_ != nullptr) {
    return !stream.wrote_;
  }
  const bool turn_left = stream.turn_ != turn_ || stream.turn_bytes_ < kStreamTurn;
  return stream.send_window_ != 0 && turn_left && out_.backlog() < kSendQueue;
}

void SessionCore::park(SessionStream& stream) {
  // A held stream is woken when its open goes out.
  if (stream.held_ == nullptr && !std::exchange(stream.parked_, true)) {
    parked_.push_back(stream.id_);
    schedule_flush();
  }
}

void SessionCore::send_fin(SessionStream& stream) {
  stream.sent_fin_ = true;
  if (stream.held_ != nullptr) {
    stream.held_->fin = true;
    stream.notify_later(Event::writable);
    return;
  }
  stream.batch_ = out_.batch();
  queue(out_.data(),
        {.type = FrameType::window_update, .flags = frame_flag::kFin, .stream = stream.id_});
  if (stream.received_fin_) {
    stream.detach();
    drop(stream.id_);
  }
  stream.notify_later(Event::writable);
}

void SessionCore::abandon(SessionStream& stream, bool unread) {
  const auto at = streams_.find(stream.id_);
  if (at == streams_.end()) {
    return;
  }
  if (unread) {
    queue(out_.data(),
          {.type = FrameType::window_update, .flags = frame_flag::kRst, .stream = stream.id_});
    erase(at);
  } else {
    at->second.stream = nullptr;
    if (!held(stream.id_)) {
      linger(stream.id_);
    }
  }
}

void SessionCore::send_reset(const SessionStream& stream, std::uint32_t code) {
  // The number may be another stream's by now: a peer may use it again once both ends are known.
  const auto at = streams_.find(stream.id_);
  if (at != streams_.end() && (at->second.stream == nullptr || at->second.stream == &stream)) {
    erase(at);
    if (held(stream.id_)) {
      return;  // the peer never hears of it
    }
    control({.type = FrameType::window_update,
             .flags = frame_flag::kRst,
             .stream = stream.id_,
             .length = code});
  }
}

void SessionCore::send_credit(std::uint32_t id, std::uint32_t credit) {
  control({.type = FrameType::window_update, .stream = id, .length = credit});
}

void SessionCore::queue(std::vector<std::byte>& to, const FrameHeader& header) {
  const FrameBytes bytes = encode_frame(header);
  to.insert(to.end(), bytes.begin(), bytes.end());
  schedule_flush();
}

void SessionCore::control(const FrameHeader& header) {
  if (!alive_) {
    return;
  }
  queue(out_.control(), header);
  if (out_.control().size() > kControlQueue) {
    end(Errc::limit_exceeded, std::nullopt, Close::now);
  }
}

void SessionCore::schedule_flush() {
  if (!blocked_ && !std::exchange(flush_scheduled_, true)) {
    loop().at_end_of_turn([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->flush_scheduled_ = false;
        if (!self->blocked_ && !self->finished_) {
          self->flush();
        }
      }
    });
  }
}

void SessionCore::flush() {
  ++turn_;
  release_held();
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

// All that leaves in this turn, in one gathered write.
bool SessionCore::write_transport() {
  while (true) {
    const auto pieces = out_.pieces();
    if (std::ranges::all_of(pieces, &net::Buffer::empty)) {
      return true;
    }
    const auto count = transport_->try_write(pieces);
    if (count) {
      stats_.bytes_sent += *count;
      out_.sent(*count);
    } else if (count.error() == Errc::would_block) {
      blocked_ = true;
      transport_->wait(Event::writable, *this);
      return true;
    } else {
      end(Errc::link_lost, std::nullopt, Close::now);
      finish();  // had it ended before
      return false;
    }
  }
}

// First parked, first served, one chunk each; who parks again waits for the next turn.
void SessionCore::serve_parked() {
  for (std::size_t left = parked_.size(); left != 0 && alive_ && out_.backlog() < kSendQueue;
       --left) {
    const auto at = streams_.find(parked_.front());
    parked_.pop_front();
    if (at == streams_.end() || at->second.stream == nullptr) {
      continue;
    }
    const auto stream = at->second.stream->shared_from_this();
    at->second.stream->parked_ = false;
    at->second.stream->notify(Event::writable);
  }
}

void SessionCore::await_flush(SessionStream& stream) {
  if (!alive_) {
    stream.notify(Event::flushed, Errc::link_lost);
  } else if (!std::exchange(stream.flushing_, true)) {
    flushing_.push_back(&stream);
    wait_flushed();
  }
}

void SessionCore::forget_flush(SessionStream& stream) {
  if (std::exchange(stream.flushing_, false)) {
    std::erase(flushing_, &stream);
  }
}

void SessionCore::wait_flushed() {
  const auto has_left = [this](const SessionStream* stream) {
    return stream->batch_ <= out_.sent_batch();
  };
  if (!waits_flushed_ && std::ranges::any_of(flushing_, has_left)) {
    waits_flushed_ = true;
    flush_mark_ = out_.sent_batch();
    transport_->wait(Event::flushed, *this);
  }
}

void SessionCore::transport_flushed() {
  waits_flushed_ = false;
  std::erase_if(flushing_, [this](SessionStream* stream) {
    if (stream->batch_ > flush_mark_) {
      return false;
    }
    stream->flushing_ = false;
    stream->notify_later(Event::flushed);
    return true;
  });
  wait_flushed();
}

}  // namespace simplon::overlay
