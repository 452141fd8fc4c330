#include "net/address_range.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace simplon::net {
namespace {

using Bytes = std::array<unsigned char, 16>;

constexpr unsigned kMappedBits = 96;  // ::ffff:0:0/96

Bytes mapped(const in_addr& address) {
  Bytes out{};
  out[10] = out[11] = 0xff;
  std::memcpy(&out[12], &address, sizeof address);
  return out;
}

bool is_mapped(const Bytes& bytes) {
  static const Bytes kFirst = mapped({});
  return std::equal(bytes.begin(), bytes.begin() + kMappedBits / 8, kFirst.begin());
}

std::optional<Bytes> bytes_of(const SocketAddress& address) {
  Bytes out{};
  if (address.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address.data(), sizeof in6);
    std::memcpy(out.data(), &in6.sin6_addr, out.size());
    return out;
  }
  if (address.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address.data(), sizeof in);
    return mapped(in.sin_addr);
  }
  return std::nullopt;
}

bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) {
    return false;
  }
  const unsigned rest = bits % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

Bytes cut(Bytes bytes, unsigned bits) {
  for (unsigned at = bits; at < 128; ++at) {
    bytes[at / 8] = static_cast<unsigned char>(bytes[at / 8] & ~(0x80U >> (at % 8)));
  }
  return bytes;
}

}  // namespace

Result<AddressRange> AddressRange::parse(std::string_view text) {
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  AddressRange out;
  unsigned most = 128;
  if (host.contains('\0')) {
    return base::fail(Errc::invalid_argument);
  }
  if (in_addr four{}; ::inet_pton(AF_INET, host.c_str(), &four) == 1) {
    out.first_ = mapped(four);
    most = 32;
  } else if (::inet_pton(AF_INET6, host.c_str(), out.first_.data()) != 1) {
    return base::fail(Errc::invalid_argument);
  }
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view prefix = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), bits);
    if (error != std::errc{} || end != prefix.data() + prefix.size() || bits > most) {
      return base::fail(Errc::invalid_argument);
    }
  }
  out.bits_ = bits + (128 - most);
  if (cut(out.first_, out.bits_) != out.first_) {
    return base::fail(Errc::invalid_argument);
  }
  return out;
}

bool AddressRange::contains(const SocketAddress& address) const {
  const auto bytes = bytes_of(address);
  return bytes && same_prefix(*bytes, first_, bits_);
}

std::string AddressRange::text() const {
  const bool four = is_mapped(first_) && bits_ >= kMappedBits;
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(four ? AF_INET : AF_INET6, first_.data() + (four ? kMappedBits / 8 : 0), text.data(),
              text.size());
  return bits_ == 128
             ? text.data()
             : std::string(text.data()) + "/" + std::to_string(four ? bits_ - kMappedBits : bits_);
}

}  // namespace simplon::net
