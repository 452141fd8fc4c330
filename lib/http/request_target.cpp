#include "http/request_target.hpp"

#include <algorithm>

#include "http/text.hpp"

namespace simplon::http {
namespace {

bool is_host_char(char c) {
  // unreserved, percent and the harmless sub-delimiters of RFC 3986; no comma: that is a list.
  constexpr std::string_view kMarks = "-._~%!$&'()*+;=";
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         kMarks.find(c) != std::string_view::npos;
}

bool is_literal_char(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
}

// Splits host[:port]; false when it is malformed, empty or too long.
bool split(std::string_view authority, std::string_view& host, std::string_view& port) {
  if (authority.size() > kMostAuthority) {
    return false;
  }
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos || end < 3) {
      return false;
    }
    host = authority.substr(0, end + 1);
    const std::string_view inside = authority.substr(1, end - 1);
    if (!std::all_of(inside.begin(), inside.end(), is_literal_char)) {
      return false;
    }
  } else {
    host = authority.substr(0, authority.find(':'));
    if (host.empty() || !std::all_of(host.begin(), host.end(), is_host_char)) {
      return false;
    }
  }
  std::string_view rest = authority.substr(host.size());
  if (rest.empty()) {
    port = {};
    return true;
  }
  port = rest.substr(1);
  return rest.front() == ':' && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The authority of an absolute target, and what is left of the target; false for other schemes.
bool split_absolute(const RequestHead& head, std::string_view& authority,
                    std::string_view& target) {
  std::string_view rest = head.target;
  bool known = false;
  for (const std::string_view scheme : {"http://", "https://", "ws://", "wss://"}) {
    if (istarts_with(rest, scheme)) {
      rest.remove_prefix(scheme.size());
      known = true;
      break;
    }
  }
  if (!known) {
    return false;
  }
  const std::size_t end = rest.find_first_of("/?#");
  authority = rest.substr(0, end);
  target = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
  if (target.empty()) {
    target = head.method == "OPTIONS" ? "*" : "/";
  }
  return target == "*" || target.front() == '/';
}

}  // namespace

std::expected<Destination, Verdict> destination_of(const RequestHead& head) {
  Destination to;
  const std::size_t hosts = head.fields.count(Name::host);
  if (hosts > 1 || (hosts == 0 && head.minor >= 1)) {
    return std::unexpected(Verdict{400, hosts == 0 ? "missing_host" : "repeated_host"});
  }
  std::string_view name;
  if (hosts == 1) {
    // Validated even where an absolute target replaces it: others may read the field.
    to.authority = *head.fields.find(Name::host);
    if (!split(to.authority, name, to.port)) {
      return std::unexpected(Verdict{400, "bad_host"});
    }
  }
  to.target = head.target;
  if (head.target == "*") {
    if (head.method != "OPTIONS") {
      return std::unexpected(Verdict{400, "bad_target"});
    }
  } else if (!head.target.starts_with('/')) {
    if (!split_absolute(head, to.authority, to.target)) {
      return std::unexpected(Verdict{400, "bad_target"});
    }
    if (!split(to.authority, name, to.port)) {
      return std::unexpected(Verdict{400, "bad_host"});
    }
  }
  to.host.resize(name.size());
  std::transform(name.begin(), name.end(), to.host.begin(), lower);
  if (to.host.ends_with('.')) {
    to.host.pop_back();
  }
  return to;
}

}  // namespace simplon::http
