// The local service behind a share, as people write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace simplon::tunnel {

struct Target {
  enum class Scheme { http, https, tcp, unix_http, h2c };
  Scheme scheme = Scheme::http;
  std::string host;  ///< name or address, an IPv6 address without brackets
  std::uint16_t port = 0;
  std::string path;  ///< of a unix socket

  /// "host:port" as a Host header has it; "localhost" for a unix socket.
  std::string authority() const;
  /// "http://localhost:3000", "unix:/path": parse_target(text()) is the same target.
  std::string text() const;
  bool operator==(const Target&) const = default;
};

/// "3000", "localhost:3000", "http://host[:port]", "https://host[:port]", "tcp://host:port",
/// "h2c://host:port" (HTTP/2 with prior knowledge), "unix:/absolute/path". INVALID_ARGUMENT says
/// what is wrong with the text.
absl::StatusOr<Target> parse_target(std::string_view text);

}  // namespace simplon::tunnel
