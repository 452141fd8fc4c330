// The steps of a check as people read them.
#pragma once

#include <string>

#include "simplon/v1/agent.pb.h"

namespace simplon::ctl {

/// "ok    target            312 us  http://localhost:3000 takes connections", and in lines of their
/// own what to do and where to see more.
std::string check_line(const v1::CheckResult& result);

/// "312 us", "12 ms", "1.5 s".
std::string latency_text(std::uint64_t microseconds);

}  // namespace simplon::ctl
