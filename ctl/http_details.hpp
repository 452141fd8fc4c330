// What `get` tells about a tunnel's HTTP: what was chosen, and nothing where that is nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "simplon/v1/tunnel.pb.h"

namespace simplon::ctl {

/// Names and values, for fields() (ctl/table.hpp).
std::vector<std::pair<std::string, std::string>> http_details(const v1::Tunnel& tunnel);

/// "431: 7, 503: 2"; empty where this agent answered nothing itself.
std::string refused_details(const v1::TunnelStatus::Counters& counters);

}  // namespace simplon::ctl
