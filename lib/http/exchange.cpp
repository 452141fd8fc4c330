#include "http/exchange.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "http/date.hpp"
#include "http/status.hpp"
#include "http/via.hpp"

namespace simplon::http {

using base::Errc;
using net::Direction;

namespace {

// RFC 9110 §9.2.2: these can be sent again without harm.
bool idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 5> kIdempotent{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  return std::find(kIdempotent.begin(), kIdempotent.end(), method) != kIdempotent.end();
}

}  // namespace

Exchange::Exchange(const Connection& connection, const RequestHead& request, Scratch& scratch)
    : connection_(connection),
      policy_(*connection.policy),
      request_(request),
      client_(*connection.client),
      watch_(client_, [this](std::error_code error) { client_changed(error); }),
      parser_(scratch.parser),
      response_(scratch.response),
      out_(scratch.out) {
  outcome_.method = request.method;
  outcome_.target = request.target;
}

Exchange::~Exchange() {
  client_.stream().watch_end(nullptr);
  if (body_) {
    body_->disown();
  }
}

net::awaitable<Exchange::End> Exchange::run() {
  client_.stream().watch_end(this);
  const End end = co_await proceed();
  co_await finish();
  if (end == End::switch_protocols) {
    co_return end;
  }
  if (body_) {
    outcome_.bytes_in += body_->bytes();
  }
  connection_.ends->finished(outcome_);
  co_return end;
}

net::awaitable<Exchange::End> Exchange::proceed() {
  const auto framing = frame_request(request_, policy_.limits);
  if (!framing) {
    co_return co_await refuse(error_response(framing.error()));
  }
  const auto to = destination_of(request_);
  if (!to) {
    co_return co_await refuse(error_response(to.error()));
  }
  references_ = references_of(request_, *to, policy_);
  framing_ = *framing;
  if (framing_.body == BodyKind::chunked || framing_.length > 0) {
    body_ = std::make_shared<RequestBody>(connection_.client, framing_, policy_);
  }
  auto route = connection_.ends->route(to->host);
  if (!route) {
    co_return co_await refuse(error_response(route.error()));
  }
  route_ = std::move(*route);
  routed_ = true;
  via_ = policy_.via_by_route && !policy_.via.empty() ? route_ + "." + policy_.via : policy_.via;
  if (!via_.empty() && has_passed(request_, via_)) {
    co_return co_await refuse({508, policy_.hop, "loop_detected",
                               "this request has been here before: what is shared leads back to "
                               "this tunnel"});
  }
  if (request_.method == "OPTIONS" && !body_ &&
      request_.fields.find(Name::max_forwards) == std::string_view("0")) {
    co_return co_await answer_options();
  }
  if (!body_) {
    watch_.start();
  }
  while (co_await attempt(*to) == Attempt::retry) {
    fresh_ = true;
  }
  co_return end_;
}

// Sets end_ where the request was answered, or never can be.
net::awaitable<Exchange::Attempt> Exchange::attempt(const Destination& to) {
  auto connected =
      co_await connection_.ends->connect(connection_.loop(), route_, connection_.id, fresh_,
                                         over_at(connection_.now(), policy_.timeouts.connect));
  if (connected) {
    upstream_ = std::move(*connected);
    inlet_.emplace(upstream_.stream);
  }
  if (client_lost_) {
    end_ = End::gone;
    co_return Attempt::answered;
  }
  if (!connected) {
    end_ = co_await refuse(error_response(connected.error()));
    co_return Attempt::answered;
  }
  parser_.reset();
  failure_.clear();
  malformed_.reset();
  heard_ = sent_ = deadline_set_ = false;
  awaiting_head_ = true;
  if (!co_await send(to) || co_await hear() == Heard::failed) {
    co_return co_await upstream_failed();
  }
  end_ = co_await deliver();
  co_return Attempt::answered;
}

// False with failure_ where there is nothing to wait for.
net::awaitable<bool> Exchange::send(const Destination& to) {
  if (upstream_.reused) {
    // An idle connection has nothing to say: an end, a failure or stray bytes make it useless.
    const auto early = inlet_->try_fill();
    if (early || early.error() != Errc::would_block) {
      failure_ = early ? make_error_code(Errc::reset) : early.error();
      co_return false;
    }
  }
  out_.clear();
  append_request(out_, request_,
                 {.framing = framing_,
                  .to = to,
                  .policy = policy_,
                  .client = connection_.who,
                  .via = via_,
                  .upstream_authority = upstream_.authority});
  sent_ = true;
  const bool keep = !fresh_ && (upstream_.reused || upstream_.refusal);
  const auto written = body_ ? co_await body_->begin(upstream_.stream, out_, keep)
                             : co_await net::write_all(*upstream_.stream, net::as_buffer(out_));
  if (!written && body_ && body_->state() == RequestBody::State::refused) {
    failure_ = written.error();
    co_return false;
  }
  // What could not be written may have been answered already: the reading tells.
  if (body_ && written && !body_->complete()) {
    body_->pump(upstream_.stream, [this] {
      if (body_->read()) {
        request_sent();
      }
    });
  } else {
    request_sent();
  }
  co_return true;
}

// The client has nothing to send for this request any more.
void Exchange::request_sent() {
  response_deadline_ = over_at(connection_.now(), policy_.timeouts.first_byte);
  if (!body_ || body_->read()) {
    watch_.start();
  }
  arm_upstream_deadline();
}

void Exchange::client_changed(std::error_code error) {
  if (!error) {
    arm_upstream_deadline();
    return;
  }
  client_lost_ = true;
  if (upstream_.stream) {
    upstream_.stream->reset();
  }
}

void Exchange::ended() { client_changed(make_error_code(Errc::closed)); }

// What the client is still waiting for has no limit but those of the policy: a long poll, an upload
// that the upstream takes its time to read, a stream of events that is quiet. That the client was
// reset is told by its stream, also where nobody reads it because its buffer is full.
void Exchange::arm_upstream_deadline() {
  if (!upstream_.stream) {
    return;
  }
  net::TimePoint when = awaiting_head_ ? response_deadline_ : net::TimePoint::max();
  if (client_.ended()) {
    when = std::min(when, over_at(connection_.now(), policy_.timeouts.half_closed));
  }
  if (when != net::TimePoint::max() || deadline_set_) {
    deadline_set_ = when != net::TimePoint::max();
    upstream_.stream->set_deadline(Direction::receive, when);
  }
}

bool Exchange::may_retry() const {
  return !fresh_ && !heard_ && !malformed_ && failure_ != Errc::timed_out && upstream_.reused &&
         (!body_ || body_->replayable()) && (!sent_ || idempotent(request_.method));
}

base::Hop Exchange::behind() const {
  return policy_.hop == base::Hop::share ? base::Hop::target : base::Hop::share;
}

// The answer is ours. What is left of the upstream is dropped by finish().
net::awaitable<Exchange::End> Exchange::refuse(ErrorResponse error) {
  if (body_) {
    co_await body_->stop();
  }
  watch_.stop();
  if (error.hop == base::Hop::client && error.status >= 500) {
    error.hop = policy_.hop;
  }
  const bool unread = body_ && !body_->read();
  const bool close = !routed_ || unread || !framing_.keep_alive || request_.minor == 0 ||
                     client_.ended() || connection_.draining();
  outcome_.status = error.status;
  outcome_.refused = true;
  const std::string answer = render(
      error, {.json = prefers_json(request_), .head = request_.method == "HEAD", .close = close});
  const auto written = co_await net::write_all(client_.stream(), net::as_buffer(answer));
  if (!written) {
    co_return End::gone;
  }
  co_return !close ? End::keep : unread || !routed_ ? End::linger : End::close;
}

// We are the last that the request may reach (RFC 9110 §7.6.2).
net::awaitable<Exchange::End> Exchange::answer_options() {
  ResponseHead answer;
  answer.status = outcome_.status = 200;
  answer.reason = reason_phrase(200);
  answer.fields.add("Allow", kAllowedMethods);
  const bool close = !framing_.keep_alive || connection_.draining();
  out_.clear();
  append_response(out_, answer,
                  {.body = BodyKind::length,
                   .close = close,
                   .http_1_0 = request_.minor == 0,
                   .date = http_date_now()});
  if (!co_await net::write_all(client_.stream(), net::as_buffer(out_))) {
    co_return End::gone;
  }
  co_return close ? End::close : End::keep;
}

// Nothing of this exchange outlives it: neither pump nor watch, nor an upstream in its middle.
net::awaitable<void> Exchange::finish() {
  client_.stream().watch_end(nullptr);
  watch_.stop();
  if (body_) {
    co_await body_->stop();
  }
  inlet_.reset();
  if (upstream_.stream) {
    upstream_.stream->reset();
  }
}

}  // namespace simplon::http
