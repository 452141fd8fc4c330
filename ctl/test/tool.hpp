// Runs a test tool: a loop of its own on the calling thread until the tool is done or the person
// ends it.
#pragma once

#include <functional>

#include "ctl/outcome.hpp"
#include "net/async.hpp"

namespace simplon::ctl {

/// Starts the coroutine that `tool` makes. Ctrl-C, SIGTERM and the end of the terminal end it:
/// that is `done`.
Outcome run_tool(const std::function<net::awaitable<Outcome>(net::Loop&)>& tool);

}  // namespace simplon::ctl
