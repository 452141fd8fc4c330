// What people type: listen addresses, durations. Pure functions; an error is a sentence
// for the person.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace simplon::ctl {

using Text = std::expected<std::string, std::string>;

/// A share's target as the agent, which runs in another folder, can read it: "unix:relative.sock"
/// becomes absolute, from `folder`. All else is the agent's to read, or to refuse in words.
std::string target_from(std::string_view typed, std::string_view folder);

/// "address:port" to listen on; "9191" and "localhost:9191" mean the loopback.
Text parse_listen(std::string_view typed);

/// "500ms", "10s", "5m", "1h", "2d"; not negative.
std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view typed);

/// "60s" as people would write it: the largest unit that needs no fraction; "none" for zero.
std::string duration_text(std::chrono::milliseconds duration);

/// "1000", and where `with_unit` "64KiB", "10MiB", "2GiB", "1TiB" as well; not zero.
std::expected<std::uint64_t, std::string> parse_size(std::string_view typed, bool with_unit);
/// The inverse, with the largest unit that needs no fraction.
std::string size_text(std::uint64_t bytes);

/// A change to a head: "NAME: VALUE" (set), "+NAME: VALUE" (add), "-NAME" (remove).
struct HeaderRule {
  char action = '=';  ///< '=', '+' or '-'
  std::string name;
  std::string value;
};
std::expected<HeaderRule, std::string> parse_header_rule(std::string_view typed);

/// As a shell takes it back as one word.
std::string shell_word(const std::string& value);

/// "host:port", "[v6]:port" split; no port is an error. The host comes without its brackets.
struct HostPort {
  std::string host;
  std::string port;
};
std::expected<HostPort, std::string> parse_host_port(std::string_view typed);

}  // namespace simplon::ctl
