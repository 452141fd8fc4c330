// Ctrl-C, SIGTERM and the end of the terminal as something to wait for, so that a command can clean
// up.
#pragma once

#include <chrono>
#include <csignal>

namespace simplon::ctl {

/// Holds SIGINT, SIGTERM and SIGHUP back from this thread and all that it starts from now on.
class Interrupt {
 public:
  Interrupt();
  /// True once the person wants to end, false after `limit`.
  bool wait_for(std::chrono::milliseconds limit) const;

 private:
  sigset_t signals_{};
};

}  // namespace simplon::ctl
