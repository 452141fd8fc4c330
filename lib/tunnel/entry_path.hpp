// The data path of an access or a frontend: local connections to services of the overlay.
//
// Shared by the tunnel's runner, its acceptors and its connections. Threads: all loops at once;
// what changes is in its Traffic's lanes and in each connection's own ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/engine.hpp"
#include "net/acceptor.hpp"
#include "net/address_range.hpp"
#include "overlay/network.hpp"
#include "tunnel/overlay_link.hpp"
#include "tunnel/spec.hpp"
#include "tunnel/traffic.hpp"

namespace simplon::tunnel {

class EntryPath final : public std::enable_shared_from_this<EntryPath> {
 public:
  EntryPath(TunnelPtr tunnel, std::shared_ptr<OverlayLink> link, std::shared_ptr<Traffic> traffic);

  /// A connection that the acceptor of this lane took.
  void take(Lane& lane, net::Accepted accepted);

  /// The service for a request's host: constant for an access, `<service>.<zone>` for a frontend.
  std::expected<std::string, base::Failure> route(std::string_view host) const;

  /// Opens a stream. Failures, of this call or of the host's answer, are counted and reported.
  net::awaitable<std::expected<overlay::Dialed, base::Failure>> dial(net::Loop& loop,
                                                                     std::string service,
                                                                     overlay::StreamKind kind,
                                                                     std::string id,
                                                                     net::TimePoint deadline);
  Traffic& traffic() { return *traffic_; }
  bool is_frontend() const { return frontend_ != nullptr; }

 private:
  static net::awaitable<void> serve(std::shared_ptr<EntryPath> self,
                                    std::unique_ptr<Connection> here,
                                    std::shared_ptr<http::Drain> drain, net::StreamPtr client,
                                    net::SocketAddress from, std::string id);
  static net::awaitable<void> pass(std::shared_ptr<EntryPath> self,
                                   std::unique_ptr<Connection> here, net::StreamPtr client,
                                   std::string id);
  static net::awaitable<void> turn_away(std::shared_ptr<EntryPath> self,
                                        std::unique_ptr<Connection> here, net::StreamPtr client,
                                        std::string id, std::string detail);
  bool trusts(const net::SocketAddress& client) const;
  /// Connections that this client may have at the same time; zero: as many as it likes.
  std::uint64_t most_of(const net::SocketAddress& client) const;
  void note(const std::string& service, const std::string& id, const base::Failure& failure);

  const TunnelPtr tunnel_;
  const Frontend* const frontend_;  // or null: an access
  const std::shared_ptr<OverlayLink> link_;
  const std::shared_ptr<Traffic> traffic_;
  const std::shared_ptr<const http::Policy> policy_;
  const std::shared_ptr<const http::Policy> turn_away_policy_;
  const std::vector<net::AddressRange> trusted_;
  const std::optional<std::uint64_t> client_limit_;
};

}  // namespace simplon::tunnel
