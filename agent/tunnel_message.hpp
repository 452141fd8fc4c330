// Tunnels between the API's messages and the plain values of lib/tunnel. Pure functions, any
// thread.
#pragma once

#include <chrono>

#include <absl/status/statusor.h>

#include "simplon/v1/tunnel.pb.h"
#include "tunnel/spec.hpp"
#include "tunnel/status.hpp"

namespace simplon::agent {

/// What a caller may choose of a tunnel; output-only fields are ignored. INVALID_ARGUMENT starts
/// with the field. The values are checked by tunnel::normalize.
absl::StatusOr<tunnel::Tunnel> from_message(const v1::Tunnel& message);

/// `status`: null for a tunnel that does not run yet.
v1::Tunnel to_message(const tunnel::Tunnel& tunnel, const tunnel::Status* status);

void write_time(std::chrono::system_clock::time_point from, google::protobuf::Timestamp& to);

}  // namespace simplon::agent
