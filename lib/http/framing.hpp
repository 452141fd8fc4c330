// The one place that decides how a message's body is delimited, whether the connection may go on
// after it, whether it is an upgrade, or that it is refused (RFC 9112 §6, §9; RFC 9110 §7.8).
//
// Everything ambiguous is refused before a byte is forwarded: a proxy that guesses is a
// request-smuggling hole. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "http/head.hpp"

namespace simplon::http {

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct RequestFraming {
  BodyKind body = BodyKind::none;  ///< never until_close
  std::uint64_t length = 0;        ///< of BodyKind::length; may be 0, which is forwarded as such
  bool keep_alive = false;         ///< the sender can take another message after this one
  bool upgrade = false;            ///< a websocket handshake
  bool trailers = false;           ///< `TE: trailers`
  bool continues = false;          ///< `Expect: 100-continue`
};

/// Verdicts: 400, 405, 413, 417, 501.
std::expected<RequestFraming, Verdict> frame_request(const RequestHead& head, const Limits& limits);

struct ResponseFraming {
  BodyKind body = BodyKind::none;
  std::uint64_t length = 0;
  bool keep_alive = false;
  bool interim = false;   ///< 1xx, but not 101: another head follows
  bool switched = false;  ///< 101 to a websocket handshake: HTTP ends here
};

/// What of the request decides over its response.
struct Asked {
  bool head = false;     ///< the method was HEAD
  bool upgrade = false;  ///< a websocket handshake was forwarded
};

/// Verdicts: 502.
std::expected<ResponseFraming, Verdict> frame_response(const ResponseHead& head, Asked asked);

/// What Connection may name in one message, so that all of it is surely stripped: more are refused.
constexpr std::size_t kMostConnectionOptions = 32;

/// Statuses whose responses never have a body, whatever their fields say (RFC 9110 §6.4.1).
inline bool bodiless(int status) { return status / 100 == 1 || status == 204 || status == 304; }

}  // namespace simplon::http
