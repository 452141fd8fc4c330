#include "net/endpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace simplon::net {

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint out;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || text.substr(end + 1, 1) != ":") {
      return base::fail(Errc::invalid_argument);
    }
    out.host = text.substr(1, end - 1);
    port = text.substr(end + 2);
    if (out.host.find(':') == std::string::npos || !SocketAddress::from_ip(out.host, 0)) {
      return base::fail(Errc::invalid_argument);
    }
  } else {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
      return base::fail(Errc::invalid_argument);
    }
    out.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    const auto bad = [](char c) {
      return static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '@' || c == 0x7f;
    };
    if (std::ranges::any_of(out.host, bad)) {
      return base::fail(Errc::invalid_argument);
    }
  }
  const char* const end = port.data() + port.size();
  const auto parsed = std::from_chars(port.data(), end, out.port);
  if (port.empty() || parsed.ec != std::errc{} || parsed.ptr != end) {
    return base::fail(Errc::invalid_argument);
  }
  return out;
}

std::string to_string(const Endpoint& endpoint) {
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return (brackets ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
         std::to_string(endpoint.port);
}

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size)
    : size_(std::min(size, static_cast<socklen_t>(sizeof storage_))) {
  std::memcpy(&storage_, address, size_);
}

std::optional<SocketAddress> SocketAddress::from_ip(std::string_view host, std::uint16_t port) {
  if (host.find('\0') != std::string_view::npos) {
    return std::nullopt;  // what follows would be ignored
  }
  const std::string text(host);
  sockaddr_in v4{};
  // Not getaddrinfo for IPv4: it also takes "3000" and "0x7f.1" for addresses.
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return SocketAddress(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  if (text.find(':') == std::string::npos) {
    return std::nullopt;
  }
  addrinfo hints{};
  hints.ai_family = AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0) {
    return std::nullopt;
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, found->ai_addr, sizeof v6);
  freeaddrinfo(found);
  v6.sin6_port = htons(port);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

Result<SocketAddress> SocketAddress::from_path(std::string_view path) {
  sockaddr_un address{};
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return base::fail(Errc::invalid_argument);
  }
  if (path.size() >= sizeof address.sun_path) {
    return base::fail(Errc::limit_exceeded);
  }
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

std::string SocketAddress::ip() const {
  std::array<char, NI_MAXHOST> text{};
  if (family() == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage_, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      return inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    }
  } else if (family() != AF_INET) {
    return {};
  }
  if (getnameinfo(data(), size_, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return {};
  }
  return text.data();
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  }
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  }
  return 0;
}

bool SocketAddress::loopback() const {
  const std::string text = ip();
  return family() == AF_UNIX || text == "::1" || (text.starts_with("127.") && !text.empty());
}

}  // namespace simplon::net
