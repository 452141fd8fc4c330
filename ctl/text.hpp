// What people type: targets, listen addresses, durations. Pure functions; an error is a sentence
// for the person.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace simplon::ctl {

using Text = std::expected<std::string, std::string>;

/// A share's target as the API wants it: "http://host:port", "https://host:port",
/// "tcp://host:port" or "unix:/absolute/path". Shorthand: "3000", "host:3000", "http://host",
/// "unix:relative.sock" (made absolute from `folder`).
Text parse_target(std::string_view typed, std::string_view folder);

/// "address:port" to listen on; "9191" and "localhost:9191" mean the loopback.
Text parse_listen(std::string_view typed);

/// "500ms", "10s", "5m", "1h", "2d"; not negative.
std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view typed);

/// "host:port", "[v6]:port" split; no port is an error. The host comes without its brackets.
struct HostPort {
  std::string host;
  std::string port;
};
std::expected<HostPort, std::string> parse_host_port(std::string_view typed);

}  // namespace simplon::ctl
