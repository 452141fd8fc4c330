// simplon.v1.Agent for one principal. Threads: gRPC's; see calls.hpp.
#pragma once

#include <memory>

#include "agent/calls.hpp"

namespace simplon::agent {

std::unique_ptr<grpc::Service> make_agent_service(Calls calls);

}  // namespace simplon::agent
