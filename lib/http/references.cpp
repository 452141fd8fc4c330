#include "http/references.hpp"

#include "http/forwarding.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

struct Authority {
  std::string_view host;
  std::string_view port;
};

Authority split(std::string_view authority, std::string_view scheme) {
  const std::size_t colon = authority.rfind(':');
  const std::string_view standard = iequals(scheme, "https") ? "443" : "80";
  // The last colon of "[::1]" is no port's.
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) {
    return {authority, standard};
  }
  const std::string_view port = authority.substr(colon + 1);
  return {authority.substr(0, colon), port.empty() ? standard : port};
}

bool same(std::string_view a, std::string_view b, std::string_view scheme) {
  const Authority first = split(a, scheme);
  const Authority second = split(b, scheme);
  return iequals(first.host, second.host) && first.port == second.port;
}

struct Parts {
  std::string_view scheme;  // empty for "//authority…"
  std::string_view authority;
  std::string_view rest;  // from the first "/", "?" or "#"
};

// Of an absolute http URL or a network-path reference (RFC 3986 §4.2); empty for all others.
Parts parts_of(std::string_view url) {
  Parts parts;
  const std::size_t slashes = url.find("//");
  if (slashes == std::string_view::npos) {
    return {};
  }
  if (slashes != 0) {
    if (url[slashes - 1] != ':') {
      return {};
    }
    parts.scheme = url.substr(0, slashes - 1);
    if (!iequals(parts.scheme, "http") && !iequals(parts.scheme, "https")) {
      return {};
    }
  }
  url.remove_prefix(slashes + 2);
  const std::size_t end = std::min(url.find_first_of("/?#"), url.size());
  parts.authority = url.substr(0, end);
  parts.rest = url.substr(end);
  return parts;
}

}  // namespace

std::string References::towards_target(std::string_view value) const {
  const Parts parts = parts_of(value);
  if (parts.scheme.empty() || !same(parts.authority, client, parts.scheme)) {
    return std::string(value);
  }
  return std::string(target_scheme).append("://").append(target).append(parts.rest);
}

std::string References::towards_client(std::string_view value) const {
  const Parts parts = parts_of(value);
  if (parts.authority.empty() || client.empty() || !same(parts.authority, target, parts.scheme)) {
    return std::string(value);
  }
  std::string out(client_scheme);
  if (!out.empty()) {
    out += ':';
  }
  return out.append("//").append(client).append(parts.rest);
}

std::string References::cookie_towards_client(std::string_view value) const {
  const std::string_view ours = split(client, {}).host;
  const std::string_view theirs = split(target, {}).host;
  std::string out;
  for (bool first = true;; first = false) {
    const std::size_t end = std::min(value.find(';'), value.size());
    const std::string_view attribute = value.substr(0, end);
    const std::size_t equals = attribute.find('=');
    std::string_view domain;
    if (!first && equals != std::string_view::npos &&
        iequals(trim(attribute.substr(0, equals)), "Domain")) {
      domain = trim(attribute.substr(equals + 1));
      domain.remove_prefix(domain.starts_with('.') ? 1 : 0);
    }
    if (!domain.empty() && !ours.empty() && iequals(domain, theirs)) {
      out.append(attribute.substr(0, equals + 1)).append(ours);
    } else {
      out.append(attribute);
    }
    if (end == value.size()) {
      return out;
    }
    out += ';';
    value.remove_prefix(end + 1);
  }
}

std::optional<References> references_of(const RequestHead& head, const Destination& to,
                                        const Policy& policy) {
  if (!policy.rewrite_references || !policy.host_header) {
    return std::nullopt;
  }
  return References{.client = to.authority,
                    .target = *policy.host_header,
                    .client_scheme = client_scheme(head.fields),
                    .target_scheme = policy.target_scheme};
}

}  // namespace simplon::http
