// The test proxy: the tunnels' engine between a listener and one fixed upstream, without an agent.
//
// One object serves all connections of one loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ctl/test/overlay_door.hpp"
#include "http/engine.hpp"
#include "net/tls.hpp"
#include "tunnel/idle_pool.hpp"
#include "tunnel/target.hpp"

namespace simplon::ctl {

/// Opens a new connection to the upstream. `id` is the client connection's.
using Dial = std::function<net::awaitable<std::expected<http::Upstream, base::Failure>>(
    std::string id, net::TimePoint deadline)>;

class FixedEnds final : public http::Ends {
 public:
  FixedEnds(net::Loop& loop, Dial dial) : idle_(loop), dial_(std::move(dial)) {}

  std::expected<std::string, base::Failure> route(std::string_view host) override;
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(
      net::Loop& loop, std::string route, std::string connection_id, bool fresh,
      net::TimePoint deadline) override;
  void release(const std::string& route, http::Upstream upstream) override;

 private:
  tunnel::IdlePool idle_;
  Dial dial_;
};

/// An HTTP service: http, https (where `tls` is needed) or a unix socket. Failures are said on
/// standard error with the target's address, which the client does not learn.
Dial dial_target(net::Loop& loop, tunnel::Target target,
                 std::shared_ptr<const net::TlsContext> tls);

/// A service of an overlay.
Dial dial_service(net::Loop& loop, NetworkPtr network, std::string service);

}  // namespace simplon::ctl
