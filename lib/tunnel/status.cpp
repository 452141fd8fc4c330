#include "tunnel/status.hpp"

#include <utility>

namespace simplon::tunnel {
namespace {

bool move_to(HopStatus& hop, HopState state) {
  if (std::exchange(hop.state, state) == state) {
    return false;
  }
  hop.since = std::chrono::system_clock::now();
  return true;
}

}  // namespace

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::starting:
      return "starting";
    case Phase::active:
      return "active";
    case Phase::degraded:
      return "degraded";
    case Phase::failed:
      return "failed";
    case Phase::draining:
      return "draining";
  }
  return "unknown";
}

bool HopStatus::up() { return move_to(*this, HopState::up); }

bool HopStatus::starting() { return move_to(*this, HopState::starting); }

bool HopStatus::down(std::string error) {
  const bool other = last_error != error;
  last_error = std::move(error);
  return move_to(*this, HopState::down) || other;
}

}  // namespace simplon::tunnel
