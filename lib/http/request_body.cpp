#include "http/request_body.hpp"

#include <utility>

namespace simplon::http {
namespace {

using base::Errc;
using net::Direction;

constexpr std::size_t kMostKept = 16 * 1024;   // for a second attempt
constexpr std::size_t kSmallBody = 16 * 1024;  // goes with the head: no pump, one write
// Of what a client has sent and nobody has read; no kernel gives a connection more by default.
constexpr std::size_t kMostUnread = 8 * 1024 * 1024;

}  // namespace

RequestBody::RequestBody(std::shared_ptr<Inlet> client, const RequestFraming& framing,
                         const Policy& policy)
    : client_(std::move(client)),
      framing_(framing),
      timeouts_(policy.timeouts),
      decoder_(framing.body, framing.length, policy.limits),
      batch_({.rules = policy.request_headers, .ours = policy.peer_header}),
      expecting_(framing.continues) {}

// The batch in the upstream's framing; what it writes is remembered while it may be needed again.
std::span<net::Buffer> RequestBody::frame(std::string_view prefix) {
  bytes_ += batch_.payload();
  const auto buffers = batch_.frame(framing_.body, {}, decoder_.done() ? &decoder_ : nullptr);
  if (replayable_) {
    std::size_t size = 0;
    for (const net::Buffer& buffer : buffers) {
      size += buffer.size();
    }
    if (sent_.size() + size > kMostKept) {
      forget_sent();
    } else {
      for (const net::Buffer& buffer : buffers) {
        sent_.append(reinterpret_cast<const char*>(buffer.data()), buffer.size());
      }
    }
  }
  return prefix.empty()
             ? buffers
             : batch_.frame(framing_.body, prefix, decoder_.done() ? &decoder_ : nullptr);
}

void RequestBody::forget_sent() {
  replayable_ = false;
  sent_ = {};
}

net::awaitable<net::Result<void>> RequestBody::begin(net::StreamPtr upstream, std::string_view head,
                                                     bool keep) {
  if (!sent_.empty() || decoder_.done()) {
    std::array<net::Buffer, 2> again{net::as_buffer(head), net::as_buffer(sent_)};
    const auto done = co_await write_all(*upstream, again);
    if (done && decoder_.done()) {
      state_ = State::complete;
    }
    co_return done;
  }
  if (!keep) {
    forget_sent();
  }
  // A large part of a body is left to the pump: the upstream may want to be read meanwhile.
  const bool small = client_->bytes().size() <= kSmallBody;
  if (small && !client_->bytes().empty()) {
    if (const auto decoded = batch_.decode(decoder_, client_->bytes()); !decoded) {
      fault_ = decoded.error();
      state_ = State::refused;
      co_return base::fail(Errc::bad_request);
    }
    in_work_ = batch_.consumed();
    const auto done = co_await write_all(*upstream, frame(head));
    client_->consume(std::exchange(in_work_, 0));
    expecting_ = false;
    if (done && decoder_.done()) {
      state_ = State::complete;
    }
    co_return done;
  }
  co_return co_await net::write_all(*upstream, net::as_buffer(head));
}

void RequestBody::pump(net::StreamPtr upstream, Events events) {
  if (state_ == State::complete || state_ == State::refused) {
    return;
  }
  state_ = State::pumping;
  stopping_ = false;
  upstream_ = std::move(upstream);
  events_ = std::move(events);
  net::Loop& loop = client_->stream().loop();
  ended_gate_.emplace(loop);
  net::spawn(loop, "request body", run(shared_from_this(), upstream_));
}

net::awaitable<void> RequestBody::run(std::shared_ptr<RequestBody> self, net::StreamPtr upstream) {
  const State end = co_await self->transfer(upstream);
  self->client_->stream().clear_deadline(Direction::receive);
  upstream->clear_deadline(Direction::send);
  self->state_ = end;
  self->upstream_.reset();
  if (end == State::refused || end == State::client_lost) {
    upstream->reset();
  }
  self->ended_gate_->open();
  if (const auto ended = std::exchange(self->events_, {}).ended) {
    ended();
  }
}

net::awaitable<RequestBody::State> RequestBody::transfer(net::StreamPtr upstream) {
  for (;;) {
    if (stopping_) {
      co_return State::idle;
    }
    if (const auto decoded = batch_.decode(decoder_, client_->bytes()); !decoded) {
      fault_ = decoded.error();
      co_return State::refused;
    }
    const auto buffers = frame({});
    in_work_ = batch_.consumed();
    const auto written = co_await write_all(*upstream, buffers);
    client_->consume(std::exchange(in_work_, 0));
    if (!written) {
      co_return stopping_ ? State::idle : State::upstream_lost;
    }
    if (decoder_.done()) {
      co_return State::complete;
    }
    if (batch_.consumed() == 0 || client_->bytes().empty()) {
      if (const auto end = co_await read_more()) {
        co_return *end;
      }
    }
  }
}

net::awaitable<std::optional<RequestBody::State>> RequestBody::read_more() {
  auto got = client_->try_fill();
  while (!got && got.error() == Errc::would_block) {
    if (stopping_) {
      co_return State::idle;  // the deadline that stop() set must not be moved
    }
    begin_wait();
    got = co_await client_->fill();
    waited_ += client_->stream().loop().now() - wait_began_;
    if (stopping_ || got || got.error() != Errc::timed_out || !expecting_) {
      break;
    }
    // Neither has said a word. That may be the upstream's fault, and it may know nothing of
    // expectations; but who waits longer after this has none (RFC 9110 §10.1.1).
    invited();
    if (events_.invite && !events_.invite()) {
      co_return State::client_lost;
    }
    got = client_->try_fill();
  }
  if (stopping_) {
    co_return State::idle;
  }
  if (!got && got.error() == Errc::timed_out) {
    fault_ = {408, "body_timed_out"};
    co_return State::refused;
  }
  if (!got || *got == 0) {
    co_return State::client_lost;
  }
  came_ += *got;
  if (std::exchange(expecting_, false) || came_ >= kBodyStride) {
    came_ = 0;
    waited_ = {};
  }
  co_return std::nullopt;
}

void RequestBody::begin_wait() {
  net::Stream& client = client_->stream();
  wait_began_ = client.loop().now();
  client.set_deadline(Direction::receive, patient_
                                              ? net::TimePoint::max()
                                              : over_at(wait_began_ - waited_, timeouts_.body));
}

void RequestBody::invited() {
  if (stopping_ || !std::exchange(expecting_, false)) {
    return;
  }
  waited_ = {};
  if (state_ == State::pumping) {
    begin_wait();
  }
}

bool RequestBody::cut_short() const {
  if (decoder_.done()) {
    return false;
  }
  const auto unread = client_->stream().peek(kMostUnread);
  if (!unread) {
    return false;
  }
  BodyDecoder rest = decoder_;
  for (std::string_view in : {client_->bytes().substr(in_work_), std::string_view(*unread)}) {
    while (!in.empty() && !rest.done()) {
      const auto piece = rest.decode(in);
      if (!piece) {
        return false;  // that is for the pump to tell the client
      }
      in.remove_prefix(piece->consumed);
    }
  }
  return !rest.done();
}

net::awaitable<bool> RequestBody::join(net::TimePoint deadline) {
  co_return state_ != State::pumping || co_await ended_gate_->wait_until(deadline);
}

net::awaitable<void> RequestBody::stop() {
  disown();
  if (state_ != State::pumping) {
    co_return;
  }
  stopping_ = true;
  const auto now = client_->stream().loop().now();
  client_->stream().set_deadline(Direction::receive, now);
  upstream_->set_deadline(Direction::send, now);
  co_await ended_gate_->wait_until();
}

void RequestBody::be_patient() {
  patient_ = true;
  if (state_ == State::pumping) {
    client_->stream().clear_deadline(Direction::receive);
  }
}

}  // namespace simplon::http
