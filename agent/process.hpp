// The life of simplon-agent's process: start, ready, drain, end. Main's thread.
#pragma once

#include "agent/options.hpp"

namespace simplon::agent {

/// Serves until SIGTERM or SIGINT; the exit code. What prevents a start is one line on standard
/// error and exit code 1.
int run(const Options& options);

}  // namespace simplon::agent
