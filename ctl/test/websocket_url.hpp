// What "test websocket" connects to, as people type it. Pure function.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace simplon::ctl {

/// Where the test endpoint has its websocket.
inline constexpr char kEchoPath[] = "/echo";

struct WebsocketUrl {
  bool tls = false;
  std::string host;  ///< an IPv6 address without brackets
  std::uint16_t port = 0;
  std::string path;  ///< with its query; "/echo" where none was typed

  /// The Host header: without the scheme's own port.
  std::string authority() const;
};

/// "9090", "host", "host:port", "host:port/path", ws://…, wss://…; http:// and https:// mean the
/// same, because that is how tunnels' URLs are printed. An error is a sentence for the person.
std::expected<WebsocketUrl, std::string> parse_websocket_url(std::string_view typed);

}  // namespace simplon::ctl
