#include <string>
#include <type_traits>

#include "tunnel/spec.hpp"

namespace simplon::tunnel {
namespace {

void append(std::string& out, std::string_view field) {
  out.append(std::to_string(field.size())).append(":").append(field);
}

// What the first version did not know: with its name, and only where it was chosen.
void append_named(std::string& out, std::string_view name, std::string_view value) {
  append(out.append("+"), name);
  append(out, value);
}

void append_settings(std::string& out, const HttpSettings& http) {
  for (const TimeoutField& field : kTimeoutFields) {
    if (const auto& chosen = http.timeouts.*field.chosen) {
      append_named(out, field.name, std::to_string(chosen->count()));
    }
  }
  for (const LimitField& field : kLimitFields) {
    if (const std::uint64_t chosen = http.limits.*field.chosen; chosen != 0) {
      append_named(out, field.name, std::to_string(chosen));
    }
  }
  if (!http.via) {
    append_named(out, "via", "off");
  }
}

void append_rules(std::string& out, std::string_view name,
                  const std::vector<http::HeaderRule>& rules) {
  for (const http::HeaderRule& rule : rules) {
    append_named(out, name, std::to_string(static_cast<int>(rule.action)));
    append(out, rule.name);
    append(out, rule.value);
  }
}

void append_rank(std::string& out, const overlay::Rank& rank) {
  if (rank.cost != 0) {
    append_named(out, "ziti_cost", std::to_string(rank.cost));
  }
  if (rank.precedence != overlay::Precedence::standard) {
    append_named(out, "ziti_precedence", std::to_string(static_cast<int>(rank.precedence)));
  }
}

void append_headers(std::string& out, const Share& share) {
  if (share.rewrite_references) {
    append_named(out, "rewrite_references", "");
  }
  append_rules(out, "request_headers", share.request_headers);
  append_rules(out, "response_headers", share.response_headers);
  if (!share.peer_header.empty()) {
    append_named(out, "peer_header", share.peer_header);
  }
}

}  // namespace

std::string fingerprint(const Tunnel& tunnel) {
  std::string out(kind_name(tunnel.spec));
  append(out, tunnel.name);
  for (const auto& [key, value] : tunnel.labels) {
    append(out, key);
    append(out, value);
  }
  out += '/';
  std::visit(
      [&]<class Kind>(const Kind& kind) {
        append(out, kind.overlay);
        if constexpr (std::is_same_v<Kind, Share>) {
          append(out, kind.service);
          append(out, kind.target);
          append(out, kind.host_header);
          out += kind.open_to_frontends ? '1' : '0';
          append_headers(out, kind);
          append_rank(out, kind.rank);
        } else {
          append(out, kind.listen);
          if constexpr (std::is_same_v<Kind, Access>) {
            append(out, kind.service);
            out += kind.protocol == Protocol::tcp ? '1' : '0';
          } else {
            append(out, kind.zone);
          }
          for (const std::string& proxy : kind.trusted_proxies) {
            append_named(out, "trusted_proxies", proxy);
          }
        }
      },
      tunnel.spec);
  append_settings(out, http_of(tunnel.spec));
  return out;
}

}  // namespace simplon::tunnel
