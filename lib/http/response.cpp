// The response's way back: heads, interim and final, then the body as it comes.
#include <utility>

#include "http/exchange.hpp"
#include "http/prefixed_stream.hpp"

namespace simplon::http {

using base::Errc;
using net::Direction;

namespace {

constexpr int kMostInterim = 64;  // responses of one request; an origin that sends more is broken

}  // namespace

// Reads until a final head, passing on what comes before it.
net::awaitable<Exchange::Heard> Exchange::hear() {
  for (int interim = 0;;) {
    if (!inlet_->bytes().empty()) {
      const auto parsed = parser_.parse(inlet_->bytes(), response_);
      if (!parsed) {
        malformed_ = parsed.error();
        co_return Heard::failed;
      }
      inlet_->consume(parsed->consumed);
      if (parsed->done) {
        const auto framing = frame_response(
            response_, {.head = request_.method == "HEAD", .upgrade = framing_.upgrade});
        if (!framing || (framing->interim && ++interim > kMostInterim)) {
          malformed_ = framing ? Verdict{502, "too_many_interim_responses"} : framing.error();
          co_return Heard::failed;
        }
        response_framing_ = *framing;
        if (!framing->interim) {
          co_return Heard::head;
        }
        if (!co_await forward_interim()) {
          co_return Heard::failed;
        }
        parser_.reset();
        continue;
      }
    }
    arm_upstream_deadline();
    const auto got = co_await inlet_->fill();
    if (!got || *got == 0) {
      failure_ = got ? make_error_code(Errc::reset) : got.error();
      co_return Heard::failed;
    }
    heard_ = true;
  }
}

net::awaitable<bool> Exchange::forward_interim() {
  if (request_.minor == 0) {
    co_return true;  // HTTP/1.0 has none
  }
  out_.clear();
  append_response(out_, response_, {.from_target = policy_.hop == base::Hop::share});
  const auto written = co_await net::write_all(client_.stream(), net::as_buffer(out_));
  client_lost_ = client_lost_ || !written;
  if (written && response_.status == 100 && body_) {
    body_->invited();
  }
  co_return written.has_value();
}

// No response, or none that can be passed on: tries again, or tells the client why.
net::awaitable<Exchange::Attempt> Exchange::upstream_failed() {
  if (body_) {
    co_await body_->stop();
    const auto state = body_->state();
    if (state == RequestBody::State::refused) {
      end_ = co_await refuse(error_response(body_->fault()));
      co_return Attempt::answered;
    }
    client_lost_ = client_lost_ || state == RequestBody::State::client_lost;
  }
  if (client_lost_) {
    end_ = lose_client();
    co_return Attempt::answered;
  }
  const auto refusal = upstream_.refusal && !heard_ ? upstream_.refusal() : std::nullopt;
  const bool refused_unprocessed =
      refusal && refusal->code == Errc::draining && !fresh_ && (!body_ || body_->replayable());
  if (refused_unprocessed || (!refusal && may_retry())) {
    inlet_.reset();
    upstream_.stream->reset();
    upstream_ = {};
    co_return Attempt::retry;
  }
  if (refusal) {
    end_ = co_await refuse(error_response(*refusal));
  } else if (malformed_) {
    auto error = error_response(*malformed_);
    error.hop = behind();
    error.text = "the response was not valid HTTP/1.1: " + error.text;
    end_ = co_await refuse(std::move(error));
  } else {
    const bool late = failure_ == Errc::timed_out;
    const base::Hop hop = failure_ == Errc::link_lost ? base::Hop::overlay : behind();
    end_ = co_await refuse(
        error_response(base::Failure{hop, failure_, late ? "no response in time" : "no response"}));
  }
  co_return Attempt::answered;
}

net::awaitable<Exchange::End> Exchange::deliver() {
  awaiting_head_ = false;
  arm_upstream_deadline();
  outcome_.status = response_.status;
  if (response_framing_.switched) {
    co_return co_await switch_protocols();
  }
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
  // An early refusal: nobody will read the rest of the body. A client that waits for a 100 that
  // did not come may send its body or not.
  const bool early = body_ && !body_->complete() &&
                     (!response_framing_.keep_alive || response_.status >= 400 ||
                      body_->state() != RequestBody::State::pumping ||
                      (framing_.continues && body_->bytes() == 0));
  delivery.close = !framing_.keep_alive || early || delivery.body == BodyKind::until_close ||
                   connection_.draining();
  if (body_) {
    body_->be_patient();
    body_->forget_sent();
  }
  co_return co_await relay(delivery);
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
      auto error = error_response(Verdict{502, decoded.error().reason});
      error.hop = behind();
      co_return co_await refuse(std::move(error));
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
    if (client_.ended()) {
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

// The response is complete. The request may not be: then its rest has a moment to arrive.
net::awaitable<Exchange::End> Exchange::after_response(const Delivery& delivery) {
  if (body_ && !body_->complete()) {
    const bool wanted = response_framing_.keep_alive && !delivery.close;
    if (!wanted || !co_await body_->join(connection_.now() + policy_.timeouts.linger) ||
        !body_->complete()) {
      co_await body_->stop();
      co_return client_lost_ ? End::gone : End::linger;
    }
  }
  watch_.stop();
  if (response_framing_.keep_alive && inlet_->bytes().empty() && !inlet_->ended() &&
      !upstream_.stream->closed()) {
    upstream_.stream->clear_deadline(Direction::receive);
    inlet_.reset();
    connection_.ends->release(route_, std::exchange(upstream_, {}));
  } else {
    upstream_.stream->close();
    upstream_ = {};
  }
  co_return delivery.close ? End::close : client_lost_ ? End::gone : End::keep;
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
