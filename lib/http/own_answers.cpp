// Answers of the engine itself: refusals, and what it says for an upstream that did not answer.
#include "http/date.hpp"
#include "http/exchange.hpp"
#include "http/status.hpp"

namespace simplon::http {

using base::Errc;

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
  const bool close = !routed_ || unread || !may_persist() || request_.minor == 0 || client_.ended();
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

net::awaitable<Exchange::End> Exchange::answer_options() {
  ResponseHead answer;
  answer.status = outcome_.status = 200;
  answer.reason = reason_phrase(200);
  answer.fields.add("Allow", kAllowedMethods);
  const bool close = !may_persist();
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

base::Hop Exchange::behind() const {
  return policy_.hop == base::Hop::share ? base::Hop::target : base::Hop::share;
}

ErrorResponse Exchange::bad_response(const Verdict& verdict) const {
  auto error = error_response(Verdict{502, verdict.reason}, "the response was not valid HTTP/1.1");
  error.hop = behind();
  return error;
}

ErrorResponse Exchange::no_response() const {
  const bool late = failure_ == Errc::timed_out;
  const base::Hop hop = failure_ == Errc::link_lost ? base::Hop::overlay : behind();
  return error_response(base::Failure{hop, failure_, late ? "no response in time" : "no response"});
}

}  // namespace simplon::http
