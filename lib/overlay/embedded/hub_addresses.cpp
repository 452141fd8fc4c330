#include "overlay/embedded/hub_addresses.hpp"

#include <algorithm>
#include <memory>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "net/resolve.hpp"

namespace simplon::overlay {
namespace {

constexpr std::size_t kMaxAddresses = 16;

bool wildcard(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

bool link_local(const sockaddr* address) {
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

std::vector<std::string> own_hosts(bool ipv6) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, ::freeifaddrs);
  std::vector<std::string> out;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != family ||
          (family == AF_INET6 && !ipv6) || (at->ifa_flags & IFF_UP) == 0 ||
          link_local(at->ifa_addr)) {
        continue;
      }
      const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      const net::SocketAddress address(at->ifa_addr, size);
      if (!address.loopback() && std::ranges::find(out, address.ip()) == out.end()) {
        out.push_back(address.ip());
      }
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> reachable_addresses(const net::Endpoint& bound) {
  if (!wildcard(bound.host)) {
    return {net::to_string(bound)};
  }
  std::vector<std::string> hosts = own_hosts(/*ipv6=*/bound.host != "0.0.0.0");
  if (hosts.empty()) {
    hosts.emplace_back("127.0.0.1");
  }
  hosts.resize(std::min(hosts.size(), kMaxAddresses));
  std::vector<std::string> out;
  out.reserve(hosts.size());
  for (std::string& host : hosts) {
    out.push_back(net::to_string(net::Endpoint{.host = std::move(host), .port = bound.port}));
  }
  return out;
}

bool all_loopback(const std::vector<std::string>& addresses) {
  return std::ranges::all_of(addresses, [](const std::string& text) {
    const auto endpoint = net::parse_endpoint(text);
    if (!endpoint) {
      return false;
    }
    const auto resolved = net::resolve_here(endpoint->host, endpoint->port);
    return resolved &&
           std::ranges::all_of(*resolved, [](const auto& one) { return one.loopback(); });
  });
}

bool valid_address(std::string_view address) {
  const auto endpoint = net::parse_endpoint(address);
  return endpoint && !endpoint->host.empty() && endpoint->port != 0;
}

}  // namespace simplon::overlay
