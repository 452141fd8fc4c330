#include "tunnel/client_places.hpp"

#include <array>
#include <cstring>
#include <utility>

#include <netinet/in.h>

namespace simplon::tunnel {
namespace {

constexpr std::size_t kIpv6Network = 7;  // bytes
constexpr std::size_t kIpv4Begins = 12;  // where one is inside an IPv6 address

// 64:ff9b::/96, behind which a NAT64 has put the client's IPv4 address (RFC 6052 §2.1).
bool is_translated(const in6_addr& address) {
  constexpr std::array<std::uint8_t, kIpv4Begins> kPrefix{0x00, 0x64, 0xff, 0x9b};
  return std::memcmp(address.s6_addr, kPrefix.data(), kPrefix.size()) == 0;
}

std::string bytes(const void* from, std::size_t count) {
  return {static_cast<const char*>(from), count};
}

}  // namespace

std::string client_of(const net::SocketAddress& address) {
  if (address.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address.data(), sizeof in);
    return bytes(&in.sin_addr, sizeof in.sin_addr);
  }
  if (address.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address.data(), sizeof in6);
    const in6_addr& ip = in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&ip) || is_translated(ip)) {
      return bytes(ip.s6_addr + kIpv4Begins, sizeof(in_addr));
    }
    if (IN6_IS_ADDR_LINKLOCAL(&ip)) {  // the same network for every host, on every link
      return bytes(&ip, sizeof ip) + bytes(&in6.sin6_scope_id, sizeof in6.sin6_scope_id);
    }
    return bytes(ip.s6_addr, kIpv6Network);
  }
  return {};
}

std::string client_of(const net::Peer& peer) {
  return peer.spki_sha256.empty() ? peer.name : peer.spki_sha256;
}

ClientPlace::~ClientPlace() {
  if (of_ != nullptr) {
    of_->give_back(client_);
  }
}

std::optional<ClientPlace> ClientPlaces::take(std::string client, std::uint64_t most) {
  if (most == 0 || client.empty()) {
    return ClientPlace();
  }
  {
    const std::scoped_lock lock(mutex_);
    std::uint64_t& taken = taken_[client];
    if (taken >= most) {
      return std::nullopt;
    }
    ++taken;
  }
  return ClientPlace(shared_from_this(), std::move(client));
}

void ClientPlaces::give_back(const std::string& client) {
  const std::scoped_lock lock(mutex_);
  const auto at = taken_.find(client);
  if (at != taken_.end() && --at->second == 0) {
    taken_.erase(at);
  }
}

}  // namespace simplon::tunnel
