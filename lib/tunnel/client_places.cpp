#include "tunnel/client_places.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <netinet/in.h>

namespace simplon::tunnel {
namespace {

constexpr std::size_t kIpv6Network = 8;  // bytes

ClientPlace::Key key_of(const net::SocketAddress& client) {
  ClientPlace::Key key{};
  if (client.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, client.data(), sizeof in);
    key[10] = key[11] = 0xff;
    std::memcpy(&key[12], &in.sin_addr, sizeof in.sin_addr);
  } else if (client.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, client.data(), sizeof in6);
    std::memcpy(key.data(), &in6.sin6_addr, key.size());
    if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
      std::fill(key.begin() + kIpv6Network, key.end(), static_cast<unsigned char>(0));
    }
  }
  return key;
}

}  // namespace

ClientPlace::~ClientPlace() {
  if (of_ != nullptr) {
    of_->give_back(key_);
  }
}

std::optional<ClientPlace> ClientPlaces::take(const net::SocketAddress& client,
                                              std::uint64_t most) {
  if (most == 0) {
    return ClientPlace();
  }
  const ClientPlace::Key key = key_of(client);
  {
    const std::scoped_lock lock(mutex_);
    std::uint64_t& taken = taken_[key];
    if (taken >= most) {
      return std::nullopt;
    }
    ++taken;
  }
  return ClientPlace(shared_from_this(), key);
}

void ClientPlaces::give_back(const ClientPlace::Key& key) {
  const std::scoped_lock lock(mutex_);
  const auto at = taken_.find(key);
  if (at != taken_.end() && --at->second == 0) {
    taken_.erase(at);
  }
}

}  // namespace simplon::tunnel
