// How a tunnel is doing, as plain values (proto/simplon/v1/tunnel.proto says the same in the API).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace simplon::tunnel {

enum class Phase {
  starting,  ///< not every hop is up yet
  active,    ///< traffic can flow
  degraded,  ///< was active; a hop is down and being retried
  failed,    ///< cannot work until something is changed; `message` says what
  draining,  ///< being deleted, or the agent shuts down
};
std::string_view to_string(Phase phase) noexcept;

enum class HopState { starting, up, down };

inline constexpr std::string_view kListenerHop = "listener";
inline constexpr std::string_view kLinkHop = "overlay link";
inline constexpr std::string_view kRegistrationHop = "registration";
inline constexpr std::string_view kFarEndHop = "far end";
inline constexpr std::string_view kTargetHop = "target";

/// One step of a tunnel's path.
struct HopStatus {
  std::string_view name;  ///< one of the above
  HopState state = HopState::starting;
  std::chrono::system_clock::time_point since = std::chrono::system_clock::now();
  std::string last_error;  ///< stays when the hop is up again

  /// True if something changed.
  bool up();
  bool down(std::string error);
  bool starting();
};

/// Since the agent started.
struct Counters {
  std::uint64_t connections = 0;
  std::uint64_t open_connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;   ///< requests and connections that this agent could not pass on
  std::uint64_t bytes_in = 0;   ///< towards the target
  std::uint64_t bytes_out = 0;  ///< towards the client
  std::map<int, std::uint64_t>
      refused{};  ///< requests and connections that this agent refused, by status
};

struct Status {
  Phase phase = Phase::starting;
  std::string message;              ///< what is wrong and what to do; empty when nothing is
  std::string url;                  ///< of a share: only where its overlay has frontends of its own
  std::vector<std::string> urls{};  ///< all of them
  std::string known_as{};  ///< what accesses call a share, where that is not its service's name
  std::vector<HopStatus> hops;
  Counters counters;
};

}  // namespace simplon::tunnel
