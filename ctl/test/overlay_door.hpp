// The test tools' way into an overlay: an identity file, without an agent.
//
// Threads: the tool's one loop is control loop and session loop at once.
// Cancellation: the coroutines may be destroyed at any point.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "ctl/outcome.hpp"
#include "net/async.hpp"
#include "overlay/membership.hpp"
#include "overlay/network.hpp"

namespace simplon::ctl {

using NetworkPtr = std::shared_ptr<overlay::Network>;

/// The value of --identity, read. A file that is no identity of an overlay is Exit::usage.
Answer<overlay::Membership> read_identity(const std::string& file);

/// What to look at when an overlay does not come up.
std::string place_advice(const overlay::Membership& membership);

/// "hub 192.0.2.1:7443, 192.0.2.2:7443" or "controller https://192.0.2.1:1280", for messages.
std::string place_of(const overlay::Membership& membership);

/// The network of that identity, once its link is up. An error says why it is not.
net::awaitable<std::expected<NetworkPtr, std::string>> enter(net::Loop& loop,
                                                             overlay::Membership membership,
                                                             net::TimePoint deadline);

/// A service that we host. Reports on standard error when it is lost and when it is back.
net::awaitable<std::expected<std::shared_ptr<overlay::Listener>, std::string>> host(
    net::Loop& loop, NetworkPtr network, std::string service,
    std::function<void(std::unique_ptr<overlay::Inbound>)> handler, net::TimePoint deadline);

/// A stream to a service, once its host has accepted it.
net::awaitable<std::expected<overlay::Dialed, base::Failure>> dial(net::Loop& loop,
                                                                   NetworkPtr network,
                                                                   std::string service,
                                                                   std::string id,
                                                                   net::TimePoint deadline);

}  // namespace simplon::ctl
