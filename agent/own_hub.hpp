// Brings up the agent's own hub where the options and the past say. Threads: the control loop.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/options.hpp"
#include "agent/state_dir.hpp"
#include "overlay/embedded/hub.hpp"

namespace simplon::agent {

/// A hub that listens. FAILED_PRECONDITION: its port is taken, and another would not do.
absl::StatusOr<std::unique_ptr<overlay::Hub>> open_own_hub(
    net::Loop& control, std::vector<net::Loop*> loops, const Options& options,
    const StateDir& state, std::shared_ptr<overlay::MemoryBudget> budget);

}  // namespace simplon::agent
