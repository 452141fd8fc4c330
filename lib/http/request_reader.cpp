#include "http/request_reader.hpp"

#include <utility>

#include "http/http2_preface.hpp"

namespace simplon::http {

using net::Direction;

namespace {

// Ends a wait when the drain begins; forgotten also where the waiting coroutine is dropped.
class DrainWaker {
 public:
  DrainWaker(std::shared_ptr<Drain> drain, const net::StreamPtr& stream)
      : drain_(std::move(drain)), id_(drain_->on_request([weak = std::weak_ptr(stream)] {
          if (const auto alive = weak.lock()) {
            alive->set_deadline(Direction::receive, alive->loop().now());
          }
        })) {}
  ~DrainWaker() { drain_->forget(id_); }
  DrainWaker(const DrainWaker&) = delete;
  DrainWaker& operator=(const DrainWaker&) = delete;

 private:
  std::shared_ptr<Drain> drain_;
  Drain::Id id_;
};

}  // namespace

RequestReader::RequestReader(Inlet& inlet, const Limits& limits, const Timeouts& timeouts,
                             std::shared_ptr<Drain> drain)
    : inlet_(inlet), timeouts_(timeouts), drain_(std::move(drain)), parser_(limits) {}

net::awaitable<RequestReader::Outcome> RequestReader::next() {
  net::Stream& client = inlet_.stream();
  const auto now = [&client] { return client.loop().now(); };
  client.set_deadline(Direction::receive, over_at(now(), first_ ? timeouts_.head : timeouts_.idle));
  parser_.reset();
  bool started = false;
  // As long as the bytes may be the preface they are not the parser's.
  Preface preface = std::exchange(first_, false) ? Preface::partial : Preface::none;
  for (;;) {
    if (preface == Preface::partial) {
      preface = match_preface(inlet_.bytes());
    }
    if (preface == Preface::whole) {
      client.clear_deadline(Direction::receive);
      co_return Outcome::http2;
    }
    if (preface == Preface::none && !inlet_.bytes().empty()) {
      const auto parsed = parser_.parse(inlet_.bytes(), head_);
      if (!parsed) {
        verdict_ = parsed.error();
        co_return Outcome::refused;
      }
      inlet_.consume(parsed->consumed);
      if (parsed->done) {
        client.clear_deadline(Direction::receive);
        co_return Outcome::request;
      }
    }
    const bool begun = preface == Preface::partial ? !inlet_.bytes().empty() : parser_.started();
    if (begun && !std::exchange(started, true)) {
      client.set_deadline(Direction::receive, over_at(now(), timeouts_.head));
    }
    const auto got = started ? co_await inlet_.fill() : co_await wait_for_first();
    if (!got && got.error() == base::Errc::timed_out && started) {
      verdict_ = {408, "head_timed_out"};
      co_return Outcome::refused;
    }
    if (!got || *got == 0) {
      co_return Outcome::over;
    }
  }
}

net::awaitable<net::Result<std::size_t>> RequestReader::wait_for_first() {
  if (auto got = inlet_.try_fill(); got || got.error() != base::Errc::would_block) {
    co_return got;
  }
  if (!drain_) {
    co_return co_await inlet_.fill();
  }
  if (drain_->requested()) {
    co_return base::fail(base::Errc::draining);
  }
  {
    const DrainWaker waker(drain_, inlet_.stream_ptr());
    if (const auto error = co_await net::wait(inlet_.stream(), net::Event::readable)) {
      co_return std::unexpected(error);
    }
  }
  co_return co_await inlet_.fill();
}

}  // namespace simplon::http
