// A small HTTP server for responses that are made here: test endpoints and local pages. It shares
// the heads, framing and bodies of the proxy engine.
//
// Ownership: the coroutine keeps stream and handler alive; a handler may serve many connections.
// Threads: everything of a connection happens on its stream's loop.
// Cancellation: closing the stream ends serve_locally(); a drain lets the current request finish.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "http/body.hpp"
#include "http/drain.hpp"
#include "http/framing.hpp"
#include "http/request_reader.hpp"
#include "net/async.hpp"

namespace simplon::http {

/// A request whose head has arrived. Lives for one call of Handler::handle.
class Request {
 public:
  Request(Inlet& inlet, const RequestHead& head, const RequestFraming& framing,
          const Limits& limits);

  const RequestHead& head() const { return head_; }
  /// The path without the query; empty for targets in another form.
  std::string_view path() const;
  /// Behind the question mark; empty without.
  std::string_view query() const;
  /// The head is a websocket handshake (http/upgrade.hpp): the handler may call upgrade().
  bool wants_upgrade() const { return framing_.upgrade; }

  /// At least one byte of the body, 0 at its end. A client that waits for `100 Continue` gets it at
  /// the first call. Errors: the stream's; truncated; bad_request for malformed framing.
  net::awaitable<net::Result<std::size_t>> read_body(std::span<std::byte> into);
  /// The whole body has been read.
  bool finished() const { return decoder_.done(); }
  /// Once finished.
  const Fields& trailers() const { return decoder_.trailers(); }

 private:
  friend class Responder;

  Inlet& inlet_;
  const RequestHead& head_;
  RequestFraming framing_;
  BodyDecoder decoder_;
  bool continued_ = false;
};

/// Answers one request. Each call returns the stream's error if the client is gone. Arguments are
/// not kept: await each call at once. What is written is staged at once.
class Responder {
 public:
  Responder(Inlet& inlet, const Request& request, bool closing);

  /// An interim response (1xx but 101), any number of them before start().
  net::awaitable<net::Result<void>> inform(int status, const Fields& fields);

  /// The head. Without a length the body is chunked, or to HTTP/1.0 clients ends with the
  /// connection. Fields that frame are ours to write and are dropped here.
  net::awaitable<net::Result<void>> start(int status, const Fields& fields,
                                          std::optional<std::uint64_t> length = std::nullopt);
  /// A part of the body; discarded where the response has none (HEAD, 204, 304). More than the
  /// length that was said is limit_exceeded.
  net::awaitable<net::Result<void>> write(net::Buffer body);
  /// The end of the body. Trailers go out only where it is chunked, and as may_trail() allows.
  net::awaitable<net::Result<void>> finish(const Fields& trailers = {});

  /// start, write and finish.
  net::awaitable<net::Result<void>> respond(int status, const Fields& fields,
                                            std::string_view body);

  /// Answers a websocket handshake with 101: HTTP ends here. The stream begins with what the client
  /// already sent behind the handshake, and is the handler's from now on.
  net::awaitable<net::Result<net::StreamPtr>> upgrade(const Fields& fields);

  /// Resets the connection: an origin that dies in the middle of an answer.
  void abort();

  bool started() const { return started_; }

 private:
  friend class LocalConnection;

  Inlet& inlet_;
  const Request& request_;
  bool closing_;  // the connection ends after this response
  bool started_ = false;
  bool finished_ = false;
  bool upgraded_ = false;
  BodyKind body_ = BodyKind::none;
  std::uint64_t left_ = 0;  // of BodyKind::length
  std::uint64_t written_ = 0;
  int status_ = 0;
};

class Handler {
 public:
  virtual ~Handler() = default;
  /// Reads what it wants of the request and answers. A response that is not finished on return is
  /// cut: the client sees an incomplete message. One that was not started becomes a 500.
  virtual net::awaitable<void> handle(Request& request, Responder& responder) = 0;
};

struct ServerOptions {
  Limits limits;
  Timeouts timeouts;
};

/// Serves one connection until it ends: keep-alive and pipelined requests, one after the other.
net::awaitable<void> serve_locally(net::StreamPtr client, std::shared_ptr<Handler> handler,
                                   ServerOptions options, std::shared_ptr<Drain> drain);

}  // namespace simplon::http
