// Circuits whose readers leave so much unread that the channel does not read on, and how long each
// may do so.
#include <algorithm>

#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {

using net::Errc;
using net::Event;

void ChannelCore::stall(CircuitStream& stream) {
  const net::TimePoint now = loop().now();
  stream.held_up_ = std::max(net::Duration(), stream.held_up_ - (now - stream.resumed_at_));
  stream.stalled_at_ = stream.stands_since_ = now;
  stalled_.insert(&stream);
  watch_stalled();
}

void ChannelCore::resume(CircuitStream& stream) {
  const net::TimePoint now = loop().now();
  stream.resumed_at_ = now;
  if (others_waited_) {
    stream.held_up_ += std::max(net::Duration(), now - stream.stalled_at_ - kBriefStall);
  }
  stalled_.erase(&stream);
  watch_stalled();
  if (!stalled_.empty()) {
    return;
  }
  last_heard_ = now;  // nobody listened
  if (alive_ && !reading_) {
    transport_->wait(Event::readable, *this);
  }
}

// How long this reader may go on as it does; nothing: for ever.
std::optional<net::TimePoint> ChannelCore::patience(const CircuitStream& stream) const {
  if (others_waited_) {
    return stream.stalled_at_ +
           std::min<net::Duration>(kStalledReader, kBriefStall + kStalledInAll - stream.held_up_);
  }
  // The dials that come to it are behind what nobody reads.
  return bindings_ != 0 ? std::optional(stream.stands_since_ + kStalledHost) : std::nullopt;
}

// Called when a stall begins or ends, and when somebody comes to the channel or leaves it.
void ChannelCore::watch_stalled() {
  if (const bool wait = others_wait(); wait != std::exchange(others_waited_, wait)) {
    const net::TimePoint now = loop().now();
    for (CircuitStream* const stream : stalled_) {
      if (wait) {
        stream->stalled_at_ = now;  // so far it harmed nobody
      } else {
        stream->held_up_ += now - stream->stalled_at_;  // who gave up on it comes again
      }
    }
  }
  std::optional<net::TimePoint> next;
  for (const CircuitStream* const stream : stalled_) {
    if (const auto until = patience(*stream)) {
      next = std::min(*until, next.value_or(*until));
    }
  }
  if (!next) {
    stall_timer_.cancel();
  } else if (!stall_timer_.armed() || stall_timer_.when() != *next) {
    stall_timer_.arm(*next, [this] {
      const auto keep = shared_from_this();
      reset_stalled();
    });
  }
}

void ChannelCore::reset_stalled() {
  std::vector<CircuitStream*> over;
  for (CircuitStream* const stream : stalled_) {
    if (const auto until = patience(*stream); until && *until <= loop().now()) {
      over.push_back(stream);
    }
  }
  for (CircuitStream* const stream : over) {
    stream->drop_unread();
    stream->abort(Errc::limit_exceeded);
  }
  watch_stalled();
}

}  // namespace simplon::overlay::ziti
