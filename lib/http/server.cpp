#include "http/server.hpp"

#include <algorithm>
#include <array>

#include "http/date.hpp"
#include "http/error_response.hpp"
#include "http/http2_preface.hpp"
#include "http/outgoing_head.hpp"
#include "http/prefixed_stream.hpp"
#include "http/status.hpp"

namespace simplon::http {
namespace {

using base::Errc;

// What a handler left unread is discarded up to here, so that the connection can go on.
constexpr std::size_t kMostDiscarded = 256 * 1024;

ResponseHead make_head(int status, const Fields& fields) {
  ResponseHead head;
  head.status = status;
  head.reason = reason_phrase(status);
  head.fields = fields;
  return head;
}

}  // namespace

Request::Request(Inlet& inlet, const RequestHead& head, const RequestFraming& framing,
                 const Limits& limits)
    : inlet_(inlet),
      head_(head),
      framing_(framing),
      decoder_(framing.body, framing.length, limits) {}

std::string_view Request::path() const {
  const std::string_view target = head_.target;
  return target.starts_with('/') ? target.substr(0, target.find('?')) : std::string_view{};
}

std::string_view Request::query() const {
  const std::string_view target = head_.target;
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

net::awaitable<net::Result<std::size_t>> Request::read_body(std::span<std::byte> into) {
  if (framing_.continues && !decoder_.done() && !std::exchange(continued_, true) &&
      inlet_.bytes().empty()) {
    const auto told =
        co_await net::write_all(inlet_.stream(), net::as_buffer("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!told) {
      co_return std::unexpected(told.error());
    }
  }
  while (!decoder_.done()) {
    const auto piece = decoder_.decode(inlet_.bytes().substr(0, into.size()));
    if (!piece) {
      co_return base::fail(Errc::bad_request);
    }
    const auto payload = net::as_buffer(piece->payload);
    std::copy(payload.begin(), payload.end(), into.begin());
    inlet_.consume(piece->consumed);
    if (!payload.empty()) {
      co_return payload.size();
    }
    if (piece->consumed == 0 && !decoder_.done()) {
      const auto got = co_await inlet_.fill();
      if (!got || *got == 0) {
        co_return std::unexpected(got ? make_error_code(Errc::truncated) : got.error());
      }
    }
  }
  co_return 0;
}

Responder::Responder(Inlet& inlet, const Request& request, bool closing)
    : inlet_(inlet), request_(request), closing_(closing) {}

net::awaitable<net::Result<void>> Responder::inform(int status, const Fields& fields) {
  if (request_.head().minor == 0) {
    co_return net::Result<void>{};
  }
  std::string out;
  append_response(out, make_head(status, fields), {});
  co_return co_await net::write_all(inlet_.stream(), net::as_buffer(out));
}

net::awaitable<net::Result<void>> Responder::start(int status, const Fields& fields,
                                                   std::optional<std::uint64_t> length) {
  const bool old = request_.head().minor == 0;
  started_ = true;
  status_ = status;
  if (!bodiless(status)) {
    body_ = length ? BodyKind::length : old ? BodyKind::until_close : BodyKind::chunked;
    left_ = length.value_or(0);
  }
  // A client that still waits for a 100 would send its body, or not: nobody can tell.
  closing_ = closing_ || body_ == BodyKind::until_close ||
             (request_.framing_.continues && !request_.continued_ && !request_.finished());
  std::string out;
  append_response(out, make_head(status, fields),
                  {.body = body_,
                   .length = left_,
                   .close = closing_,
                   .http_1_0 = old,
                   .date = http_date_now()});
  if (request_.head().method == "HEAD") {
    body_ = BodyKind::none;
  }
  co_return co_await net::write_all(inlet_.stream(), net::as_buffer(out));
}

net::awaitable<net::Result<void>> Responder::write(net::Buffer body) {
  if (body.empty() || body_ == BodyKind::none) {
    co_return net::Result<void>{};
  }
  if (body_ == BodyKind::length) {
    if (body.size() > left_) {
      co_return base::fail(Errc::limit_exceeded);
    }
    left_ -= body.size();
  }
  written_ += body.size();
  const ChunkHead chunk(body.size());
  const bool chunked = body_ == BodyKind::chunked;
  std::array<net::Buffer, 3> pieces{net::as_buffer(chunked ? chunk.text() : std::string_view{}),
                                    body,
                                    net::as_buffer(chunked ? kChunkTail : std::string_view{})};
  co_return co_await write_all(inlet_.stream(), pieces);
}

net::awaitable<net::Result<void>> Responder::finish(const Fields& trailers) {
  if (body_ == BodyKind::length && left_ != 0) {
    co_return base::fail(Errc::truncated);
  }
  finished_ = true;
  if (body_ != BodyKind::chunked) {
    co_return net::Result<void>{};
  }
  std::string out;
  append_last_chunk(out, trailers);
  co_return co_await net::write_all(inlet_.stream(), net::as_buffer(out));
}

net::awaitable<net::Result<void>> Responder::respond(int status, const Fields& fields,
                                                     std::string_view body) {
  auto done = co_await start(status, fields, body.size());
  if (done) {
    done = co_await write(net::as_buffer(body));
  }
  if (done) {
    done = co_await finish();
  }
  co_return done;
}

net::awaitable<net::Result<net::StreamPtr>> Responder::upgrade(const Fields& fields) {
  started_ = finished_ = upgraded_ = true;
  status_ = 101;
  std::string out;
  append_response(out, make_head(101, fields), {});
  const auto told = co_await net::write_all(inlet_.stream(), net::as_buffer(out));
  if (!told) {
    co_return std::unexpected(told.error());
  }
  auto stream = with_prefix(inlet_.stream_ptr(), inlet_.bytes());
  inlet_.consume(inlet_.bytes().size());
  co_return stream;
}

void Responder::abort() {
  started_ = true;
  inlet_.stream().reset();
}

class LocalConnection {
 public:
  LocalConnection(net::StreamPtr client, std::shared_ptr<Handler> handler, ServerOptions options,
                  std::shared_ptr<Drain> drain)
      : handler_(std::move(handler)),
        options_(std::move(options)),
        drain_(std::move(drain)),
        inlet_(std::move(client)),
        reader_(inlet_, options_.limits, options_.timeouts, drain_) {}

  net::awaitable<void> run() {
    bool upgraded = false;
    for (;;) {
      const auto outcome = co_await reader_.next();
      if (outcome == RequestReader::Outcome::refused) {
        co_await refuse(reader_.verdict());
        co_return;
      }
      if (outcome == RequestReader::Outcome::http2) {
        co_await refuse_http2(inlet_,
                              {base::Hop::target, make_error_code(Errc::other_version),
                               "this server speaks HTTP/1.1"},
                              options_.timeouts.linger);
        co_return;
      }
      if (outcome == RequestReader::Outcome::over || !co_await exchange(upgraded)) {
        break;
      }
    }
    if (!upgraded) {
      inlet_.stream().close();
    }
  }

 private:
  net::awaitable<void> refuse(Verdict verdict) {
    const std::string answer =
        render(error_response(verdict), {.json = prefers_json(reader_.head())});
    if (co_await net::write_all(inlet_.stream(), net::as_buffer(answer))) {
      co_await linger(inlet_, options_.timeouts.linger);
    }
  }

  // False when the connection ends here.
  net::awaitable<bool> exchange(bool& upgraded) {
    const auto framing = frame_request(reader_.head(), options_.limits);
    if (!framing) {
      co_await refuse(framing.error());
      co_return false;
    }
    Request request(inlet_, reader_.head(), *framing, options_.limits);
    Responder responder(inlet_, request, !framing->keep_alive || (drain_ && drain_->requested()));
    co_await handler_->handle(request, responder);
    if (responder.upgraded_) {
      upgraded = true;
      co_return false;
    }
    if (!responder.started_) {
      (void)co_await responder.respond(500, {}, "no answer\n");
    } else if (!responder.finished_) {
      inlet_.stream().reset();
      co_return false;
    }
    if (!request.finished() && (responder.closing_ || !co_await discard(request))) {
      co_await linger(inlet_, options_.timeouts.linger);
      co_return false;
    }
    co_return !responder.closing_ && !inlet_.stream().closed();
  }

  net::awaitable<bool> discard(Request& request) {
    std::array<std::byte, 4096> scrap;
    net::Stream& client = inlet_.stream();
    client.set_deadline(net::Direction::receive, client.loop().now() + options_.timeouts.linger);
    for (std::size_t total = 0; total < kMostDiscarded && !request.finished();) {
      const auto got = co_await request.read_body(scrap);
      if (!got) {
        break;
      }
      total += *got;
    }
    co_return request.finished();
  }

  std::shared_ptr<Handler> handler_;
  ServerOptions options_;
  std::shared_ptr<Drain> drain_;
  Inlet inlet_;
  RequestReader reader_;
};

net::awaitable<void> serve_locally(net::StreamPtr client, std::shared_ptr<Handler> handler,
                                   ServerOptions options, std::shared_ptr<Drain> drain) {
  LocalConnection connection(std::move(client), std::move(handler), std::move(options),
                             std::move(drain));
  co_await connection.run();
}

}  // namespace simplon::http
