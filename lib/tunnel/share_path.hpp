// The data path of a share: streams of the overlay to the target.
//
// Shared by the share's runner, its listener and its connections. Threads: all loops at once; what
// changes is in its Traffic's lanes.
// End: once Traffic::close() reached a lane, new streams there are refused with `draining`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/engine.hpp"
#include "overlay/network.hpp"
#include "tunnel/spec.hpp"
#include "tunnel/target_connection.hpp"
#include "tunnel/traffic.hpp"

namespace simplon::tunnel {

class SharePath final : public http::Ends, public std::enable_shared_from_this<SharePath> {
 public:
  struct Options {
    TunnelPtr tunnel;  ///< a share
    Target target;
    std::shared_ptr<const net::TlsContext> tls;  ///< for https targets
  };
  SharePath(Options options, std::shared_ptr<Traffic> traffic);

  /// A stream that somebody opened. On the stream's loop.
  void take(std::unique_ptr<overlay::Inbound> inbound);

  std::expected<std::string, base::Failure> route(std::string_view host) override;
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(
      net::Loop& loop, std::string route, std::string connection_id, bool fresh,
      net::TimePoint deadline) override;
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect_http2(
      net::Loop& loop, std::string connection_id, std::string first,
      net::TimePoint deadline) override;
  void release(const std::string& route, http::Upstream upstream) override;
  void finished(const Outcome& outcome) override;

 private:
  static net::awaitable<void> serve(std::shared_ptr<SharePath> self,
                                    std::unique_ptr<Connection> here,
                                    std::shared_ptr<http::Drain> drain, net::StreamPtr stream,
                                    http::Client who, std::string id);
  static net::awaitable<void> pass(std::shared_ptr<SharePath> self,
                                   std::unique_ptr<Connection> here, net::Loop* loop,
                                   std::unique_ptr<overlay::Inbound> inbound, std::string id);
  /// The target speaks the other version of HTTP.
  std::unexpected<base::Failure> speaks_other_version(std::string detail);
  net::awaitable<std::expected<net::StreamPtr, base::Failure>> dial_target(net::Loop& loop,
                                                                           std::string id,
                                                                           net::TimePoint deadline);

  const Options options_;
  const std::shared_ptr<Traffic> traffic_;
  const std::shared_ptr<const http::Policy> policy_;
  const std::uint64_t agent_limit_;
};

}  // namespace simplon::tunnel
