// What a tunnel's spec means to the engine and to its connections. Pure functions, any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "http/policy.hpp"
#include "net/address_range.hpp"
#include "tunnel/spec.hpp"

namespace simplon::tunnel {

/// From here to the next end: a share's target, an entry's hosting agent.
std::chrono::milliseconds connect_limit(const Spec& spec);

/// Connections at the same time.
std::uint64_t connection_limit(const Spec& spec);

/// Connections of one client of an access or a frontend at the same time, if that was chosen.
/// Trusted proxies are no clients: they speak for many.
std::optional<std::uint64_t> client_limit(const Spec& spec);

/// The same of one agent among the clients of a share, whether it was chosen or not.
std::uint64_t agent_limit(const Spec& spec);

/// For all connections of the tunnel.
http::Policy policy_of(const Tunnel& tunnel);

/// Whose forwarding fields are believed, defaults included.
std::vector<net::AddressRange> trusted_proxies(const Spec& spec);

}  // namespace simplon::tunnel
