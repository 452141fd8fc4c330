// HTTP/2 as far as this proxy knows it: how a connection of prior knowledge begins, and how it is
// turned away in words that an HTTP/2 client understands. Everything else passes unparsed.
// Threads: refuse_http2 on the inlet's loop; the rest are pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "http/wire.hpp"

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

/// A GOAWAY that says that no stream was processed, and why in its debug data. The code is
/// PROTOCOL_ERROR where the service speaks HTTP/1.1: HTTP_1_1_REQUIRED would say it better, but
/// gRPC's C core (1.85) aborts its process at a code beyond 0xc. It is NO_ERROR where the tunnel
/// drains, which means "another connection, elsewhere"; and INTERNAL_ERROR for a path that failed,
/// the only code that blames this side (CONNECT_ERROR is about CONNECT, and NO_ERROR would let
/// clients reconnect at once, for ever).
std::string goaway(const base::Failure& failure);

/// Turns away a client whose first bytes, preface included, are in the inlet, and closes: our
/// SETTINGS, empty, without which nothing is valid; then, once the client has asked for something,
/// but after `patience` at most, the GOAWAY; then a lingering close of `patience`. Not before: a
/// gRPC client that is sent away when it has only connected takes its call for one that never left,
/// and connects again, at once and without end.
net::awaitable<void> refuse_http2(Inlet& client, base::Failure failure, net::Duration patience);

}  // namespace simplon::http
