// The times that tunnels keep, in one place. Tests shorten them.
#pragma once

#include <chrono>
#include <string>

namespace simplon::tunnel {

struct Settings {
  /// How often a share's target is tried while nobody uses it.
  std::chrono::milliseconds target_check{15'000};
  /// Connecting to the target, TLS included.
  std::chrono::milliseconds target_connect{5'000};
  /// From opening an overlay stream to the host's answer. For raw streams that answer follows the
  /// target's connect: more than target_connect, so that the truthful reason arrives.
  std::chrono::milliseconds open{15'000};
  /// Between tries to bind a busy port or to claim a service name.
  std::chrono::milliseconds retry{3'000};
  /// PEM roots for https targets; empty: the system's.
  std::string target_trust_roots;
};

}  // namespace simplon::tunnel
