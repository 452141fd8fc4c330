// How many connections each client address of a tunnel has, so that no one client takes them all.
//
// Owned by the tunnel's Traffic; a ClientPlace keeps it alive. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "net/endpoint.hpp"

namespace simplon::tunnel {

class ClientPlaces;

/// One connection of a client, for as long as this object lives. An empty one is nobody's.
class ClientPlace {
 public:
  /// An IPv4 address, mapped, or the first 64 bits of an IPv6 address: what one client is given
  /// (RFC 6177) has more addresses than any table.
  using Key = std::array<unsigned char, 16>;

  ClientPlace() = default;
  ~ClientPlace();
  ClientPlace(ClientPlace&& other) noexcept = default;
  ClientPlace& operator=(ClientPlace&& other) = delete;

 private:
  friend class ClientPlaces;
  ClientPlace(std::shared_ptr<ClientPlaces> of, const Key& key) : of_(std::move(of)), key_(key) {}

  std::shared_ptr<ClientPlaces> of_;
  Key key_{};
};

class ClientPlaces : public std::enable_shared_from_this<ClientPlaces> {
 public:
  /// Nothing where the client has `most` already. Zero: as many as it likes, and not counted.
  std::optional<ClientPlace> take(const net::SocketAddress& client, std::uint64_t most);

 private:
  friend class ClientPlace;
  void give_back(const ClientPlace::Key& key);

  std::mutex mutex_;
  std::map<ClientPlace::Key, std::uint64_t> taken_;  // none of them zero
};

}  // namespace simplon::tunnel
