// The embedded overlay as a Network: one control session with the hub, and sessions between the two
// agents that hold a stream's ends, through the hub's relay (PROTOCOL.md).
//
// Ownership: the agent's composition or a test tool; dropping it withdraws all services and fails
// dials under way (link_lost); streams that are open live on. Threads: created, used and destroyed
// on the control loop; dial() and inbound streams as network.hpp says; the loops outlive it.
// Several processes may hold one identity at once.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "overlay/embedded/identity.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {

struct EmbeddedOptions {
  IdentityFile identity;
  std::vector<net::Loop*> loops;  ///< of sessions and streams; not empty; may be the control loop
  std::shared_ptr<MemoryBudget> budget;  ///< null: its own
};

/// Connects in the background, for ever, with the backoff of design "Liveness". INVALID_ARGUMENT:
/// the identity does not work (no address, key and certificate do not belong together).
absl::StatusOr<std::unique_ptr<Network>> make_embedded_network(net::Loop& control,
                                                               EmbeddedOptions options);

}  // namespace simplon::overlay
