// The server's side of the websocket test: sends every message back as it came.
//
// Cancellation: the coroutine may be destroyed at any point; its stream is reset then.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/async.hpp"

namespace simplon::ctl {

/// The request that asked for the websocket.
struct UpgradeRequest {
  std::string target;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string received;  ///< bytes behind the head that were read already
};

/// Accepts the handshake and echoes until the client closes, breaks the protocol, or sends a
/// message longer than kMaxMessage.
net::awaitable<void> echo_websocket(net::StreamPtr stream, UpgradeRequest request);

}  // namespace simplon::ctl
