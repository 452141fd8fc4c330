// A block of IP addresses in CIDR notation: "10.0.0.0/8", "fd00::/8", or one address. Plain values,
// any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "net/endpoint.hpp"

namespace simplon::net {

class AddressRange {
 public:
  /// invalid_argument for anything else, a scope ("fe80::1%eth0") and bits behind the prefix
  /// ("10.1.0.0/8") included: those are mistakes that would trust more than was meant.
  static Result<AddressRange> parse(std::string_view text);

  /// Whether the IP address is one of these. An IPv4 address mapped into IPv6 counts as IPv4.
  bool contains(const SocketAddress& address) const;

  /// In its shortest form; of one address, without a prefix.
  std::string text() const;

 private:
  // IPv4 as the mapped IPv6 address, so that there is one comparison.
  std::array<unsigned char, 16> first_{};
  unsigned bits_ = 128;
};

}  // namespace simplon::net
