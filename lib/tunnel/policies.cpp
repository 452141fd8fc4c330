#include "tunnel/policies.hpp"

#include <algorithm>
#include <span>

#include "http/date.hpp"

namespace simplon::tunnel {
namespace {

base::Hop hop_of(const Spec& spec) {
  if (std::holds_alternative<Share>(spec)) {
    return base::Hop::share;
  }
  return std::holds_alternative<Access>(spec) ? base::Hop::access : base::Hop::frontend;
}

http::Timeouts timeouts_of(const Spec& spec) {
  http::Timeouts defaults;
  if (!std::holds_alternative<Share>(spec)) {
    defaults.connect = kEntryConnect;
  }
  return used(http_of(spec).timeouts, defaults);
}

void add_ranges(std::vector<net::AddressRange>& to, std::span<const std::string> texts) {
  for (const std::string& text : texts) {
    if (const auto range = net::AddressRange::parse(text)) {
      to.push_back(*range);
    }
  }
}

}  // namespace

std::chrono::milliseconds connect_limit(const Spec& spec) { return timeouts_of(spec).connect; }

std::uint64_t connection_limit(const Spec& spec) {
  const std::uint64_t chosen = http_of(spec).limits.connections;
  return chosen != 0 ? chosen : kMaxConnections;
}

std::optional<std::uint64_t> client_limit(const Spec& spec) {
  const std::uint64_t chosen = http_of(spec).limits.connections_per_client;
  return chosen != 0 ? std::optional(chosen) : std::nullopt;
}

std::uint64_t agent_limit(const Spec& spec) {
  // A quarter, and at least one where there are two, stays for others. One frontend may well be
  // most of a share's clients.
  const std::uint64_t all = connection_limit(spec);
  return client_limit(spec).value_or(std::max<std::uint64_t>(1, all * 3 / 4));
}

http::Policy policy_of(const Tunnel& tunnel) {
  const HttpSettings& http = http_of(tunnel.spec);
  http::Policy policy;
  policy.hop = hop_of(tunnel.spec);
  policy.limits = used(http.limits);
  policy.timeouts = timeouts_of(tunnel.spec);
  if (http.via) {
    policy.via = tunnel.uid;
    policy.via_by_route = std::holds_alternative<Frontend>(tunnel.spec);
  }
  if (const auto* share = std::get_if<Share>(&tunnel.spec)) {
    policy.date = http::http_date_now;
    if (!share->host_header.empty()) {
      policy.host_header = share->host_header;
    }
    policy.rewrite_references = share->rewrite_references;
    policy.target_scheme = share->target.starts_with("https://") ? "https" : "http";
    policy.request_headers = share->request_headers;
    policy.response_headers = share->response_headers;
    policy.peer_header = share->peer_header;
  }
  return policy;
}

std::vector<net::AddressRange> trusted_proxies(const Spec& spec) {
  static const std::vector<std::string> kLoopback{"127.0.0.0/8", "::1"};
  std::vector<net::AddressRange> out;
  if (const auto* chosen = trusted_proxies_of(spec); chosen != nullptr && !chosen->empty()) {
    add_ranges(out, *chosen);  // kNobody is no range
  } else if (std::holds_alternative<Access>(spec)) {
    add_ranges(out, kLoopback);
  }
  return out;
}

}  // namespace simplon::tunnel
