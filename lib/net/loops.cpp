#include "net/loops.hpp"

#include <algorithm>
#include <csignal>
#include <string>

#include <pthread.h>

namespace simplon::net {

Loops::Loops(std::size_t count, Clock& clock) {
  for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
    loops_.push_back(std::make_unique<Loop>(clock));
  }
  // New threads inherit the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    threads_.emplace_back([loop = loops_[i].get()] { loop->run(); });
    const std::string name = "loop-" + std::to_string(i);
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Loops::~Loops() {
  for (const auto& loop : loops_) {
    loop->stop();
  }
  for (auto& thread : threads_) {
    thread.join();
  }
}

Loop& Loops::next() {
  return *loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
}

}  // namespace simplon::net
