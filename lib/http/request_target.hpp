// Where a request wants to go: its target's form and its Host (RFC 9112 §3.2).
//
// Nothing is decoded or normalised: path and query travel byte for byte. An absolute target never
// decides where we connect to; its authority only replaces Host.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "http/head.hpp"

namespace simplon::http {

/// A name in DNS has at most 253 bytes and a dot, brackets hold less; ":65535". It goes into
/// several fields of what we send, which must not grow past what the next end takes.
inline constexpr std::size_t kMostAuthority = 260;

struct Destination {
  std::string_view target;     ///< origin-form or "*", to be forwarded; a view of the head
  std::string_view authority;  ///< host[:port] as the client wrote it; empty for HTTP/1.0 without
  std::string host;            ///< lower-case, without port and trailing dot
  std::string_view port;       ///< digits, or empty
};

/// Verdicts: 400.
std::expected<Destination, Verdict> destination_of(const RequestHead& head);

}  // namespace simplon::http
