#include "http/header_rules.hpp"

#include <algorithm>

#include "http/connection.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

using Action = HeaderRule::Action;

}  // namespace

std::optional<std::string_view> why_fixed(std::string_view name) noexcept {
  const Name id = name_of(name);
  if (is_hop_by_hop(id)) {
    return "belongs to one connection";
  }
  if (istarts_with(name, "Sec-WebSocket-")) {
    return "belongs to the websocket handshake";
  }
  switch (id) {
    case Name::content_length:
    case Name::trailer:
      return "says where the message ends";
    case Name::date:
    case Name::expect:
    case Name::max_forwards:
    case Name::simplon_error:
    case Name::via:
      return "is the proxy's own";
    case Name::host:
      return "is set by host_header";
    default:
      return std::nullopt;
  }
}

bool survives(std::string_view name, std::span<const HeaderRule> rules) noexcept {
  return std::ranges::none_of(rules, [name](const HeaderRule& rule) {
    return rule.action != Action::add && same_variable(rule.name, name);
  });
}

void append_added(std::string& out, std::span<const HeaderRule> rules) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].action != Action::remove && survives(rules[i].name, rules.subspan(i + 1))) {
      append_field(out, rules[i].name, rules[i].value);
    }
  }
}

}  // namespace simplon::http
