// Overlays as the API's messages. A pure function, any thread.
#pragma once

#include "agent/overlays.hpp"
#include "simplon/v1/agent.pb.h"

namespace simplon::agent {

v1::Overlay to_message(const OverlayInfo& info);

}  // namespace simplon::agent
