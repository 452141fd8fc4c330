// A session with another member through the hub's relay (PROTOCOL.md, "Relay"): a TCP connection to
// the hub, the ticket, and inside that the ordinary handshake between the two ends.
//
// Coroutines of the loop that the session will live on; everything by value.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/endpoint.hpp"
#include "overlay/embedded/member.hpp"
#include "overlay/embedded/session.hpp"

namespace simplon::overlay {

/// What precedes the ticket on a relay connection; its first byte is not TLS's 0x16.
inline constexpr std::string_view kRelayGreeting = "SIMPLON-RELAY/1";
inline constexpr std::size_t kTicketBytes = 16;
/// From ticket to session.
inline constexpr std::chrono::seconds kRelayDeadline{10};

struct RelayedPath {
  net::StreamPtr transport;  ///< TLS, both sides proven
  Identity peer;
};

/// `spki`: the key that the other side must prove. Failures are at hop overlay: link_lost (the hub
/// or the other side is not reachable), bad_certificate, timed_out.
net::awaitable<std::expected<RelayedPath, base::Failure>> meet(net::Loop& loop,
                                                               std::shared_ptr<const Member> member,
                                                               net::Endpoint hub,
                                                               std::string ticket, std::string spki,
                                                               net::TlsRole role);

}  // namespace simplon::overlay
