// TCP: connect to a name, listen on an endpoint.
#pragma once

#include <memory>
#include <string>

#include "net/acceptor.hpp"
#include "net/async.hpp"
#include "net/endpoint.hpp"
#include "net/socket.hpp"

namespace simplon::net {

/// Resolves `host` and tries every address in order, each with an equal share of the time that is
/// left. The error is the last address's (refused, unreachable, …), the resolver's, or timed_out.
awaitable<Result<StreamPtr>> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                         TimePoint deadline);

/// Listens on an IP address, `localhost` (127.0.0.1), or for the empty host on every address of
/// this host, IPv4 and IPv6. Errors: address_in_use, not_permitted (a port below 1024),
/// unreachable (not an address of this host), name_not_found (other names).
Result<std::unique_ptr<Acceptor>> listen_tcp(Loop& loop, const Endpoint& endpoint);

}  // namespace simplon::net
