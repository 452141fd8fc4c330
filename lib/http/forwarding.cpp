#include "http/forwarding.hpp"

#include <algorithm>
#include <array>

#include "http/text.hpp"

namespace simplon::http {
namespace {

// Beside Forwarded and X-Forwarded-*: what load balancers tell in, and programs believe.
constexpr std::array<std::string_view, 8> kOthers{
    "X-Real-IP", "X-Client-IP",      "X-Cluster-Client-IP", "True-Client-IP",
    "Client-IP", "CF-Connecting-IP", "Fastly-Client-IP",    "Front-End-Https"};
constexpr std::string_view kPrefix = "X-Forwarded-";

// One field with all values that came under its name, and ours behind them.
void append_joined(std::string& out, std::string_view name, const Fields& fields, Name id,
                   std::string_view ours) {
  out.append(name).append(": ");
  for (const Field field : fields) {
    if (field.id == id && !field.value.empty()) {
      out.append(field.value).append(", ");
    }
  }
  out.append(ours).append("\r\n");
}

// for=, with IPv6 and ports in quotes (RFC 7239 §6).
std::string forwarded_element(const Destination& to, const Policy& policy) {
  std::string element = "for=";
  if (!policy.client_address) {
    element += "unknown";
  } else if (policy.client_address->find(':') != std::string::npos) {
    element.append("\"[").append(*policy.client_address).append("]\"");
  } else {
    element += *policy.client_address;
  }
  if (!to.authority.empty()) {
    element.append(";host=\"").append(to.authority).append("\"");
  }
  element.append(";proto=").append(policy.scheme);
  return element;
}

}  // namespace

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
                       const Policy& policy) {
  if (policy.forwarding == Forwarding::pass) {
    return;
  }
  static const Fields kNone;
  const Fields& before = policy.forwarding == Forwarding::append ? head.fields : kNone;
  if (policy.client_address) {
    append_joined(out, "X-Forwarded-For", before, Name::x_forwarded_for, *policy.client_address);
  }
  // What the first proxy saw stays true for those behind it.
  if (!before.find(Name::x_forwarded_proto)) {
    append_field(out, "X-Forwarded-Proto", policy.scheme);
  }
  if (!before.find(Name::x_forwarded_host) && !to.authority.empty()) {
    append_field(out, "X-Forwarded-Host", to.authority);
  }
  if (!before.find(Name::x_forwarded_port)) {
    const bool tls = policy.scheme == "https" || policy.scheme == "wss";
    append_field(out, "X-Forwarded-Port", to.port.empty() ? (tls ? "443" : "80") : to.port);
  }
  append_joined(out, "Forwarded", before, Name::forwarded, forwarded_element(to, policy));
}

}  // namespace simplon::http
