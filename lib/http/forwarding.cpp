#include "http/forwarding.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "http/forwarded.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

// Beside Forwarded and X-Forwarded-*: what load balancers tell in, and programs believe.
constexpr std::array<std::string_view, 8> kOthers{
    "X-Real-IP", "X-Client-IP",      "X-Cluster-Client-IP", "True-Client-IP",
    "Client-IP", "CF-Connecting-IP", "Fastly-Client-IP",    "Front-End-Https"};
constexpr std::string_view kPrefix = "X-Forwarded-";
constexpr std::string_view kOurScheme = "http";  // no listener of ours speaks TLS with clients

// What is told of the proxies before us goes on to the next end, and there is no end to what a
// client can make them say: of longer lists the last ones, which the nearest proxies wrote.
constexpr std::size_t kMostMembers = 64;

std::string_view first_member(const Fields& fields, Name id) {
  const std::string_view list = fields.find(id).value_or("");
  return trim(list.substr(0, list.find(',')));
}

// The host and port that clients used, as the first proxy says; empty where none does.
std::string_view said_host(const Fields& fields) {
  const std::string_view first = first_member(fields, Name::x_forwarded_host);
  // It goes into a quoted string.
  return first.size() <= kMostAuthority && first.find_first_of("\"\\") == std::string_view::npos
             ? first
             : std::string_view{};
}

std::string_view port_in(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) {
    return {};
  }
  const std::string_view port = authority.substr(colon + 1);
  const auto number = parse_decimal(port);
  return number && *number > 0 && *number <= 65535 ? port : std::string_view{};
}

// Where nobody names a port, it is the one of the scheme; empty where that is unknown, too.
std::string_view client_port(const Fields& before, const Destination& to) {
  const std::string_view host = said_host(before);
  const std::string_view port = host.empty() ? to.port : port_in(host);
  if (!port.empty()) {
    return port;
  }
  const std::string_view scheme =
      before.find(Name::x_forwarded_proto) ? client_scheme(before) : kOurScheme;
  return scheme == "https" ? "443" : scheme == "http" ? "80" : "";
}

// for=, with IPv6 in quotes (RFC 7239 §6).
void append_node(std::string& out, std::string_view address) {
  out += "for=";
  if (address.find(':') != std::string_view::npos) {
    out.append("\"[").append(address).append("]\"");
  } else {
    out.append(address);
  }
}

void append_element(std::string& out, std::string_view address, std::string_view host,
                    std::string_view scheme) {
  append_node(out, address);
  if (!host.empty()) {
    out.append(";host=\"").append(host).append("\"");
  }
  if (!scheme.empty()) {
    out.append(";proto=").append(scheme);
  }
}

using Members = std::vector<std::string_view>;

Members members_of(const Fields& fields, Name id) {
  Members out;
  for (const Field field : fields) {
    if (field.id == id) {
      for_each_member(field.value, [&](std::string_view member) { out.push_back(member); });
    }
  }
  return out;
}

template <class Member>
std::span<const Member> last_of(const std::vector<Member>& all) {
  return std::span(all).last(std::min(all.size(), kMostMembers));
}

// RFC 7239 §7.4. Only the first proxy has seen what X-Forwarded-Proto and -Host tell.
void append_translated(std::string& out, const Fields& before, const Members& addresses) {
  std::string_view host = said_host(before);
  std::string_view scheme = client_scheme(before);
  if (addresses.empty() && !(host.empty() && scheme.empty())) {
    append_element(out, "unknown", host, scheme);
    out += ", ";
  }
  for (const std::string_view member : last_of(addresses)) {
    append_element(out, address_of(member), std::exchange(host, {}), std::exchange(scheme, {}));
    out += ", ";
  }
}

// Most proxies write X-Forwarded-For only, and pass a Forwarded of their client's invention: it
// counts where it says nothing else.
bool agree(const std::vector<ForwardedElement>& elements, const Fields& before,
           const Members& addresses) {
  if (!std::ranges::equal(
          elements, addresses, {}, [](const auto& e) { return address_of(e.node); }, address_of)) {
    return false;
  }
  const ForwardedElement& first = elements.front();
  const std::string_view host = said_host(before);
  const std::string_view scheme = client_scheme(before);
  return (host.empty() || first.host.empty() || iequals(first.host, host)) &&
         (scheme.empty() || first.proto.empty() || iequals(first.proto, scheme));
}

void append_forwarded(std::string& out, const Fields& before, const Members& addresses) {
  const auto elements = forwarded_of(before);
  if (!elements || elements->empty() ||
      (!addresses.empty() && !agree(*elements, before, addresses))) {
    append_translated(out, before, addresses);
    return;
  }
  for (const ForwardedElement& element : last_of(*elements)) {
    out.append(element.text).append(", ");
  }
}

}  // namespace

std::string_view client_scheme(const Fields& fields) {
  const std::string_view first = first_member(fields, Name::x_forwarded_proto);
  if (iequals(first, "https") || iequals(first, "wss")) {
    return "https";
  }
  return iequals(first, "http") || iequals(first, "ws") ? "http" : "";
}

bool is_forwarding(std::string_view name) noexcept {
  constexpr std::string_view kFirst = "xftc";
  if (name.empty() || kFirst.find(lower(name.front())) == std::string_view::npos) {
    return false;
  }
  return same_variable(name.substr(0, kPrefix.size()), kPrefix) ||
         same_variable(name, "Forwarded") ||
         std::ranges::any_of(kOthers, [name](auto other) { return same_variable(name, other); });
}

bool passes(const Field& field, Forwarding forwarding) {
  switch (forwarding) {
    case Forwarding::pass:
      return true;
    case Forwarding::append:  // the joined ones are written by append_forwarding
      // A proxy vouches for the fields that it knows, not for their other spelling.
      return field.id != Name::x_forwarded_for && field.id != Name::forwarded &&
             !(field.name.find('_') != std::string_view::npos && is_forwarding(field.name));
    case Forwarding::replace:
      return !is_forwarding(field.name);
  }
  return false;
}

void append_forwarding(std::string& out, const RequestHead& head, const Destination& to,
                       const Client& client) {
  if (client.forwarding == Forwarding::pass) {
    return;
  }
  static const Fields kNone;
  const Fields& before = client.forwarding == Forwarding::append ? head.fields : kNone;
  const Members addresses = members_of(before, Name::x_forwarded_for);
  if (client.address) {
    out += "X-Forwarded-For: ";
    for (const std::string_view member : last_of(addresses)) {
      out.append(member).append(", ");
    }
    out.append(*client.address).append("\r\n");
  }
  // What the first proxy saw stays true for those behind it.
  if (!before.find(Name::x_forwarded_proto)) {
    append_field(out, "X-Forwarded-Proto", kOurScheme);
  }
  if (!before.find(Name::x_forwarded_host) && !to.authority.empty()) {
    append_field(out, "X-Forwarded-Host", to.authority);
  }
  if (!before.find(Name::x_forwarded_port)) {
    if (const auto port = client_port(before, to); !port.empty()) {
      append_field(out, "X-Forwarded-Port", port);
    }
  }
  out += "Forwarded: ";
  append_forwarded(out, before, addresses);
  append_element(out, client.address.value_or("unknown"), to.authority, kOurScheme);
  out += "\r\n";
}

}  // namespace simplon::http
