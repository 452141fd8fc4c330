// Runs something on a loop and waits for it: for main's thread, which builds and takes down what
// belongs to the control loop. Never from a loop's own thread.
#pragma once

#include <future>
#include <utility>

#include "net/loop.hpp"

namespace simplon::agent {

/// The result of `work`, or the exception that left it.
template <class Work>
auto on_loop(net::Loop& loop, Work work) {
  std::packaged_task<decltype(work())()> task(std::move(work));
  auto result = task.get_future();
  loop.post([&task] { task(); });
  return result.get();
}

}  // namespace simplon::agent
