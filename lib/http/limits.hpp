// Bounds on what a peer may send before it is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace simplon::http {

struct Limits {
  std::size_t head_bytes = 64 * 1024;    ///< request or response head; more: 431 / 502
  std::size_t target_bytes = 16 * 1024;  ///< request target; more: 414
  std::size_t fields = 128;              ///< header fields of one head; more: 431
  std::size_t trailer_bytes = 16 * 1024;
  std::size_t trailers = 64;
  std::size_t chunk_line_bytes = 4 * 1024;
  std::optional<std::uint64_t> body_bytes;  ///< of one request; more: 413; none: unlimited
};

/// Why a message is refused: the status that the client gets, and one word for logs and for
/// Simplon-Error. `reason` is a literal.
struct Verdict {
  int status = 400;
  std::string_view reason;
};

}  // namespace simplon::http
