// Runs a test tool: a loop of its own on the calling thread until the tool is done or the person
// ends it.
#pragma once

#include <functional>
#include <string_view>

#include "ctl/outcome.hpp"
#include "net/async.hpp"

namespace simplon::ctl {

/// Starts the coroutine that `tool` makes. Ctrl-C, SIGTERM and the end of the terminal end it:
/// that is `done`. Of the libraries' log only what is at least of that level is shown: a tool says
/// itself what happens.
Outcome run_tool(const std::function<net::awaitable<Outcome>(net::Loop&)>& tool,
                 std::string_view log_level = "warn");

}  // namespace simplon::ctl
