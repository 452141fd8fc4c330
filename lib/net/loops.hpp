// Several event loops, each with a thread of its own: the agent's data path.
//
// Owned by the agent's composition. Threads: everything may be called from any thread; the loops
// run from construction on, so work gets onto one with Loop::post.
// End: destroying it stops every loop, joins the threads, then destroys the loops (see Loop for
// what that does to pending work). What lives on one loop reaches another by Loop::poster() only.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "net/loop.hpp"

namespace simplon::net {

class Loops {
 public:
  /// `count` of 0 counts as 1. The threads block all signals: those are main's.
  explicit Loops(std::size_t count, Clock& clock = base::steady_clock());
  ~Loops();
  Loops(const Loops&) = delete;
  Loops& operator=(const Loops&) = delete;

  std::size_t size() const { return loops_.size(); }
  Loop& operator[](std::size_t index) { return *loops_[index]; }
  /// Round robin.
  Loop& next();

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::atomic<std::size_t> next_{0};
  std::vector<std::thread> threads_;
};

}  // namespace simplon::net
