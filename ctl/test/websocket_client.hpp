// The client's side of the websocket test: handshake and echoes over a stream that is open already,
// whatever it goes through.
//
// Cancellation: the coroutine may be destroyed at any point; its stream is reset then.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "ctl/outcome.hpp"
#include "ctl/test/steps.hpp"
#include "net/async.hpp"

namespace simplon::ctl {

/// A message that somebody sends us may be so long; longer ones end the test.
inline constexpr std::size_t kMaxMessage = 16 * 1024 * 1024;

struct EchoOptions {
  std::string authority;  ///< the Host header
  std::string path;
  std::string message;
  unsigned count = 1;  ///< echoes; 0: until interrupted
  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds timeout{10'000};
};

/// Steps `handshake`, until `deadline`, and `echo`, each within `timeout` except the first, which
/// has until `deadline`, too. The last message received, which is the one sent.
net::awaitable<Answer<std::string>> test_echo(net::StreamPtr stream, EchoOptions options,
                                              std::shared_ptr<Steps> steps,
                                              net::TimePoint deadline);

}  // namespace simplon::ctl
