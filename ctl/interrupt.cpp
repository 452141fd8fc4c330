#include "ctl/interrupt.hpp"

#include <cerrno>

namespace simplon::ctl {

Interrupt::Interrupt() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

bool Interrupt::wait_for(std::chrono::milliseconds limit) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec most{seconds.count(), std::chrono::nanoseconds(limit - seconds).count()};
  return sigtimedwait(&signals_, nullptr, &most) > 0;
}

}  // namespace simplon::ctl
