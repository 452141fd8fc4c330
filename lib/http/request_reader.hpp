// Reads the request heads of one client connection, in order, within their deadlines.
//
// Owned by the coroutine that serves the connection, beside the inlet. Threads: the inlet's loop.
#pragma once

#include <memory>
#include <optional>

#include "http/drain.hpp"
#include "http/head.hpp"
#include "http/wire.hpp"

namespace simplon::http {

class RequestReader {
 public:
  enum class Outcome : std::uint8_t {
    request,  ///< head() is the next request's
    http2,    ///< the connection began with the HTTP/2 preface, which is left in the inlet
    over,     ///< nothing more comes: the client ended or failed, was idle too long, or we drain
    refused,  ///< verdict() says why
  };

  RequestReader(Inlet& inlet, const Limits& limits, const Timeouts& timeouts,
                std::shared_ptr<Drain> drain);

  /// Waits for a first byte (`head` for the first request of a connection, `idle` for others), then
  /// `head` for the whole. A drain ends the wait for a first byte only. The preface of HTTP/2
  /// counts at the very start of a connection, and as no request anywhere else.
  net::awaitable<Outcome> next();

  const RequestHead& head() const { return head_; }
  /// Gives the head's memory back.
  void forget_head() { head_ = {}; }
  Verdict verdict() const { return verdict_; }

 private:
  net::awaitable<net::Result<std::size_t>> wait_for_first();

  Inlet& inlet_;
  Timeouts timeouts_;
  std::shared_ptr<Drain> drain_;
  RequestParser parser_;
  RequestHead head_;
  Verdict verdict_;
  bool first_ = true;
};

}  // namespace simplon::http
