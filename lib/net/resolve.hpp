// Host names to addresses, without blocking a loop.
//
// Cancellation: a lookup that nobody waits for any more ends by itself on its own thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/async.hpp"
#include "net/endpoint.hpp"

namespace simplon::net {

/// What needs no name service: IP literals, `localhost` and `*.localhost` (loopback, RFC 6761 §6.3:
/// 127.0.0.1 first, then ::1), and the empty host (loopback). name_not_found for all other names.
Result<std::vector<SocketAddress>> resolve_here(std::string_view host, std::uint16_t port);

/// All addresses of `host` in the order in which to try them. name_not_found, timed_out, or
/// limit_exceeded when 64 lookups are under way already.
awaitable<Result<std::vector<SocketAddress>>> resolve(Loop& loop, std::string host,
                                                      std::uint16_t port, TimePoint deadline);

}  // namespace simplon::net
