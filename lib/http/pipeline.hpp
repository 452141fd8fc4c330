// How deep a client pipelines (RFC 9112 §9.3.2): how many of its requests were read, and wait,
// while one is in work.
//
// Owned by the coroutine that serves the connection. Threads: none of its own. It holds no memory
// while the client waits for its answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace simplon::http {

/// Waiting requests of one connection; more than any client has a use for. What is read ahead has
/// room for thousands.
inline constexpr std::size_t kMostPipelined = 256;

class Pipeline {
 public:
  /// A request was answered. Of the connection's bytes so many were read, and so many belong to
  /// requests so far.
  void answered(std::uint64_t used, std::uint64_t read) {
    if (read == used) {
      read_at_answers_ = {};
    } else {
      read_at_answers_.push_back(read);
    }
  }

  /// The head of the next request ends with this byte. False: too many were answered while it
  /// waited, and so too many waited.
  bool next(std::uint64_t used) {
    std::erase_if(read_at_answers_, [used](std::uint64_t read) { return read < used; });
    return read_at_answers_.size() <= kMostPipelined;
  }

 private:
  std::vector<std::uint64_t> read_at_answers_;  // those that the next request has waited for
};

}  // namespace simplon::http
