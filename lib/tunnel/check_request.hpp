// What a check asks over a stream: one HEAD request, or one message over a websocket.
//
// Threads: the stream's loop. The stream is closed with the result. Bounds: a head of 64 KiB, a
// frame of 125 bytes.
#pragma once

#include <string>

#include "net/async.hpp"
#include "net/stream.hpp"
#include "overlay/check.hpp"

namespace simplon::tunnel {

struct CheckRequest {
  std::string hop;   ///< of the step
  std::string host;  ///< the Host field
  std::string path;
  std::string connection_id;
};

/// Passed with any answer of the target; failed where an agent of ours on the way answered itself
/// (Simplon-Error), or nobody.
net::awaitable<overlay::CheckStep> ask_head(net::StreamPtr stream, CheckRequest request,
                                            net::TimePoint deadline);

/// Passed when a text came back that was sent.
net::awaitable<overlay::CheckStep> ask_echo(net::StreamPtr stream, CheckRequest request,
                                            net::TimePoint deadline);

}  // namespace simplon::tunnel
