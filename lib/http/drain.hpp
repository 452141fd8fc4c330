// Tells the running connections of a tunnel to finish.
//
// Owned by the tunnel, shared with its connections. Threads: one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace simplon::http {

/// Keep-alive ends after the current message, idle connections close, websockets go on until they
/// end or are cut.
class Drain {
 public:
  bool requested() const { return requested_; }
  void request();
  /// Called by request(), once, on the loop that calls it; for connections that wait idle.
  using Id = std::uint64_t;
  Id on_request(std::function<void()> wake);
  void forget(Id id);

 private:
  bool requested_ = false;
  Id next_ = 1;
  std::vector<std::pair<Id, std::function<void()>>> wakers_;
};

}  // namespace simplon::http
