#include "ctl/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <utility>

namespace simplon::ctl {
namespace {

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

bool valid_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && text.size() <= 5 &&
         value <= 65535;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool valid_host(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%';
  });
}

std::string joined(const HostPort& at) {
  const bool v6 = at.host.find(':') != std::string::npos;
  return (v6 ? "[" + at.host + "]" : at.host) + ":" + at.port;
}

}  // namespace

std::expected<HostPort, std::string> parse_host_port(std::string_view typed) {
  const auto colon = typed.rfind(':');
  if (colon == std::string_view::npos) {
    return std::unexpected(in_quotes(typed) + " has no port; write host:port");
  }
  std::string_view host = typed.substr(0, colon);
  const std::string_view port = typed.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::unexpected("write an IPv6 address in brackets: [::1]:3000");
  }
  if (!valid_host(host)) {
    return std::unexpected(in_quotes(typed) + " has no valid host name");
  }
  if (!all_digits(port) || !valid_port(port)) {
    return std::unexpected(in_quotes(port) + " is not a port (0 to 65535)");
  }
  return HostPort{std::string(host), std::string(port)};
}

std::string target_from(std::string_view typed, std::string_view folder) {
  constexpr std::string_view kUnix = "unix:";
  const std::string_view path = typed.substr(std::min(typed.size(), kUnix.size()));
  if (!typed.starts_with(kUnix) || path.empty() || path.starts_with('/')) {
    return std::string(typed);
  }
  return std::string(kUnix) + (std::filesystem::path(folder) / path).lexically_normal().string();
}

Text parse_listen(std::string_view typed) {
  if (all_digits(typed)) {
    return parse_listen("127.0.0.1:" + std::string(typed));
  }
  if (typed.starts_with(':')) {
    return std::unexpected("name the address, too: 127.0.0.1" + std::string(typed) +
                           " for this host, 0.0.0.0" + std::string(typed) + " for all");
  }
  auto at = parse_host_port(typed);
  if (!at) {
    return std::unexpected(at.error());
  }
  if (at->host == "localhost") {
    at->host = "127.0.0.1";
  }
  return joined(*at);
}

std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view typed) {
  const auto wrong = [typed] {
    return std::unexpected(in_quotes(typed) + " is not a duration; write 500ms, 10s, 5m, 1h or 2d");
  };
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(typed.data(), typed.data() + typed.size(), value);
  if (error != std::errc{} || value < 0) {
    return wrong();
  }
  const std::string_view unit(end, static_cast<std::size_t>(typed.data() + typed.size() - end));
  std::int64_t scale = 0;
  for (const auto& [name, milliseconds] : {std::pair<std::string_view, std::int64_t>{"ms", 1},
                                           {"s", 1000},
                                           {"m", 60'000},
                                           {"h", 3'600'000},
                                           {"d", 86'400'000}}) {
    if (unit == name) {
      scale = milliseconds;
    }
  }
  // Ten years are enough, and far from any overflow of a clock.
  constexpr std::int64_t limit = 3650LL * 86'400'000;
  if (scale == 0 || value > limit / scale) {
    return wrong();
  }
  return std::chrono::milliseconds(value * scale);
}

std::string duration_text(std::chrono::milliseconds duration) {
  const std::int64_t count = duration.count();
  if (count == 0) {
    return "none";
  }
  std::int64_t scale = 1;
  std::string_view unit = "ms";
  for (const auto& [name, milliseconds] : {std::pair<std::string_view, std::int64_t>{"s", 1000},
                                           {"m", 60'000},
                                           {"h", 3'600'000},
                                           {"d", 86'400'000}}) {
    // "60s" and "120s" are said like that, and so is "36h".
    if (count % milliseconds == 0 && (milliseconds == 1000 || count / milliseconds > 2)) {
      scale = milliseconds;
      unit = name;
    }
  }
  return std::to_string(count / scale).append(unit);
}

namespace {

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kSizes{
    {{"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}}};

}  // namespace

std::expected<std::uint64_t, std::string> parse_size(std::string_view typed, bool with_unit) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(typed.data(), typed.data() + typed.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(typed.data() + typed.size() - end));
  std::uint64_t scale = unit.empty() ? 1 : 0;
  for (const auto& [name, bytes] : kSizes) {
    if (with_unit && unit == name) {
      scale = bytes;
    }
  }
  if (error != std::errc{} || value == 0 || scale == 0 || value > INT64_MAX / scale) {
    return std::unexpected(in_quotes(typed) +
                           (with_unit ? " is not a size; write bytes, 64KiB, 10MiB or 1GiB"
                                      : " is not a number, at least 1"));
  }
  return value * scale;
}

std::string size_text(std::uint64_t bytes) {
  std::string out = std::to_string(bytes);
  for (const auto& [name, scale] : kSizes) {
    if (bytes != 0 && bytes % scale == 0) {
      out = std::to_string(bytes / scale).append(name);
    }
  }
  return out;
}

std::expected<HeaderRule, std::string> parse_header_rule(std::string_view typed) {
  HeaderRule out;
  std::string_view rest = typed;
  if (rest.starts_with('+') || rest.starts_with('-')) {
    out.action = rest.front();
    rest.remove_prefix(1);
  }
  const auto colon = rest.find(':');
  if (out.action == '-' && (colon != std::string_view::npos || rest.empty())) {
    return std::unexpected(in_quotes(typed) + " has more than a name behind \"-\"; write -NAME");
  }
  if (out.action != '-' && (colon == std::string_view::npos || colon == 0)) {
    return std::unexpected(in_quotes(typed) +
                           " is no rule; write 'NAME: VALUE', '+NAME: VALUE' or '-NAME'");
  }
  out.name = rest.substr(0, colon);
  if (out.action != '-') {
    std::string_view value = rest.substr(colon + 1);
    const auto first = value.find_first_not_of(" \t");
    value.remove_prefix(std::min(first, value.size()));
    out.value = value;
  }
  return out;
}

std::string shell_word(const std::string& value) {
  const bool plain = std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:@%,=").find(c) != std::string_view::npos;
  });
  if (plain) {
    return value;
  }
  std::string out = "'";
  for (const char c : value) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

}  // namespace simplon::ctl
