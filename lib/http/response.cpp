// The response's way back: heads, interim and final, then the body as it comes.
#include <algorithm>
#include <array>
#include <utility>

#include "http/exchange.hpp"
#include "http/prefixed_stream.hpp"

namespace simplon::http {

using base::Errc;
using net::Direction;

namespace {

constexpr int kMostInterim = 64;  // responses of one request; an origin that sends more is broken

// RFC 9110 §9.2.2: these can be sent again without harm.
bool idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 5> kIdempotent{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  return std::find(kIdempotent.begin(), kIdempotent.end(), method) != kIdempotent.end();
}

}  // namespace

// Reads until a final head, passing on what comes before it. False with malformed_ or failure_.
net::awaitable<bool> Exchange::hear() {
  for (int interim = 0; co_await read_head(); ++interim) {
    const auto framing =
        frame_response(response_, {.head = request_.method == "HEAD", .upgrade = framing_.upgrade});
    if (!framing || (framing->interim && interim == kMostInterim)) {
      malformed_ = framing ? Verdict{502, "too_many_interim_responses"} : framing.error();
      co_return false;
    }
    response_framing_ = *framing;
    if (!framing->interim) {
      co_return true;
    }
    if (!co_await forward_interim()) {
      co_return false;
    }
    parser_.reset();
  }
  co_return false;
}

net::awaitable<bool> Exchange::read_head() {
  for (;;) {
    if (!inlet_->bytes().empty()) {
      const auto parsed = parser_.parse(inlet_->bytes(), response_);
      if (!parsed) {
        malformed_ = parsed.error();
        co_return false;
      }
      inlet_->consume(parsed->consumed);
      if (parsed->done) {
        co_return true;
      }
    }
    arm_upstream_deadline();
    const auto got = co_await inlet_->fill();
    if (!got || *got == 0) {
      failure_ = got ? make_error_code(Errc::reset) : got.error();
      co_return false;
    }
    heard_ = true;
  }
}

net::awaitable<bool> Exchange::forward_interim() {
  if (request_.minor == 0 || (response_.status == 100 && invited_)) {
    co_return true;  // HTTP/1.0 has none, and one of these is enough
  }
  out_.clear();
  append_response(out_, response_, {.from_target = policy_.hop == base::Hop::share});
  telling_ = true;
  const auto written = co_await net::write_all(client_.stream(), net::as_buffer(out_));
  telling_ = false;
  client_lost_ = client_lost_ || !written;
  if (written && response_.status == 100 && body_) {
    body_->invited();
  }
  co_return written.has_value();
}

// Called by the body's pump, beside the reading of the response. False: the client does not read.
bool Exchange::invite() {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (telling_) {
    return true;  // it has not read what it was told before
  }
  const auto put = client_.stream().try_write(net::as_buffer(kContinue));
  if (!put) {
    // Others may fill the connection that it shares with them: then the upstream's 100 is its only.
    return put.error() == Errc::would_block;
  }
  invited_ = true;
  return *put == kContinue.size();
}

// No response, or none that can be passed on: tries again, or tells the client why.
net::awaitable<Exchange::Attempt> Exchange::not_heard() {
  if (body_) {
    co_await body_->stop();
    if (body_->state() == RequestBody::State::refused) {
      end_ = co_await refuse(error_response(body_->fault()));
      co_return Attempt::answered;
    }
    client_lost_ = client_lost_ || body_->state() == RequestBody::State::client_lost;
  }
  if (client_lost_) {
    end_ = lose_client();
    co_return Attempt::answered;
  }
  const auto refusal = upstream_.refusal && !heard_ ? upstream_.refusal() : std::nullopt;
  if (may_retry(refusal)) {
    drop_upstream();
    co_return Attempt::retry;
  }
  end_ = co_await refuse(refusal      ? error_response(*refusal)
                         : malformed_ ? bad_response(*malformed_)
                                      : no_response());
  co_return Attempt::answered;
}

bool Exchange::may_retry(const std::optional<base::Failure>& refusal) const {
  if (fresh_ || (body_ && !body_->replayable())) {
    return false;
  }
  if (refusal) {
    return refusal->code == Errc::draining;  // nothing of it was processed
  }
  return !heard_ && !malformed_ && failure_ != Errc::timed_out && upstream_.reused &&
         (!sent_ || idempotent(request_.method));
}

net::awaitable<Exchange::End> Exchange::deliver() {
  awaiting_head_ = false;
  arm_upstream_deadline();
  outcome_.status = response_.status;
  if (response_framing_.switched) {
    co_return co_await switch_protocols();
  }
  const Delivery delivery = plan_delivery();
  if (body_) {
    body_->be_patient();
    body_->forget_sent();
  }
  co_return co_await relay(delivery);
}

Delivery Exchange::plan_delivery() const {
  Delivery delivery{.body = response_framing_.body,
                    .length = response_framing_.length,
                    .http_1_0 = request_.minor == 0,
                    .head = request_.method == "HEAD" && response_.status != 204,
                    .from_target = policy_.hop == base::Hop::share,
                    .date = policy_.date != nullptr ? policy_.date() : std::string_view(),
                    .rules = policy_.response_headers,
                    .references = references_ ? &*references_ : nullptr};
  if (delivery.http_1_0 && delivery.body == BodyKind::chunked) {
    delivery.body = BodyKind::until_close;
  } else if (!delivery.http_1_0 && delivery.body == BodyKind::until_close) {
    delivery.body = BodyKind::chunked;
  }
  delivery.close = !may_persist() || ends_early() || delivery.body == BodyKind::until_close;
  return delivery;
}

// An early refusal: nobody will read the rest of the body. A client that waits for a 100 that did
// not come may send its body or not.
bool Exchange::ends_early() const {
  return body_ && !body_->complete() &&
         (!response_framing_.keep_alive || response_.status >= 400 ||
          body_->state() != RequestBody::State::pumping ||
          (framing_.continues && body_->bytes() == 0));
}

net::awaitable<Exchange::End> Exchange::relay(const Delivery& delivery) {
  out_.clear();
  append_response(out_, response_, delivery);
  std::string_view head = out_;
  Limits limits = policy_.limits;
  limits.body_bytes.reset();  // that is for requests
  BodyDecoder body(response_framing_.body, response_framing_.length, limits);
  BodyBatch batch({.rules = policy_.response_headers});
  for (;;) {
    const auto decoded = batch.decode(body, inlet_->bytes());
    if (!decoded && !head.empty()) {
      // Not a byte went out: the client can still be told.
      upstream_.stream->reset();
      co_return co_await refuse(bad_response(decoded.error()));
    }
    if (!decoded) {
      co_return cut(delivery);
    }
    const auto written = co_await write_all(
        client_.stream(), batch.frame(delivery.body, head, body.done() ? &body : nullptr));
    if (!written) {
      co_return lose_client();
    }
    head = {};
    outcome_.bytes_out += batch.payload();
    inlet_->consume(batch.consumed());
    if (body.done()) {
      co_return co_await after_response(delivery);
    }
    if (batch.consumed() != 0 && !inlet_->bytes().empty()) {
      continue;
    }
    if (client_.ended() || half_closed_) {
      arm_upstream_deadline();
    }
    const auto got = co_await inlet_->fill();
    if (client_lost_) {
      co_return lose_client();
    }
    if (!got || (*got == 0 && !body.end_of_input())) {
      co_return cut(delivery);
    }
  }
}

net::awaitable<Exchange::End> Exchange::after_response(const Delivery& delivery) {
  if (!co_await let_request_end(delivery.close)) {
    co_return client_lost_ ? End::gone : End::linger;
  }
  watch_.stop();
  release_upstream();
  co_return delivery.close ? End::close : client_lost_ ? End::gone : End::keep;
}

// The response is complete. The request may not be: then its rest has a moment to arrive.
net::awaitable<bool> Exchange::let_request_end(bool close) {
  if (!body_ || body_->complete()) {
    co_return true;
  }
  const bool wanted = response_framing_.keep_alive && !close;
  if (wanted && co_await body_->join(connection_.now() + policy_.timeouts.linger) &&
      body_->complete()) {
    co_return true;
  }
  co_await body_->stop();
  co_return false;
}

// For the next request, if it can take one.
void Exchange::release_upstream() {
  if (response_framing_.keep_alive && inlet_->bytes().empty() && !inlet_->ended() &&
      !upstream_.stream->closed()) {
    upstream_.stream->clear_deadline(Direction::receive);
    inlet_.reset();
    connection_.ends->release(route_, std::exchange(upstream_, {}));
  } else {
    upstream_.stream->close();
    upstream_ = {};
  }
}

// HTTP ends here: bytes are bytes, those first that either side sent behind its head.
net::awaitable<Exchange::End> Exchange::switch_protocols() {
  watch_.stop();
  out_.clear();
  append_response(out_, response_, {.from_target = policy_.hop == base::Hop::share});
  if (!co_await net::write_all(client_.stream(), net::as_buffer(out_))) {
    co_return lose_client();
  }
  switched_.client = with_prefix(client_.stream_ptr(), client_.bytes());
  switched_.upstream = with_prefix(std::exchange(upstream_, {}).stream, inlet_->bytes());
  client_.consume(client_.bytes().size());
  inlet_.reset();
  co_return End::switch_protocols;
}

// Both connections end at once, because nobody is left to read or to answer.
Exchange::End Exchange::lose_client() {
  upstream_.stream->reset();
  client_.stream().reset();
  return End::gone;
}

// The client must not take what it has for the whole: a framed body tells, any other needs a reset.
Exchange::End Exchange::cut(const Delivery& delivery) {
  upstream_.stream->reset();
  if (delivery.body == BodyKind::until_close) {
    client_.stream().reset();
    return End::gone;
  }
  return End::cut;
}

}  // namespace simplon::http
