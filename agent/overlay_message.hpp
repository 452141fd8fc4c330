// Overlays as the API's messages. A pure function, any thread.
#pragma once

#include "agent/overlays.hpp"
#include "simplon/v1/agent.pb.h"

namespace simplon::agent {

v1::Overlay to_message(const OverlayInfo& info);

/// What an AddOverlay asks for. INVALID_ARGUMENT starts with the field.
absl::StatusOr<Source> from_message(const v1::AddOverlayRequest& request);

}  // namespace simplon::agent
