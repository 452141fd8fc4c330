// Bounds on what a peer may send, and on how long it may take, before it is refused.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/loop.hpp"

namespace simplon::http {

struct Limits {
  std::size_t head_bytes =
      64 * 1024;  ///< request or response head, at most 64 KiB; more: 431 / 502
  std::size_t target_bytes = 16 * 1024;  ///< request target; more: 414
  std::size_t fields = 128;              ///< header fields of one head; more: 431
  std::size_t trailer_bytes = 16 * 1024;
  std::size_t trailers = 64;
  std::size_t chunk_line_bytes = 4 * 1024;
  std::optional<std::uint64_t> body_bytes;  ///< of one request; more: 413; none: unlimited
};

/// The progress that a request body must make in Timeouts::body, so that a byte now and then does
/// not hold a place for ever. By default less than 9 bytes/s: no link that carries TCP is slower.
constexpr std::size_t kBodyStride = 1024;

/// How long a peer may take for each step. Zero, everywhere: as long as it likes.
struct Timeouts {
  std::chrono::milliseconds head{60'000};   ///< first byte to end of a request's head; over: 408
  std::chrono::milliseconds idle{120'000};  ///< keep-alive without a request; over: closed
  /// Upstream connection; over: 504. Towards a target: what other proxies and clients allow for a
  /// handshake with one lost packet. Entries give more, because theirs covers the share's.
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds first_byte{0};  ///< request sent to response head; over: 504
  /// What may be waited for the next kBodyStride of a request body, or its rest, while there is no
  /// response yet; over: 408. The client's wait for a 100 is ended by one of ours, then counts.
  std::chrono::milliseconds body{120'000};
  /// After a 101: no byte in either direction; over: both connections are reset. None, because
  /// quiet is what websockets are for.
  std::chrono::milliseconds websocket_idle{0};
  /// A client that ended its direction may have vanished, or may wait for its answer: it counts as
  /// gone when the upstream is silent for so long.
  std::chrono::milliseconds half_closed{3'000};
  std::chrono::milliseconds linger{1'000};  ///< reading on after an early answer; never unlimited
};

/// When a step that begins now has taken too long; TimePoint::max() where its limit is none. A
/// limit of more than a century is none, too.
inline net::TimePoint over_at(net::TimePoint now, std::chrono::milliseconds limit) {
  constexpr std::chrono::hours kCentury{24 * 365 * 100};
  return limit.count() <= 0 || limit > kCentury ? net::TimePoint::max() : now + limit;
}

/// Why a message is refused: the status that the client gets, and one word for logs and for
/// Simplon-Error. `reason` is a literal.
struct Verdict {
  int status = 400;
  std::string_view reason;
};

}  // namespace simplon::http
