#include <algorithm>
#include <array>

#include "overlay/embedded/session_core.hpp"

namespace simplon::overlay {
namespace {

using net::Errc;
using net::Event;

// A batch is needed only while its frames are handed out, so a thread keeps few of them; more than
// one if a session runs over a stream of another.
class ReadBatch {
 public:
  using Bytes = std::array<std::byte, kReadBatch>;

  ReadBatch() {
    if (pool().empty()) {
      bytes_ = std::make_unique_for_overwrite<Bytes>();
    } else {
      bytes_ = std::move(pool().back());
      pool().pop_back();
    }
  }
  ~ReadBatch() { pool().push_back(std::move(bytes_)); }
  ReadBatch(const ReadBatch&) = delete;
  ReadBatch& operator=(const ReadBatch&) = delete;

  Bytes& bytes() { return *bytes_; }

 private:
  static std::vector<std::unique_ptr<Bytes>>& pool() {
    thread_local std::vector<std::unique_ptr<Bytes>> instance;
    return instance;
  }

  std::unique_ptr<Bytes> bytes_;
};

}  // namespace

void SessionCore::read_transport() {
  ReadBatch batch;
  for (int reads = 0; reads < kReadsPerTurn && alive_; ++reads) {
    const auto got = transport_->try_read(batch.bytes());
    if (!got && got.error() == Errc::would_block) {
      break;
    }
    if (!got || *got == 0) {
      const bool in_order = got && peer_draining_;
      end(in_order ? Errc::closed : Errc::link_lost, std::nullopt, Close::now);
      return;
    }
    stats_.bytes_received += *got;
    last_heard_ = loop().now();
    pings_since_ = 0;
    if (!parser_.feed(std::span(batch.bytes()).first(*got), *this)) {
      violation();
    }
  }
  if (alive_) {
    transport_->wait(Event::readable, *this);
  }
}

bool SessionCore::violation() {
  end(Errc::protocol_error, GoAway::protocol_error, Close::flush);
  return false;
}

bool SessionCore::frame(const FrameHeader& header) {
  if (!std::exchange(heard_, true) && !agree_on_windows(header)) {
    return violation();
  }
  switch (header.type) {
    case FrameType::ping:
      return ping(header);
    case FrameType::go_away:
      return peer_going_away(header);
    case FrameType::data:
    case FrameType::window_update:
      return header.stream == 0 || stream_frame(header);
  }
  return violation();
}

bool SessionCore::ping(const FrameHeader& header) {
  if (header.has(frame_flag::kSyn)) {
    control({.type = FrameType::ping, .flags = frame_flag::kAck, .length = header.length});
  } else if (header.length == ping_value_ && std::exchange(ping_pending_, false)) {
    const net::Duration sample = loop().now() - ping_sent_;
    stats_.rtt = stats_.rtt ? (*stats_.rtt * 7 + sample) / 8 : sample;
  }
  return alive_;
}

bool SessionCore::peer_going_away(const FrameHeader& header) {
  switch (static_cast<GoAway>(header.length)) {
    case GoAway::normal:
      peer_draining_ = true;
      return true;
    case GoAway::protocol_error:
    case GoAway::internal_error:
      break;
  }
  end(header.length == std::to_underlying(GoAway::internal_error) ? Errc::link_lost
                                                                  : Errc::protocol_error,
      std::nullopt, Close::flush);
  return false;
}

// The peer's first frame is its hello, or it is no Simplon agent and goes by the specification.
bool SessionCore::agree_on_windows(const FrameHeader& first) {
  std::uint32_t more_to_send = 0;
  std::uint32_t more_to_receive = 0;
  if (first.type == FrameType::window_update && first.stream == 0) {
    if (first.length < kInitialWindow || first.length > kMaxWindow) {
      return false;
    }
    simplon_peer_ = true;
    more_to_send = first.length - kInitialWindow;
  } else {
    more_to_send = kYamuxWindow - kInitialWindow;
    more_to_receive = kYamuxWindow - kInitialWindow;
  }
  send_window_ += more_to_send;
  receive_window_ += more_to_receive;
  for (const auto& [id, entry] : streams_) {
    if (entry.stream != nullptr) {
      entry.stream->widen(more_to_send, more_to_receive);
    }
  }
  return true;
}

bool SessionCore::stream_frame(const FrameHeader& header) {
  const bool peers_number = (header.stream % 2 == 1) == (role_ == SessionRole::server);
  auto at = streams_.find(header.stream);
  current_ = 0;
  fin_follows_ = false;
  if (header.has(frame_flag::kSyn)) {
    if (!peers_number || at != streams_.end()) {
      return violation();
    }
    inbound(header.stream);
    if (!alive_) {
      return false;
    }
    at = streams_.find(header.stream);
  } else if (!peers_number && (header.stream >= next_id_ || held(header.stream))) {
    return violation();
  }
  if (at == streams_.end()) {
    return true;  // reset on this side while this was under way; data counts for nobody
  }
  Entry& entry = at->second;
  if (header.has(frame_flag::kAck) && std::exchange(entry.unacknowledged, false)) {
    acknowledged();
  }
  if (header.has(frame_flag::kRst)) {
    const auto stream = entry.stream == nullptr ? nullptr : entry.stream->shared_from_this();
    const bool typed = header.type == FrameType::window_update;
    if (entry.stream != nullptr) {
      entry.stream->fail(from_wire(typed ? header.length : kNoReason));
    }
    erase(at);
    return alive_;
  }
  if (header.type == FrameType::data) {
    return apply_data(entry, header);
  }
  if (entry.stream != nullptr) {
    const auto stream = entry.stream->shared_from_this();
    if (!entry.stream->add_credit(header.length)) {
      return violation();
    }
  }
  if (alive_ && header.has(frame_flag::kFin)) {
    apply_fin(header.stream);
  }
  return alive_;
}

void SessionCore::inbound(std::uint32_t id) {
  Errc refusal{};
  if (draining_) {
    refusal = Errc::draining;
  } else if (streams_.size() >= max_streams_) {
    refusal = Errc::limit_exceeded;
  } else if (!handlers_->inbound) {
    refusal = Errc::not_permitted;
  }
  if (refusal != Errc{}) {
    ++stats_.refused;
    control({.type = FrameType::window_update,
             .flags = frame_flag::kRst,
             .stream = id,
             .length = to_wire(refusal)});
    return;
  }
  auto stream =
      std::make_shared<SessionStream>(shared_from_this(), id, send_window_, receive_window_);
  streams_.emplace(id, Entry{stream.get(), false});
  ++stats_.accepted;
  control({.type = FrameType::window_update, .flags = frame_flag::kAck, .stream = id});
  if (const auto handlers = handlers_) {
    handlers->inbound(std::move(stream));
  }
}

bool SessionCore::apply_data(Entry& entry, const FrameHeader& header) {
  if (entry.stream != nullptr) {
    SessionStream& stream = *entry.stream;
    if ((stream.received_fin_ && header.length != 0) || header.length > stream.credit_) {
      return violation();
    }
    stream.credit_ -= header.length;
  }
  if (header.length != 0) {
    current_ = header.stream;
    fin_follows_ = header.has(frame_flag::kFin);
  } else if (header.has(frame_flag::kFin)) {
    apply_fin(header.stream);
  }
  return alive_;
}

bool SessionCore::payload(std::span<const std::byte> bytes, bool last) {
  const auto at = current_ == 0 ? streams_.end() : streams_.find(current_);
  if (at == streams_.end()) {
    return true;
  }
  if (at->second.stream == nullptr) {
    // Nobody reads here any more. Behind our FIN, so that what we sent can still be read.
    queue(out_.data(),
          {.type = FrameType::window_update, .flags = frame_flag::kRst, .stream = current_});
    erase(at);
    return true;
  }
  SessionStream* const stream = at->second.stream;
  const auto keep = stream->shared_from_this();
  stream->receive(bytes);
  if (alive_ && last && fin_follows_) {
    apply_fin(current_);
  }
  return alive_;
}

void SessionCore::apply_fin(std::uint32_t id) {
  const auto at = streams_.find(id);
  if (at == streams_.end()) {
    return;
  }
  SessionStream* const stream = at->second.stream;
  if (stream == nullptr) {
    erase(at);
    return;
  }
  if (stream->received_fin_) {
    violation();
    return;
  }
  const auto keep = stream->shared_from_this();
  if (stream->sent_fin_) {
    stream->detach();
    erase(at);
  }
  stream->receive_fin();
}

// Grows towards a few times what the link can hold of this stream's speed, doubling at most.
//
// However far, a reader that stops then holds the window, and what was granted cannot be called
// back. So this leads to kStalledWindow only.
std::uint32_t SessionCore::growth(std::uint32_t window, std::uint32_t drained,
                                  net::Duration elapsed) {
  if (!stats_.rtt || window >= kStalledWindow) {
    return 0;
  }
  const auto rtt = static_cast<double>(stats_.rtt->count());
  const double measured = kWindowsPerDelay * static_cast<double>(drained) * rtt /
                          static_cast<double>(std::max<std::int64_t>(1, elapsed.count()));
  // What empties at once into a socket's buffer says little about the link, and the whole window is
  // what a reader that stops then costs.
  const double target = std::min(measured, std::max<double>(kModestWindow, kFastestLink * rtt));
  const std::uint32_t most = std::min(window, kStalledWindow - window);
  if (target <= window) {
    return 0;
  }
  const auto more =
      static_cast<std::uint32_t>(std::min<double>(target - static_cast<double>(window), most));
  return budget_->promise(more) ? more : 0;
}

// No more than the link was seen to hold: bytes that arrive in a burst say nothing about that,
// whole round trips do.
std::optional<std::int64_t> SessionCore::long_growth(std::uint32_t window, std::uint64_t drained,
                                                     net::Duration elapsed) {
  if (!stats_.rtt || elapsed < *stats_.rtt || elapsed.count() == 0) {
    return std::nullopt;
  }
  const auto rtt = static_cast<double>(stats_.rtt->count());
  const double measured = static_cast<double>(drained) * rtt / static_cast<double>(elapsed.count());
  const double size = window;
  const double target = std::clamp(std::min(kLongWindows * measured, kFastestLink * rtt),
                                   static_cast<double>(kStalledWindow),
                                   std::min(2 * size, static_cast<double>(kMaxWindow)));
  if (target > size) {
    const auto more = static_cast<std::uint32_t>(target - size);
    return budget_->promise(more) ? more : 0;
  }
  // One round is a bad witness of the exact speed.
  return kLongWindows * measured < size / 2 ? static_cast<std::int64_t>(target - size) : 0;
}

}  // namespace simplon::overlay
