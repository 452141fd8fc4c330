#include "overlay/embedded/session.hpp"

#include <algorithm>
#include <utility>

#include "overlay/embedded/session_core.hpp"

namespace simplon::overlay {

using net::Errc;
using net::Event;

SessionPtr Session::start(net::StreamPtr transport, SessionRole role, SessionOptions options,
                          Handlers handlers) {
  auto core = std::make_shared<SessionCore>(std::move(transport), role, std::move(options),
                                            std::move(handlers));
  core->begin();
  return core;
}

SessionCore::SessionCore(net::StreamPtr transport, SessionRole role, SessionOptions options,
                         Handlers handlers)
    : Member(transport->loop()),
      transport_(std::move(transport)),
      role_(role),
      max_streams_(options.max_streams),
      max_unacknowledged_(options.max_unacknowledged),
      budget_(options.budget ? std::move(options.budget) : std::make_shared<MemoryBudget>()),
      handlers_(std::make_shared<Handlers>(std::move(handlers))),
      reader_timer_(loop()),
      next_id_(role == SessionRole::client ? 1 : 2),
      linger_timer_(loop()),
      idle_since_(loop().now()),
      ping_timer_(loop()),
      last_heard_(loop().now()),
      close_timer_(loop()) {}

SessionCore::~SessionCore() {
  for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
    transport_->cancel_wait(event);
  }
  budget_->leave(*this);
  transport_->reset();
}

void SessionCore::begin() {
  budget_->join(shared_from_this());
  // The hello is our first frame. A peer that is not Simplon ignores credit for stream 0.
  control({.type = FrameType::window_update, .length = kInitialWindow});
  keep_alive();
  transport_->wait(Event::readable, *this);
}

net::Result<net::StreamPtr> SessionCore::open_stream() {
  if (!alive_) {
    return base::fail(Errc::link_lost);
  }
  if (!usable()) {
    return base::fail(Errc::draining);
  }
  const bool hold = unacknowledged_ >= max_unacknowledged_ || !held_.empty();
  if (streams_.size() >= max_streams_ || out_.backlog() + held_bytes_ >= kSendQueueHard ||
      (hold && held_.size() >= kMaxHeldOpens)) {
    return base::fail(Errc::limit_exceeded);
  }
  const std::uint32_t id = std::exchange(next_id_, next_id_ + 2);
  auto stream =
      std::make_shared<SessionStream>(shared_from_this(), id, send_window_, receive_window_);
  streams_.emplace(id, Entry{stream.get(), !hold});
  ++stats_.opened;
  if (hold) {
    stream->held_ = &held_.emplace_back(HeldOpen{.id = id});
    stream->batch_ = std::numeric_limits<std::uint64_t>::max();
  } else {
    ++unacknowledged_;
    control({.type = FrameType::window_update, .flags = frame_flag::kSyn, .stream = id});
  }
  return stream;
}

void SessionCore::go_away() {
  if (alive_ && !std::exchange(draining_, true)) {
    control({.type = FrameType::go_away, .length = std::to_underlying(GoAway::normal)});
  }
}

void SessionCore::close() { end({}, GoAway::normal, Close::flush); }

void SessionCore::reset() {
  end({}, std::nullopt, Close::now);
  finish();  // also what a close() still flushes
}

SessionStats SessionCore::stats() const {
  SessionStats stats = stats_;
  stats.streams = streams_.size();
  stats.simplon_peer = simplon_peer_;
  return stats;
}

std::optional<net::TimePoint> SessionCore::idle_since() const {
  return streams_.empty() ? std::optional(idle_since_) : std::nullopt;
}

void SessionCore::ready(Event event, std::error_code) {
  const auto keep = shared_from_this();
  switch (event) {
    case Event::readable:
      read_transport();
      break;
    case Event::writable:
      blocked_ = false;
      flush();
      break;
    case Event::flushed:
      transport_flushed();
      break;
  }
}

// The budget is exhausted, and no session holds more than this one.
bool SessionCore::shed() {
  SessionStream* fullest = nullptr;
  const auto consider = [&fullest](SessionStream* stream) {
    if (stream != nullptr && !stream->queue_.empty() &&
        (fullest == nullptr || stream->queue_.memory() > fullest->queue_.memory())) {
      fullest = stream;
    }
  };
  for (const auto& [id, entry] : streams_) {
    consider(entry.stream);
  }
  for (SessionStream* stream : unread_) {
    consider(stream);
  }
  if (fullest == nullptr) {
    return false;
  }
  give_up(*fullest);
  return true;
}

void SessionCore::give_up(SessionStream& stream) {
  budget_->count_shed();
  stream.drop_unread();
  stream.received_fin_ = false;  // the bytes before the end are gone: this is no clean end
  stream.fail(Errc::memory);
  send_reset(stream, to_wire(Errc::memory));
}

void SessionCore::watch_reader(SessionStream& stream) {
  swollen_.emplace(&stream, Reading{.since = loop().now(), .taken = stream.taken_});
  if (!reader_timer_.armed()) {
    reader_timer_.arm(loop().now() + kStalledReader, [this] {
      const auto keep = shared_from_this();
      check_readers();
    });
  }
}

// Credit cannot be called back: of a reader that stands still on much of it nothing can be had but
// the stream.
void SessionCore::check_readers() {
  const net::TimePoint now = loop().now();
  std::vector<SessionStream*> standing;
  net::TimePoint next = net::TimePoint::max();
  for (auto& [stream, reading] : swollen_) {
    if (now - reading.since >= kStalledReader) {
      if (stream->taken_ - reading.taken < kStalledProgress) {
        standing.push_back(stream);
        continue;
      }
      reading = {.since = now, .taken = stream->taken_};
    }
    next = std::min(next, reading.since + kStalledReader);
  }
  for (SessionStream* const stream : standing) {
    give_up(*stream);
  }
  if (next != net::TimePoint::max()) {
    reader_timer_.arm(next, [this] {
      const auto keep = shared_from_this();
      check_readers();
    });
  }
}

SessionCore::Table::iterator SessionCore::erase(Table::iterator at) {
  if (at->second.unacknowledged) {
    acknowledged();
  }
  const auto next = streams_.erase(at);
  if (streams_.empty()) {
    idle_since_ = loop().now();
  }
  return next;
}

void SessionCore::acknowledged() {
  --unacknowledged_;
  if (!held_.empty()) {
    schedule_flush();  // which releases the next
  }
}

void SessionCore::drop(std::uint32_t id) {
  if (const auto at = streams_.find(id); at != streams_.end()) {
    erase(at);
  }
}

// A closed stream keeps its number until the peer ends its direction too, or for kCloseTimeout.
void SessionCore::linger(std::uint32_t id) {
  lingering_.emplace_back(loop().now() + net::kCloseTimeout, id);
  if (!linger_timer_.armed()) {
    linger_timer_.arm(lingering_.front().first, [this] { end_lingering(); });
  }
}

void SessionCore::end_lingering() {
  while (!lingering_.empty() && lingering_.front().first <= loop().now()) {
    const auto at = streams_.find(lingering_.front().second);
    lingering_.pop_front();
    if (at != streams_.end() && at->second.stream == nullptr) {
      // Behind the FIN: the peer may still be reading what came before it.
      queue(out_.data(),
            {.type = FrameType::window_update, .flags = frame_flag::kRst, .stream = at->first});
      erase(at);
    }
  }
  if (!lingering_.empty()) {
    linger_timer_.arm(lingering_.front().first, [this] { end_lingering(); });
  }
}

void SessionCore::keep_alive() {
  const net::TimePoint now = loop().now();
  const net::TimePoint dead_at = last_heard_ + kDeadAfter;
  if (dead_at <= now && pings_since_ >= kDeadPings) {
    end(Errc::timed_out, std::nullopt, Close::now);
    return;
  }
  ++pings_since_;
  ping_pending_ = true;
  ping_sent_ = now;
  control({.type = FrameType::ping, .flags = frame_flag::kSyn, .length = ++ping_value_});
  if (!alive_) {
    return;
  }
  // An idle session holds no buffers.
  if (out_.backlog() == 0) {
    out_.shrink();
  }
  const net::TimePoint next = now + kPingInterval;
  ping_timer_.arm(dead_at > now ? std::min(next, dead_at) : next, [this] {
    const auto keep = shared_from_this();
    keep_alive();
  });
}

void SessionCore::end(std::error_code why, std::optional<GoAway> farewell, Close how) {
  if (!std::exchange(alive_, false)) {
    return;
  }
  const auto self = shared_from_this();
  ping_timer_.cancel();
  linger_timer_.cancel();
  transport_->cancel_wait(Event::readable);
  const Table streams = std::exchange(streams_, {});
  unacknowledged_ = 0;
  idle_since_ = loop().now();
  for (const auto& [id, entry] : streams) {
    if (entry.stream != nullptr) {
      entry.stream->fail(Errc::link_lost);
    }
  }
  held_.clear();
  for (SessionStream* stream : std::exchange(flushing_, {})) {
    stream->flushing_ = false;
    stream->notify_later(Event::flushed, Errc::link_lost);
  }
  // Later, because one of them may be under way.
  loop().post([handlers = std::exchange(handlers_, nullptr), why] {
    if (handlers->ended) {
      handlers->ended(why);
    }
  });
  if (how == Close::now) {
    finish();
    return;
  }
  if (farewell) {
    // The last frame: behind the data.
    queue(out_.data(), {.type = FrameType::go_away, .length = std::to_underlying(*farewell)});
  }
  close_timer_.arm(loop().now() + net::kCloseTimeout, [self] { self->finish(); });
  schedule_flush();
}

// Everything has left, or nothing more will.
void SessionCore::finish() {
  const bool flushed = out_.size() == 0;
  if (std::exchange(finished_, true)) {
    return;
  }
  // The timer may hold the last reference, and the caller be a member function.
  loop().post([self = shared_from_this()] {});
  close_timer_.cancel();
  transport_->cancel_wait(Event::writable);
  transport_->cancel_wait(Event::flushed);
  if (flushed) {
    transport_->close();
  } else {
    transport_->reset();
  }
}

}  // namespace simplon::overlay
