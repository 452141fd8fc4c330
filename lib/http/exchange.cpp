#include "http/exchange.hpp"

#include <algorithm>
#include <utility>

#include "http/via.hpp"

namespace simplon::http {

using base::Errc;
using net::Direction;

namespace {

std::string pseudonym(const Policy& policy, const std::string& route) {
  return policy.via_by_route && !policy.via.empty() ? route + "." + policy.via : policy.via;
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
  const auto to = admit();
  if (!to) {
    co_return co_await refuse(to.error());
  }
  references_ = references_of(request_, *to, policy_);
  if (framing_.body == BodyKind::chunked || framing_.length > 0) {
    body_ = std::make_shared<RequestBody>(connection_.client, framing_, policy_);
  }
  auto route = connection_.ends->route(to->host);
  if (!route) {
    co_return co_await refuse(error_response(route.error()));
  }
  route_ = std::move(*route);
  routed_ = true;
  via_ = pseudonym(policy_, route_);
  if (!via_.empty() && has_passed(request_, via_)) {
    co_return co_await refuse({508, policy_.hop, "loop_detected",
                               "this request has been here before: what is shared leads back to "
                               "this tunnel"});
  }
  if (ends_here()) {
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

// Whether this may travel on at all.
std::expected<Destination, ErrorResponse> Exchange::admit() {
  const auto framing = frame_request(request_, policy_.limits);
  if (!framing) {
    return std::unexpected(error_response(framing.error()));
  }
  auto to = destination_of(request_);
  if (!to) {
    return std::unexpected(error_response(to.error()));
  }
  framing_ = *framing;
  return std::move(*to);
}

// We are the last that the request may reach (RFC 9110 §7.6.2).
bool Exchange::ends_here() const {
  return request_.method == "OPTIONS" && !body_ &&
         request_.fields.find(Name::max_forwards) == std::string_view("0");
}

// Sets end_ where the request was answered, or never can be.
net::awaitable<Exchange::Attempt> Exchange::attempt(const Destination& to) {
  if (!co_await connect()) {
    co_return Attempt::answered;
  }
  parser_.reset();
  failure_.clear();
  malformed_.reset();
  heard_ = sent_ = deadline_set_ = false;
  awaiting_head_ = true;
  if (!co_await send(to) || !co_await hear()) {
    co_return co_await not_heard();
  }
  end_ = co_await deliver();
  co_return Attempt::answered;
}

// False with end_ where there is nobody to ask, or for whom.
net::awaitable<bool> Exchange::connect() {
  auto connected =
      co_await connection_.ends->connect(connection_.loop(), route_, connection_.id, fresh_,
                                         over_at(connection_.now(), policy_.timeouts.connect));
  if (connected) {
    upstream_ = std::move(*connected);
    inlet_.emplace(upstream_.stream);
  }
  if (client_lost_) {
    end_ = End::gone;
    co_return false;
  }
  if (!connected) {
    end_ = co_await refuse(error_response(connected.error()));
  }
  co_return connected.has_value();
}

// An idle connection has nothing to say: an end, a failure or stray bytes make it useless.
bool Exchange::is_stale() {
  const auto early = inlet_->try_fill();
  if (!early && early.error() == Errc::would_block) {
    return false;
  }
  failure_ = early ? make_error_code(Errc::reset) : early.error();
  return true;
}

// False with failure_ where there is nothing to wait for. What could not be written may have been
// answered already: the reading tells.
net::awaitable<bool> Exchange::send(const Destination& to) {
  if (upstream_.reused && is_stale()) {
    co_return false;
  }
  out_.clear();
  append_request(out_, request_,
                 {.framing = framing_,
                  .to = to,
                  .policy = policy_,
                  .client = connection_.who,
                  .via = via_,
                  .upstream_authority = upstream_.authority,
                  .references = references_ ? &*references_ : nullptr});
  sent_ = true;
  if (body_) {
    co_return co_await send_with_body();
  }
  static_cast<void>(co_await net::write_all(*upstream_.stream, net::as_buffer(out_)));
  request_sent();
  co_return true;
}

net::awaitable<bool> Exchange::send_with_body() {
  const bool keep = !fresh_ && (upstream_.reused || upstream_.refusal);
  const auto written = co_await body_->begin(upstream_.stream, out_, keep);
  if (!written && body_->state() == RequestBody::State::refused) {
    failure_ = written.error();
    co_return false;
  }
  if (written && !body_->complete()) {
    body_->pump(upstream_.stream, {.ended =
                                       [this] {
                                         if (body_->read()) {
                                           request_sent();
                                         }
                                       },
                                   .invite = [this] { return invite(); }});
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

// While an upload stands still nobody reads behind it. A whole one may go on: its client has sent
// all, and may wait for the answer.
void Exchange::peer_ended() {
  if (!body_) {
    half_closed_ = true;
    arm_upstream_deadline();
  } else if (body_->cut_short()) {
    client_changed(make_error_code(Errc::closed));
  }
}

// What the client is still waiting for has no limit but those of the policy: a long poll, an upload
// that the upstream takes its time to read, a stream of events that is quiet. That the client was
// reset is told by its stream, also where nobody reads it because its buffer is full.
void Exchange::arm_upstream_deadline() {
  if (!upstream_.stream) {
    return;
  }
  net::TimePoint when = awaiting_head_ ? response_deadline_ : net::TimePoint::max();
  if (client_.ended() || half_closed_) {
    when = std::min(when, over_at(connection_.now(), policy_.timeouts.half_closed));
  }
  if (when != net::TimePoint::max() || deadline_set_) {
    deadline_set_ = when != net::TimePoint::max();
    upstream_.stream->set_deadline(Direction::receive, when);
  }
}

void Exchange::drop_upstream() {
  inlet_.reset();
  if (upstream_.stream) {
    upstream_.stream->reset();
  }
  upstream_ = {};
}

// Nothing of this exchange outlives it: neither pump nor watch, nor an upstream in its middle.
net::awaitable<void> Exchange::finish() {
  client_.stream().watch_end(nullptr);
  watch_.stop();
  if (body_) {
    co_await body_->stop();
  }
  drop_upstream();
}

}  // namespace simplon::http
