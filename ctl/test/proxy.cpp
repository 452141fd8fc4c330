#include "ctl/test/proxy.hpp"

#include <iostream>
#include <utility>

#include "tunnel/target_connection.hpp"

namespace simplon::ctl {
namespace {

using Dialed = std::expected<http::Upstream, base::Failure>;

net::awaitable<Dialed> connect_to(net::Loop& loop, tunnel::Target target,
                                  std::shared_ptr<const net::TlsContext> tls,
                                  net::TimePoint deadline) {
  const std::string authority = target.authority();
  auto stream = co_await tunnel::connect_target(loop, std::move(target), std::move(tls), deadline);
  if (!stream) {
    std::cerr << stream.error().text << "\n";
    co_return std::unexpected(stream.error().failure);
  }
  co_return http::Upstream{.stream = std::move(*stream), .authority = authority};
}

net::awaitable<Dialed> connect_to(net::Loop& loop, NetworkPtr network, std::string service,
                                  std::string id, net::TimePoint deadline) {
  auto dialed = co_await dial(loop, std::move(network), service, std::move(id), deadline);
  if (!dialed) {
    std::cerr << "service " << service << ": " << dialed.error().message() << "\n";
    co_return std::unexpected(dialed.error());
  }
  co_return http::Upstream{.stream = std::move(dialed->stream)};
}

}  // namespace

std::expected<std::string, base::Failure> FixedEnds::route(std::string_view) {
  return std::string();
}

net::awaitable<Dialed> FixedEnds::connect(net::Loop&, std::string, std::string connection_id,
                                          bool fresh, net::TimePoint deadline) {
  if (!fresh) {
    if (auto idle = idle_.take()) {
      co_return http::Upstream{.stream = std::move(idle), .reused = true};
    }
  }
  co_return co_await dial_(std::move(connection_id), deadline);
}

void FixedEnds::release(const std::string&, http::Upstream upstream) {
  idle_.put(std::move(upstream.stream));
}

Dial dial_target(net::Loop& loop, tunnel::Target target,
                 std::shared_ptr<const net::TlsContext> tls) {
  return [&loop, target = std::move(target), tls = std::move(tls)](const std::string&,
                                                                   net::TimePoint deadline) {
    return connect_to(loop, target, tls, deadline);
  };
}

Dial dial_service(net::Loop& loop, NetworkPtr network, std::string service) {
  return [&loop, network = std::move(network), service = std::move(service)](
             const std::string& id, net::TimePoint deadline) {
    return connect_to(loop, network, service, id, deadline);
  };
}

}  // namespace simplon::ctl
