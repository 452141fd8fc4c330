// How many connections each client of a tunnel has, so that no one client takes them all.
//
// Owned by the tunnel's Traffic; a ClientPlace keeps it alive. Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "net/endpoint.hpp"
#include "net/stream.hpp"

namespace simplon::tunnel {

class ClientPlaces;

/// Who counts as one client, as bytes: an IPv4 address, also one that was mapped or translated
/// (NAT64) into IPv6, or the first 56 bits of an IPv6 address. That is what one home is commonly
/// given (RFC 6177), and it has the choice of all addresses in it. Who is given a /48 counts as 256
/// clients. Of a link-local address all bits count, and the link: its network is everybody's.
std::string client_of(const net::SocketAddress& address);
/// The same of an agent, whose streams a share serves: its key, however many sessions it has, or
/// the name that the overlay vouches for. Empty where it tells neither.
std::string client_of(const net::Peer& peer);

/// One connection of a client, for as long as this object lives. An empty one is nobody's.
class ClientPlace {
 public:
  ClientPlace() = default;
  ~ClientPlace();
  ClientPlace(ClientPlace&& other) noexcept = default;
  ClientPlace& operator=(ClientPlace&& other) = delete;

 private:
  friend class ClientPlaces;
  ClientPlace(std::shared_ptr<ClientPlaces> of, std::string client)
      : of_(std::move(of)), client_(std::move(client)) {}

  std::shared_ptr<ClientPlaces> of_;
  std::string client_;
};

class ClientPlaces : public std::enable_shared_from_this<ClientPlaces> {
 public:
  /// Nothing where the client has `most` already. Not counted, and as many as it likes: with zero
  /// for `most`, and for a client that nothing is known of, who may be many.
  std::optional<ClientPlace> take(std::string client, std::uint64_t most);

 private:
  friend class ClientPlace;
  void give_back(const std::string& client);

  std::mutex mutex_;
  std::map<std::string, std::uint64_t> taken_;  // none of them zero
};

}  // namespace simplon::tunnel
