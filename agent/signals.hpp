// SIGTERM, SIGINT and, unless it is ignored, SIGHUP as events of main's thread.
#pragma once

#include <chrono>
#include <optional>

#include <signal.h>

namespace simplon::agent {

/// Blocks them for this thread and those that it starts from now on: make it before any other
/// thread. They stay blocked when it goes, so that a late one does not cut the end short.
class Signals {
 public:
  Signals();
  /// The next signal.
  int wait();
  /// The next signal, if one comes in time or came already.
  std::optional<int> wait_for(std::chrono::milliseconds patience);

 private:
  sigset_t set_{};
};

}  // namespace simplon::agent
