#include "agent/tunnel_message.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "agent/http_message.hpp"

namespace simplon::agent {
namespace {

// Absent where nothing was chosen.
template <class Message>
void put_http(const tunnel::HttpSettings& from, Message& to) {
  if (v1::HttpSettings settings; write_http(from, settings)) {
    *to.mutable_http() = std::move(settings);
  }
}

constexpr std::uint32_t kMaxCost = UINT16_MAX;

v1::ZitiRank::Precedence precedence_of(overlay::Precedence from) {
  switch (from) {
    case overlay::Precedence::standard:
      return v1::ZitiRank::PRECEDENCE_DEFAULT;
    case overlay::Precedence::required:
      return v1::ZitiRank::PRECEDENCE_REQUIRED;
    case overlay::Precedence::failed:
      return v1::ZitiRank::PRECEDENCE_FAILED;
  }
  return v1::ZitiRank::PRECEDENCE_UNSPECIFIED;
}

absl::Status read_rank(const v1::ZitiRank& from, overlay::Rank& to) {
  if (from.cost() > kMaxCost) {
    return absl::InvalidArgumentError("share.ziti.cost: is not between 0 and 65535");
  }
  to.cost = static_cast<std::uint16_t>(from.cost());
  switch (from.precedence()) {
    case v1::ZitiRank::PRECEDENCE_UNSPECIFIED:
    case v1::ZitiRank::PRECEDENCE_DEFAULT:
      return absl::OkStatus();
    case v1::ZitiRank::PRECEDENCE_REQUIRED:
      to.precedence = overlay::Precedence::required;
      return absl::OkStatus();
    case v1::ZitiRank::PRECEDENCE_FAILED:
      to.precedence = overlay::Precedence::failed;
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          "share.ziti.precedence: is none of default, required and failed");
  }
}

void write_spec(const tunnel::Share& from, v1::Tunnel& to) {
  v1::Share& share = *to.mutable_share();
  share.set_service(from.service);
  share.set_overlay(from.overlay);
  share.set_target(from.target);
  share.set_public_(from.open_to_frontends);
  share.set_host_header(from.host_header);
  share.set_rewrite_references(from.rewrite_references);
  write_rules(from.request_headers, *share.mutable_request_headers());
  write_rules(from.response_headers, *share.mutable_response_headers());
  share.set_peer_header(from.peer_header);
  put_http(from.http, share);
  if (from.rank != overlay::Rank{}) {
    share.mutable_ziti()->set_cost(from.rank.cost);
    share.mutable_ziti()->set_precedence(precedence_of(from.rank.precedence));
  }
}

void write_spec(const tunnel::Access& from, v1::Tunnel& to) {
  v1::Access& access = *to.mutable_access();
  access.set_service(from.service);
  access.set_overlay(from.overlay);
  access.set_listen(from.listen);
  access.set_protocol(from.protocol == tunnel::Protocol::tcp ? v1::PROTOCOL_TCP
                                                             : v1::PROTOCOL_HTTP);
  access.mutable_trusted_proxies()->Assign(from.trusted_proxies.begin(),
                                           from.trusted_proxies.end());
  put_http(from.http, access);
}

void write_spec(const tunnel::Frontend& from, v1::Tunnel& to) {
  v1::Frontend& frontend = *to.mutable_frontend();
  frontend.set_overlay(from.overlay);
  frontend.set_listen(from.listen);
  frontend.set_zone(from.zone);
  frontend.mutable_trusted_proxies()->Assign(from.trusted_proxies.begin(),
                                             from.trusted_proxies.end());
  put_http(from.http, frontend);
}

absl::Status read_spec(const v1::Share& from, tunnel::Share& to) {
  to.service = from.service();
  to.overlay = from.overlay();
  to.target = from.target();
  to.open_to_frontends = from.public_();
  to.host_header = from.host_header();
  to.rewrite_references = from.rewrite_references();
  to.peer_header = from.peer_header();
  absl::Status status =
      read_rules(from.request_headers(), "share.request_headers", to.request_headers);
  status.Update(read_rules(from.response_headers(), "share.response_headers", to.response_headers));
  status.Update(read_http(from.http(), "share.http", to.http));
  status.Update(read_rank(from.ziti(), to.rank));
  return status;
}

absl::Status read_spec(const v1::Access& from, tunnel::Access& to) {
  if (!v1::Protocol_IsValid(from.protocol())) {
    return absl::InvalidArgumentError("access.protocol: is neither HTTP nor TCP");
  }
  to.service = from.service();
  to.overlay = from.overlay();
  to.listen = from.listen();
  to.protocol =
      from.protocol() == v1::PROTOCOL_TCP ? tunnel::Protocol::tcp : tunnel::Protocol::http;
  to.trusted_proxies.assign(from.trusted_proxies().begin(), from.trusted_proxies().end());
  return read_http(from.http(), "access.http", to.http);
}

absl::Status read_spec(const v1::Frontend& from, tunnel::Frontend& to) {
  to.overlay = from.overlay();
  to.listen = from.listen();
  to.zone = from.zone();
  to.trusted_proxies.assign(from.trusted_proxies().begin(), from.trusted_proxies().end());
  return read_http(from.http(), "frontend.http", to.http);
}

v1::TunnelStatus::Phase phase_of(tunnel::Phase phase) {
  switch (phase) {
    case tunnel::Phase::starting:
      return v1::TunnelStatus::PHASE_STARTING;
    case tunnel::Phase::active:
      return v1::TunnelStatus::PHASE_ACTIVE;
    case tunnel::Phase::degraded:
      return v1::TunnelStatus::PHASE_DEGRADED;
    case tunnel::Phase::failed:
      return v1::TunnelStatus::PHASE_FAILED;
    case tunnel::Phase::draining:
      return v1::TunnelStatus::PHASE_DRAINING;
  }
  return v1::TunnelStatus::PHASE_UNSPECIFIED;
}

v1::TunnelStatus::Hop::State state_of(tunnel::HopState state) {
  switch (state) {
    case tunnel::HopState::starting:
      return v1::TunnelStatus::Hop::STATE_STARTING;
    case tunnel::HopState::up:
      return v1::TunnelStatus::Hop::STATE_UP;
    case tunnel::HopState::down:
      return v1::TunnelStatus::Hop::STATE_DOWN;
  }
  return v1::TunnelStatus::Hop::STATE_UNSPECIFIED;
}

void write_status(const tunnel::Status& from, v1::TunnelStatus& to) {
  to.set_phase(phase_of(from.phase));
  to.set_message(from.message);
  to.set_url(from.url);
  to.mutable_urls()->Assign(from.urls.begin(), from.urls.end());
  to.set_known_as(from.known_as);
  for (const tunnel::HopStatus& hop : from.hops) {
    v1::TunnelStatus::Hop& out = *to.add_hops();
    out.set_name(std::string(hop.name));
    out.set_state(state_of(hop.state));
    write_time(hop.since, *out.mutable_since());
    out.set_last_error(hop.last_error);
  }
  v1::TunnelStatus::Counters& counters = *to.mutable_counters();
  counters.set_connections(from.counters.connections);
  counters.set_open_connections(from.counters.open_connections);
  counters.set_requests(from.counters.requests);
  counters.set_failures(from.counters.failures);
  counters.set_bytes_in(from.counters.bytes_in);
  counters.set_bytes_out(from.counters.bytes_out);
  for (const auto& [code, count] : from.counters.refused) {
    (*counters.mutable_refused())[static_cast<std::uint32_t>(code)] = count;
  }
}

}  // namespace

absl::StatusOr<tunnel::Tunnel> from_message(const v1::Tunnel& message) {
  tunnel::Tunnel out;
  out.name = message.name();
  out.labels.insert(message.labels().begin(), message.labels().end());
  absl::Status status;
  switch (message.spec_case()) {
    case v1::Tunnel::kShare:
      status = read_spec(message.share(), out.spec.emplace<tunnel::Share>());
      break;
    case v1::Tunnel::kAccess:
      status = read_spec(message.access(), out.spec.emplace<tunnel::Access>());
      break;
    case v1::Tunnel::kFrontend:
      status = read_spec(message.frontend(), out.spec.emplace<tunnel::Frontend>());
      break;
    case v1::Tunnel::SPEC_NOT_SET:
      status = absl::InvalidArgumentError(
          "tunnel: has no spec; a tunnel is a share, an access or a frontend");
      break;
  }
  if (!status.ok()) {
    return status;
  }
  return out;
}

v1::Tunnel to_message(const tunnel::Tunnel& tunnel, const tunnel::Status* status) {
  v1::Tunnel out;
  out.set_name(tunnel.name);
  out.set_uid(tunnel.uid);
  for (const auto& [key, value] : tunnel.labels) {
    (*out.mutable_labels())[key] = value;
  }
  write_time(tunnel.create_time, *out.mutable_create_time());
  std::visit([&](const auto& spec) { write_spec(spec, out); }, tunnel.spec);
  if (status != nullptr) {
    write_status(*status, *out.mutable_status());
  } else {
    out.mutable_status()->set_phase(v1::TunnelStatus::PHASE_STARTING);
    out.mutable_status()->set_url(tunnel::url_of(tunnel));
  }
  return out;
}

void write_time(std::chrono::system_clock::time_point from, google::protobuf::Timestamp& to) {
  const auto since_epoch = from.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  to.set_seconds(seconds.count());
  to.set_nanos(static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch - seconds).count()));
}

}  // namespace simplon::agent
