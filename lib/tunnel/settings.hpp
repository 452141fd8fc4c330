// The times that the tunnels of an agent keep besides those of each tunnel's spec. Tests shorten
// them.
#pragma once

#include <chrono>
#include <string>

namespace simplon::tunnel {

struct Settings {
  /// How often a share's target is tried while nobody uses it.
  std::chrono::milliseconds target_check{15'000};
  /// While it does not answer.
  std::chrono::milliseconds target_check_again{2'000};
  /// After so many failures in a row the share's host counts as failed, where its overlay knows
  /// several hosts of a service: one refused connection may be a restart.
  unsigned target_failures = 3;
  /// Between tries to bind a busy port, and before the first new try to claim a service name ...
  std::chrono::milliseconds retry{3'000};
  /// ... each further one twice as long, at most. What it lacked may have come with the overlay's
  /// link: then it is tried at once.
  std::chrono::milliseconds longest_retry{60'000};
  /// PEM roots for https targets; empty: the system's.
  std::string target_trust_roots;
};

}  // namespace simplon::tunnel
