#include "ctl/test/endpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sodium/crypto_hash_sha256.h>

#include "ctl/test/echo.hpp"

namespace simplon::ctl {
namespace {

using http::Request;
using http::Responder;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;  // 1 TiB: days at a slow link
constexpr std::uint64_t kMostWait = 10ULL * 60 * 1000;        // ten minutes, in milliseconds
constexpr std::uint64_t kMostEvents = 1'000'000'000;
constexpr std::size_t kBlock = std::size_t{64} * 1024;

http::Fields typed(std::string_view type) {
  http::Fields out;
  out.add("Content-Type", type);
  return out;
}

// Asks for the head only: nothing is made that nobody gets.
bool head_only(const Request& request) { return request.head().method == "HEAD"; }

http::Fields text() { return typed("text/plain; charset=utf-8"); }

std::optional<std::uint64_t> number(std::string_view digits, std::uint64_t most) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (error != std::errc{} || end != digits.data() + digits.size() || out > most) {
    return std::nullopt;
  }
  return out;
}

// The number of "name=N" in a query; `otherwise` where it is not given, nothing where it is wrong.
std::optional<std::uint64_t> parameter(std::string_view query, std::string_view name,
                                       std::uint64_t otherwise, std::uint64_t most) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      return number(pair.substr(name.size() + 1), most);
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return otherwise;
}

net::awaitable<void> refuse(Responder& responder, int status, std::string why) {
  (void)co_await responder.respond(status, text(), why + "\n");
}

net::awaitable<void> show(Request& request, Responder& responder) {
  const auto& head = request.head();
  std::string out =
      head.method + " " + head.target + " HTTP/1." + std::to_string(head.minor) + "\n";
  for (const auto field : head.fields) {
    out.append(field.name).append(": ").append(field.value).append("\n");
  }
  (void)co_await responder.respond(200, text(), out);
}

net::awaitable<void> events(net::Loop& loop, Request& request, Responder& responder) {
  const auto pause = parameter(request.query(), "ms", 1000, kMostWait);
  const auto count = parameter(request.query(), "count", 0, kMostEvents);
  if (!pause || !count) {
    co_return co_await refuse(responder, 400, "/sse?ms=N&count=N: a pause and how many; 0: no end");
  }
  auto fields = typed("text/event-stream");
  fields.add("Cache-Control", "no-store");
  auto sent = co_await responder.start(200, fields);
  if (head_only(request)) {
    (void)co_await responder.finish();
    co_return;
  }
  for (std::uint64_t id = 1; sent; ++id) {
    const std::string event =
        "id: " + std::to_string(id) + "\ndata: event " + std::to_string(id) + "\n\n";
    sent = co_await responder.write(net::as_buffer(event));
    if (sent && id == *count) {
      (void)co_await responder.finish();
      co_return;
    }
    co_await net::sleep_until(loop, loop.now() + std::chrono::milliseconds(*pause));
  }
}

net::awaitable<void> bytes(Request& request, Responder& responder, std::string_view size) {
  const auto total = number(size, kMostBytes);
  if (!total) {
    co_return co_await refuse(responder, 400, "/bytes/N: N is at most 1 TiB");
  }
  // The same bytes each time, so that two answers can be compared.
  std::vector<std::byte> block(std::min<std::size_t>(kBlock, *total));
  for (std::size_t i = 0; i < block.size(); ++i) {
    block[i] = static_cast<std::byte>((i * 31 + i / 256) & 0xff);
  }
  auto sent = co_await responder.start(200, typed("application/octet-stream"), *total);
  for (std::uint64_t left = head_only(request) ? 0 : *total; left > 0 && sent;) {
    const auto part = std::min<std::uint64_t>(left, block.size());
    sent = co_await responder.write(net::Buffer(block.data(), static_cast<std::size_t>(part)));
    left -= part;
  }
  if (sent) {
    (void)co_await responder.finish();
  }
}

net::awaitable<void> status(Responder& responder, std::string_view code) {
  const auto value = number(code, 599);
  if (!value || *value < 200) {
    co_return co_await refuse(responder, 400, "/status/N: N is between 200 and 599");
  }
  (void)co_await responder.respond(static_cast<int>(*value), text(), std::string(code) + "\n");
}

net::awaitable<void> slow(net::Loop& loop, Request& request, Responder& responder) {
  const auto pause = parameter(request.query(), "ms", 1000, kMostWait);
  if (!pause) {
    co_return co_await refuse(responder, 400, "/slow?ms=N: N is at most 600000");
  }
  co_await net::sleep_until(loop, loop.now() + std::chrono::milliseconds(*pause));
  (void)co_await responder.respond(200, text(), "waited " + std::to_string(*pause) + " ms\n");
}

class Sha256 {
 public:
  Sha256() { crypto_hash_sha256_init(&state_); }
  void add(const std::byte* data, std::size_t size) {
    crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(data), size);
  }
  std::string hex() {
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(&state_, digest.data());
    std::string out;
    for (const unsigned char byte : digest) {
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
    return out;
  }

 private:
  crypto_hash_sha256_state state_{};
};

net::awaitable<void> trailers(Responder& responder) {
  static constexpr std::string_view kBody = "The SHA-256 of this text follows it as a trailer.\n";
  Sha256 sha256;
  sha256.add(net::as_buffer(kBody).data(), kBody.size());
  auto fields = text();
  fields.add("Trailer", "ETag");
  http::Fields trailing;
  trailing.add("ETag", "\"" + sha256.hex() + "\"");
  auto sent = co_await responder.start(200, fields);
  if (sent) {
    sent = co_await responder.write(net::as_buffer(kBody));
  }
  if (sent) {
    (void)co_await responder.finish(trailing);
  }
}

net::awaitable<void> upload(Request& request, Responder& responder) {
  Sha256 sha256;
  std::uint64_t length = 0;
  std::vector<std::byte> block(kBlock);
  for (;;) {
    const auto size = co_await request.read_body(block);
    if (!size) {
      if (size.error() == base::Errc::bad_request) {
        co_await refuse(responder, 400, "malformed body");
      } else {
        responder.abort();
      }
      co_return;
    }
    if (*size == 0) {
      break;
    }
    sha256.add(block.data(), *size);
    length += *size;
  }
  (void)co_await responder.respond(
      200, typed("application/json"),
      "{\"length\":" + std::to_string(length) + ",\"sha256\":\"" + sha256.hex() + "\"}\n");
}

}  // namespace

const char kEndpointPaths[] =
    "/              shows the request\n"
    "/echo          a websocket that sends every message back\n"
    "/sse           server-sent events, one a second: ?ms=N&count=N\n"
    "/bytes/N       N bytes\n"
    "/status/N      an answer with that status\n"
    "/slow?ms=N     an answer after N milliseconds\n"
    "/trailers      a chunked answer with a trailer\n"
    "/upload        the length and SHA-256 of what was sent\n";

net::awaitable<void> Endpoint::handle(Request& request, Responder& responder) {
  if (seen_) {
    seen_(request.head().method, request.head().target);
  }
  const auto path = request.path();
  if (path == "/") {
    co_await show(request, responder);
  } else if (path == "/echo" && request.wants_upgrade()) {
    co_await echo_websocket(loop_, request, responder);
  } else if (path == "/echo") {
    co_await refuse(responder, 426,
                    "this is a websocket; try: simplonctl test websocket HOST:PORT");
  } else if (path == "/sse") {
    co_await events(loop_, request, responder);
  } else if (path.starts_with("/bytes/")) {
    co_await bytes(request, responder, path.substr(7));
  } else if (path.starts_with("/status/")) {
    co_await status(responder, path.substr(8));
  } else if (path == "/slow") {
    co_await slow(loop_, request, responder);
  } else if (path == "/trailers") {
    co_await trailers(responder);
  } else if (path == "/upload") {
    co_await upload(request, responder);
  } else {
    (void)co_await responder.respond(404, text(), kEndpointPaths);
  }
}

}  // namespace simplon::ctl
