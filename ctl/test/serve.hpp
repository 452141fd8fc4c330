// Where the connections of a test server come from: a TCP address, or a service of an overlay.
//
// Cancellation: the coroutines may be destroyed at any point; the listener ends then.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "ctl/outcome.hpp"
#include "ctl/test/overlay_door.hpp"
#include "net/async.hpp"
#include "net/endpoint.hpp"

namespace simplon::ctl {

struct Arrived {
  net::StreamPtr stream;
  std::string address;  ///< the client's IP; empty over an overlay
  std::string id;       ///< of the connection, the same in the other agent's log
};

/// Called on the loop for each connection.
using Serve = std::function<void(Arrived)>;

/// Says on standard output that it is ready ("listening on http://127.0.0.1:9090"), then serves
/// until it is destroyed. Returns only with a trouble.
net::awaitable<Outcome> serve_tcp(net::Loop& loop, net::Endpoint listen, bool json, Serve serve);

/// The same for a service of an overlay ("hosting service ws as ws-host").
net::awaitable<Outcome> serve_overlay(net::Loop& loop, NetworkPtr network, std::string service,
                                      bool json, Serve serve);

/// How long a server waits for its place on the overlay.
inline constexpr std::chrono::seconds kOverlayTimeout{10};

}  // namespace simplon::ctl
