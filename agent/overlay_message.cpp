#include "agent/overlay_message.hpp"

#include "agent/tunnel_message.hpp"

namespace simplon::agent {
namespace {

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

}  // namespace

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
  return out;
}

}  // namespace simplon::agent
