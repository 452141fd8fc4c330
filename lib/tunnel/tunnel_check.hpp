// Tries a tunnel's path, part by part, from the end that this agent has: of a share the target
// alone, its engine alone, the overlay, the whole; of an access or a frontend the listener, the
// overlay, the far end, the whole.
//
// Threads: the control loop. The tunnel may be deleted while it runs: what it uses is shared.
// What it does to the target: one connection, HEAD requests, and where that was asked for a
// websocket that is closed again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/async.hpp"
#include "net/tls.hpp"
#include "overlay/check.hpp"
#include "tunnel/overlay_link.hpp"
#include "tunnel/spec.hpp"
#include "tunnel/status.hpp"

namespace simplon::tunnel {

struct CheckOptions {
  std::string path = "/";  ///< of the requests; with `websocket` of that alone
  bool websocket = false;  ///< the path takes websockets, and echoes
  std::string service;     ///< of a frontend: which share; empty: none
};

struct CheckSubject {
  net::Loop* loop = nullptr;
  TunnelPtr tunnel;
  std::shared_ptr<OverlayLink> link;
  /// A share's side of the overlay, without the overlay.
  std::function<void(std::unique_ptr<overlay::Inbound>)> engine;
  std::shared_ptr<const net::TlsContext> target_tls;
  std::function<Status()> status;  ///< as it is told; also when the tunnel is gone
};

net::awaitable<void> check_tunnel(CheckSubject subject, CheckOptions options,
                                  overlay::CheckReport report);

}  // namespace simplon::tunnel
