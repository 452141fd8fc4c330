// Bounds on what a peer may send, and on how long it may take, before it is refused.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

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

struct Timeouts {
  std::chrono::milliseconds head{30'000};     ///< first byte to end of head; over: 408
  std::chrono::milliseconds idle{90'000};     ///< keep-alive without a request
  std::chrono::milliseconds body{120'000};    ///< between bytes of a request body, while there is
                                              ///< no response yet; over: 408
  std::chrono::milliseconds connect{10'000};  ///< upstream connection; over: 504
  std::chrono::milliseconds response{0};      ///< request sent to response head; 0: unlimited
  /// A client that ended its direction may have vanished, or may wait for its answer: it counts as
  /// gone when the upstream is silent for so long.
  std::chrono::milliseconds half_closed{3'000};
  std::chrono::milliseconds linger{1'000};  ///< reading on after an early answer
};

/// Why a message is refused: the status that the client gets, and one word for logs and for
/// Simplon-Error. `reason` is a literal.
struct Verdict {
  int status = 400;
  std::string_view reason;
};

}  // namespace simplon::http
