#include "agent/overlay_message.hpp"

#include <chrono>

#include "agent/tunnel_message.hpp"

namespace simplon::agent {
namespace {

constexpr std::size_t kMaxDescription = 128;

v1::LinkState state_of(overlay::LinkState state) {
  switch (state) {
    case overlay::LinkState::connecting:
      return v1::LINK_STATE_CONNECTING;
    case overlay::LinkState::up:
      return v1::LINK_STATE_UP;
    case overlay::LinkState::down:
      return v1::LINK_STATE_DOWN;
  }
  return v1::LINK_STATE_UNSPECIFIED;
}

void write(const overlay::ziti::ZitiDetails& from, v1::ZitiLink& to) {
  to.set_terminators(static_cast<std::uint32_t>(from.terminators));
  to.set_circuits(static_cast<std::uint32_t>(from.circuits));
  for (const auto& router : from.routers) {
    auto& out = *to.add_routers();
    out.set_name(router.name);
    out.set_address(router.address);
    out.set_up(router.up);
    if (router.latency) {
      const auto latency = std::chrono::ceil<std::chrono::microseconds>(*router.latency);
      out.set_latency_microseconds(static_cast<std::uint64_t>(latency.count()));
    }
    out.set_channels(static_cast<std::uint32_t>(router.channels));
    out.set_circuits(static_cast<std::uint32_t>(router.circuits));
    out.set_last_error(router.last_error);
  }
  if (from.controller.empty()) {
    return;
  }
  to.set_controller(from.controller);
  to.set_controller_version(from.controller_version);
  to.set_session(from.oidc ? "oidc" : "legacy");
  write_time(from.since, *to.mutable_session_since());
  write_time(from.expires, *to.mutable_session_expire_time());
}

}  // namespace

absl::StatusOr<Source> from_message(const v1::AddOverlayRequest& request) {
  switch (request.source_case()) {
    case v1::AddOverlayRequest::kIdentityJson: {
      auto membership = overlay::parse_membership(request.identity_json(), {});
      if (!membership.ok()) {
        return absl::InvalidArgumentError("identity_json: " +
                                          std::string(membership.status().message()));
      }
      return Source(std::move(*membership));
    }
    case v1::AddOverlayRequest::kEnrollment:
      return Source(ZitiEnrollment{.jwt = request.enrollment().jwt(),
                                   .private_key = request.enrollment().private_key(),
                                   .certificate = request.enrollment().certificate()});
    case v1::AddOverlayRequest::kZrok: {
      auto account = overlay::zrok::check_account(
          {.endpoint = request.zrok().endpoint(), .token = request.zrok().account_token()});
      if (!account.ok()) {
        return absl::InvalidArgumentError("zrok: " + std::string(account.status().message()));
      }
      if (request.zrok().description().size() > kMaxDescription) {
        return absl::InvalidArgumentError("zrok.description: is longer than 128 bytes");
      }
      return Source(
          ZrokAccount{.account = std::move(*account), .description = request.zrok().description()});
    }
    case v1::AddOverlayRequest::SOURCE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "source: is missing: an identity, an enrollment or a zrok account");
}

v1::Overlay to_message(const OverlayInfo& info) {
  v1::Overlay out;
  out.set_name(info.name);
  out.set_kind(info.kind);
  out.set_identity(info.identity);
  out.set_hub(info.hub);
  out.set_state(state_of(info.link.state));
  if (info.link.since.time_since_epoch().count() > 0) {
    write_time(info.link.since, *out.mutable_since());
  }
  out.set_last_error(info.link.last_error);
  out.mutable_addresses()->Assign(info.addresses.begin(), info.addresses.end());
  if (info.ziti) {
    write(*info.ziti, *out.mutable_ziti());
  }
  return out;
}

}  // namespace simplon::agent
