#include "tunnel/target.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <absl/status/status.h>

#include "net/endpoint.hpp"
#include "tunnel/spec_check.hpp"

namespace simplon::tunnel {
namespace {

constexpr std::size_t kMaxHostBytes = 253;
constexpr std::size_t kMaxSocketPathBytes = 107;  // sockaddr_un

absl::Status refused(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(quoted(text).append(why));
}

bool visible(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c != 0x7f; });
}

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

bool host_like(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::ranges::all_of(host, [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_' || c == ':' || c == '%';
         });
}

std::uint16_t default_port(Target::Scheme scheme) {
  switch (scheme) {
    case Target::Scheme::http:
      return 80;
    case Target::Scheme::https:
      return 443;
    case Target::Scheme::tcp:
    case Target::Scheme::unix_http:
    case Target::Scheme::h2c:
      break;
  }
  return 0;
}

// True where the text has a port: a colon after the last bracket, and one only (or brackets).
bool has_port(std::string_view authority) {
  const auto bracket = authority.rfind(']');
  return authority.find(':', bracket == std::string_view::npos ? 0 : bracket) !=
         std::string_view::npos;
}

absl::StatusOr<Target> parse_authority(Target::Scheme scheme, std::string_view authority,
                                       std::string_view text) {
  if (authority.empty()) {
    return refused(text, "has no host after its scheme");
  }
  std::string with_port(authority);
  if (!has_port(authority)) {
    if (default_port(scheme) == 0) {
      return refused(text, "has no port; write host:port");
    }
    with_port += ':';
    with_port += std::to_string(default_port(scheme));
  }
  const auto endpoint = net::parse_endpoint(with_port);
  if (!endpoint || endpoint->port == 0) {
    return refused(text, "has no port between 1 and 65535 after its host");
  }
  Target target{.scheme = scheme, .host = endpoint->host, .port = endpoint->port, .path = {}};
  if (target.host.empty()) {
    target.host = "localhost";
  }
  if (!host_like(target.host)) {
    return refused(text, "has no valid host name");
  }
  return target;
}

}  // namespace

std::string Target::authority() const {
  return scheme == Scheme::unix_http ? "localhost" : net::to_string({.host = host, .port = port});
}

std::string Target::text() const {
  switch (scheme) {
    case Scheme::http:
      return "http://" + authority();
    case Scheme::https:
      return "https://" + authority();
    case Scheme::tcp:
      return "tcp://" + authority();
    case Scheme::unix_http:
      return "unix:" + path;
    case Scheme::h2c:
      return "h2c://" + authority();
  }
  return {};
}

absl::StatusOr<Target> parse_target(std::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError("is missing: say what to share, such as 3000");
  }
  if (text.starts_with("unix:")) {
    std::string_view path = text.substr(5);
    if (path.starts_with("///")) {
      path.remove_prefix(2);  // unix:///path
    }
    if (!path.starts_with('/') || path.size() < 2 || !printable(path)) {
      return refused(text, "has no absolute path after \"unix:\"");
    }
    if (path.size() > kMaxSocketPathBytes) {
      return refused(text, "has a path of more than 107 bytes, more than a socket's address holds");
    }
    return Target{
        .scheme = Target::Scheme::unix_http, .host = {}, .port = 0, .path = std::string(path)};
  }
  if (!visible(text)) {
    return refused(text, "contains spaces or control characters");
  }
  if (std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
    return parse_authority(Target::Scheme::http, std::string(":").append(text), text);
  }
  constexpr std::array<std::pair<std::string_view, Target::Scheme>, 4> schemes{
      {{"http://", Target::Scheme::http},
       {"https://", Target::Scheme::https},
       {"tcp://", Target::Scheme::tcp},
       {"h2c://", Target::Scheme::h2c}}};
  for (const auto& [prefix, scheme] : schemes) {
    if (text.starts_with(prefix)) {
      std::string_view authority = text.substr(prefix.size());
      if (authority.ends_with('/')) {
        authority.remove_suffix(1);
      }
      if (authority.find_first_of("/?#@") != std::string_view::npos) {
        return refused(text,
                       "has more than a scheme, a host and a port, of which a target is made");
      }
      return parse_authority(scheme, authority, text);
    }
  }
  if (text.contains("://")) {
    return refused(text, "is not a kind of target; there are http, https, h2c, tcp and unix");
  }
  if (!has_port(text)) {
    return refused(text,
                   "is not a target; write 3000, localhost:3000, http://host:port, https://host, "
                   "h2c://host:port, tcp://host:port or unix:/path");
  }
  return parse_authority(Target::Scheme::http, text, text);
}

}  // namespace simplon::tunnel
