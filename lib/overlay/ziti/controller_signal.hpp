// Wakes every coroutine that waits for something to have changed. Of one loop; shared state of the
// coroutines that wait keeps it alive.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "net/async.hpp"

namespace simplon::overlay::ziti {

class Signal {
 public:
  explicit Signal(net::Loop& loop) : loop_(loop) {}

  /// False: the deadline came first. The caller looks again at what it waits for.
  net::awaitable<bool> changed(net::TimePoint deadline) {
    const auto gate = std::make_shared<net::Gate>(loop_);
    gates_.push_back(gate);
    const bool open = co_await gate->wait_until(deadline);
    std::erase(gates_, gate);
    co_return open;
  }
  void notify() {
    for (const auto& gate : std::exchange(gates_, {})) {
      gate->open();
    }
  }

 private:
  net::Loop& loop_;
  std::vector<std::shared_ptr<net::Gate>> gates_;
};

}  // namespace simplon::overlay::ziti
