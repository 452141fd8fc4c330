// Where to listen or connect: a host and a port as people write them, and addresses as the kernel
// takes them. Plain values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>

#include "base/error.hpp"

namespace simplon::net {

using base::Errc;
using base::Result;

/// "host:port". The host is a name or an IP address; empty means every address of this host when
/// listening, and this host when connecting.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  auto operator<=>(const Endpoint&) const = default;
};

/// "host:80", "[::1]:80", ":80"; anything else, or a port above 65535, is invalid_argument.
Result<Endpoint> parse_endpoint(std::string_view text);
/// The inverse; an IPv6 address gets its brackets.
std::string to_string(const Endpoint& endpoint);

/// An IPv4, IPv6 or unix-socket address.
class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size);
  /// From an IP literal (IPv6 without brackets, a scope is allowed); nothing if it is not one.
  static std::optional<SocketAddress> from_ip(std::string_view host, std::uint16_t port);
  /// limit_exceeded for a path of more than 107 bytes: the kernel's sockaddr_un holds no more.
  static Result<SocketAddress> from_path(std::string_view path);

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }

  /// The IP address as text (an IPv4 address mapped into IPv6 as IPv4); empty for unix sockets.
  std::string ip() const;
  std::uint16_t port() const;
  Endpoint endpoint() const { return {ip(), port()}; }
  /// 127.0.0.0/8, ::1, or a unix socket: the other side is on this host.
  bool loopback() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace simplon::net
