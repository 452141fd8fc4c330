// By which addresses others reach a port of this host. Pure but for looking at the interfaces; any
// thread.
#pragma once

#include <string>
#include <vector>

#include "net/endpoint.hpp"

namespace simplon::overlay {

/// "host:port" of the bound address; of every address of this host for a wildcard one (loopback
/// only if there is no other), at most 16.
std::vector<std::string> reachable_addresses(const net::Endpoint& bound);

/// Every one names this host's loopback.
bool all_loopback(const std::vector<std::string>& addresses);

/// "host:port" that can be connected to: a host and a port.
bool valid_address(std::string_view address);

}  // namespace simplon::overlay
