#include "overlay/ziti/rest_client.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/version.hpp"
#include "net/tcp.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;

// Kept connections; more requests at once open more, which are closed afterwards.
constexpr std::size_t kMaxIdle = 2;
constexpr std::size_t kReadBytes = 16 * 1024;

// What is wrong with the server's certificate, and what to do about it.
std::string certificate_words(const std::string& why) {
  if (why.find("not yet valid") != std::string::npos ||
      why.find("has expired") != std::string::npos) {
    return absl::StrCat(
        why, "; this host's clock says ",
        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone()),
        ": set the clock if it is wrong, else the server's certificate must be renewed");
  }
  if (why.find("mismatch") != std::string::npos) {
    return absl::StrCat(why, ": the server's certificate is for another name or address");
  }
  if (why.find("issuer") != std::string::npos || why.find("self") != std::string::npos ||
      why.find("verify the first") != std::string::npos ||
      why.find("signature failure") != std::string::npos) {
    return absl::StrCat(why,
                        ": the server is of another network than this identity, or sends its "
                        "certificate without the intermediates");
  }
  return why;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c >= 0 && c < ' '; });
}

}  // namespace

std::string url_escape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::optional<ApiAddress> split_url(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) {
    return std::nullopt;
  }
  url.remove_prefix(kScheme.size());
  const auto slash = url.find('/');
  auto endpoint = net::parse_endpoint(url.substr(0, slash));
  if (!endpoint || endpoint->host.empty() || endpoint->port == 0) {
    return std::nullopt;
  }
  return ApiAddress{
      .server = *std::move(endpoint),
      .path = slash == std::string_view::npos ? std::string() : std::string(url.substr(slash))};
}

RestClient::RestClient(net::Loop& loop, net::Endpoint server,
                       std::shared_ptr<const net::TlsContext> tls)
    : loop_(loop), server_(std::move(server)), tls_(std::move(tls)) {}

RestClient::~RestClient() { close(); }

void RestClient::close() {
  closed_ = true;
  for (const auto& stream : std::exchange(idle_, {})) {
    stream->close();
  }
  for (const auto& stream : busy_) {
    stream->reset();
  }
}

ApiError RestClient::lost(std::error_code code, std::string_view what) const {
  return {.code = code, .words = absl::StrCat(net::to_string(server_), ": ", printable(what, 640))};
}

net::StreamPtr RestClient::take_idle() {
  while (!idle_.empty()) {
    auto stream = std::move(idle_.back());
    idle_.pop_back();
    // The server may have ended it; it has nothing to say between two requests.
    std::array<std::byte, 1> byte;
    const auto got = stream->try_read(byte);
    if (!got && got.error() == Errc::would_block) {
      return stream;
    }
    stream->close();
  }
  return nullptr;
}

std::string RestClient::write(const RestRequest& request) const {
  std::string out =
      absl::StrCat(request.method, " ", request.target,
                   " HTTP/1.1\r\nHost: ", net::to_string(server_), "\r\nUser-Agent: simplon/",
                   std::string(base::version()), "\r\nAccept: ", request.accept, "\r\n");
  for (const auto& [name, value] : request.headers) {
    absl::StrAppend(&out, name, ": ", value, "\r\n");
  }
  if (!request.body.empty()) {
    absl::StrAppend(&out, "Content-Type: ", request.content_type, "\r\n");
  }
  if (!request.body.empty() || request.method != "GET") {
    absl::StrAppend(&out, "Content-Length: ", request.body.size(), "\r\n");
  }
  return absl::StrCat(out, "\r\n", request.body);
}

net::awaitable<std::expected<net::StreamPtr, ApiError>> RestClient::connect(
    std::shared_ptr<RestClient> self, net::TimePoint deadline) {
  auto transport =
      co_await net::connect_tcp(self->loop_, self->server_.host, self->server_.port, deadline);
  if (!transport) {
    co_return std::unexpected(
        self->lost(transport.error(), "not reached: " + transport.error().message()));
  }
  if (!self->tls_) {
    co_return *std::move(transport);
  }
  std::string why;
  const std::string host = self->server_.host;
  auto stream = co_await net::tls_connect(*std::move(transport), self->tls_, host, deadline, &why);
  if (!stream) {
    co_return std::unexpected(
        self->lost(stream.error(),
                   stream.error() == Errc::bad_certificate
                       ? "certificate not accepted: " + certificate_words(why)
                       : absl::StrCat("no TLS: ", why.empty() ? stream.error().message() : why)));
  }
  if (self->closed_) {
    (*stream)->reset();
    co_return std::unexpected(self->lost(make_error_code(Errc::closed), "closed"));
  }
  co_return net::StreamPtr(*std::move(stream));
}

net::awaitable<RestClient::Attempt> RestClient::ask(std::shared_ptr<RestClient> self,
                                                    net::StreamPtr stream,
                                                    std::shared_ptr<const std::string> bytes,
                                                    net::TimePoint deadline) {
  stream->set_deadline(net::Direction::receive, deadline);
  stream->set_deadline(net::Direction::send, deadline);
  Attempt out{.answer = std::unexpected(ApiError{}), .untouched = true};
  const auto fail = [&](std::error_code code, std::string_view what) {
    out.answer = std::unexpected(self->lost(code, what));
  };
  const auto sent = co_await net::write_all(*stream, net::as_buffer(*bytes));
  if (!sent && (sent.error() == Errc::timed_out || sent.error() == Errc::closed)) {
    fail(sent.error(), "no answer: " + sent.error().message());
    co_return out;
  }
  // A server may answer, or say by an alert why not, before it has read all.
  AnswerReader reader;
  std::array<std::byte, kReadBytes> piece;
  for (bool whole = false; !whole;) {
    const auto got = co_await net::read_some(*stream, piece);
    if (!got || *got == 0) {
      const auto ended =
          got || got.error() == Errc::truncated ? reader.end() : std::unexpected(got.error());
      if (ended) {
        break;
      }
      const bool refused = ended.error() == Errc::bad_certificate;
      fail(ended.error(), refused ? "this identity's certificate is not accepted there: it is of "
                                    "another network, or has expired"
                                  : "no answer: " + ended.error().message());
      out.answer.error().name = refused ? kCertificateRefused : "";
      co_return out;
    }
    out.untouched = false;
    const auto put = reader.put({reinterpret_cast<const char*>(piece.data()), *got});
    if (!put) {
      fail(put.error(), put.error() == Errc::limit_exceeded
                            ? "the answer is larger than 4 MiB"
                            : "the answer is not HTTP/1.1: no controller is there");
      co_return out;
    }
    whole = *put;
  }
  out.answer = reader.take();
  co_return out;
}

net::awaitable<RestClient::Answer> RestClient::run(std::shared_ptr<RestClient> self,
                                                   RestRequest request, net::TimePoint deadline) {
  deadline = std::min(deadline, self->loop_.now() + kExchangeTimeout);
  const bool repeatable = request.repeatable;
  for (const auto& [name, value] : request.headers) {
    if (has_control(name) || has_control(value)) {
      co_return std::unexpected(
          self->lost(make_error_code(Errc::invalid_argument), "a header holds control characters"));
    }
  }
  const auto bytes = std::make_shared<const std::string>(self->write(request));
  for (bool fresh = false;;) {
    if (self->closed_) {
      co_return std::unexpected(self->lost(make_error_code(Errc::closed), "closed"));
    }
    net::StreamPtr stream = fresh || !repeatable ? nullptr : self->take_idle();
    fresh = stream == nullptr;
    if (fresh) {
      auto connected = co_await connect(self, deadline);
      if (!connected) {
        co_return std::unexpected(std::move(connected.error()));
      }
      stream = *std::move(connected);
    }
    self->busy_.insert(stream);
    auto attempt = co_await ask(self, stream, bytes, deadline);
    self->busy_.erase(stream);
    if (attempt.answer && attempt.answer->keep_alive && !self->closed_ &&
        self->idle_.size() < kMaxIdle) {
      stream->clear_deadline(net::Direction::receive);
      stream->clear_deadline(net::Direction::send);
      self->idle_.push_back(std::move(stream));
    } else {
      stream->close();
    }
    const bool stale = !attempt.answer && attempt.untouched && !fresh &&
                       attempt.answer.error().code != Errc::timed_out;
    if (!stale) {
      co_return std::move(attempt.answer);
    }
    fresh = true;
  }
}

net::awaitable<std::expected<RestAnswer, ApiError>> RestClient::exchange(RestRequest request,
                                                                         net::TimePoint deadline) {
  return run(shared_from_this(), std::move(request), deadline);
}

}  // namespace simplon::overlay::ziti
