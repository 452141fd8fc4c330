// HTTP/2 as far as this proxy knows it: how a connection of prior knowledge begins, and how it is
// turned away in words that an HTTP/2 client understands. Everything else passes unparsed.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace simplon::http {

/// What the client sends first (RFC 9113 §3.4).
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Preface : std::uint8_t {
  none,     ///< these bytes are something else
  partial,  ///< all of them agree, but the preface is longer
  whole,
};

/// What the first bytes of a connection are; more may follow a whole preface.
Preface match_preface(std::string_view bytes) noexcept;

/// The answer to a preface that goes nowhere: our SETTINGS, without which nothing is valid, and a
/// GOAWAY that says that no stream was processed, and why in its debug data. The code is
/// HTTP_1_1_REQUIRED where the service speaks HTTP/1.1, so that a client may fall back; NO_ERROR
/// where it drains, which means "another connection, elsewhere"; INTERNAL_ERROR for a path that
/// failed, the only code that blames this side (CONNECT_ERROR is about CONNECT, and NO_ERROR would
/// let clients reconnect at once, for ever).
std::string http2_refusal(const base::Failure& failure);

}  // namespace simplon::http
