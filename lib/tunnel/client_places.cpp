#include "tunnel/client_places.hpp"

#include <cstring>
#include <utility>

#include <netinet/in.h>

namespace simplon::tunnel {
namespace {

constexpr std::size_t kIpv6Network = 7;  // bytes
constexpr std::size_t kIpv4Begins = 12;  // in a mapped address

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
    return IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)
               ? bytes(in6.sin6_addr.s6_addr + kIpv4Begins, sizeof(in_addr))
               : bytes(in6.sin6_addr.s6_addr, kIpv6Network);
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
