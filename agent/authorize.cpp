#include "agent/authorize.hpp"

#include <array>

namespace simplon::agent {
namespace {

using enum Door;

constexpr std::array kRules{
    Rule{"simplon.v1.Agent/GetTunnel", unix_socket, Role::viewer},
    Rule{"simplon.v1.Agent/ListTunnels", unix_socket, Role::viewer},
    Rule{"simplon.v1.Agent/GetAgent", unix_socket, Role::viewer},
    Rule{"simplon.v1.Agent/ListOverlays", unix_socket, Role::viewer},
    Rule{"simplon.v1.Agent/CheckTunnel", unix_socket, Role::operator_},
    Rule{"simplon.v1.Agent/CheckOverlay", unix_socket, Role::operator_},
    Rule{"simplon.v1.Agent/CreateTunnel", unix_socket, Role::operator_},
    Rule{"simplon.v1.Agent/DeleteTunnel", unix_socket, Role::operator_},
    Rule{"simplon.v1.Agent/SetLogLevel", unix_socket, Role::operator_},
    Rule{"simplon.v1.Agent/JoinOverlay", unix_socket, Role::admin},
    Rule{"simplon.v1.Agent/AddOverlay", unix_socket, Role::admin},
    Rule{"simplon.v1.Agent/RemoveOverlay", unix_socket, Role::admin},
    Rule{"simplon.v1.Hub/CreateInvitation", unix_socket, Role::admin},
    Rule{"simplon.v1.Hub/SignIdentity", unix_socket, Role::admin},
};

}  // namespace

std::string_view to_string(Role role) noexcept {
  switch (role) {
    case Role::none:
      return "none";
    case Role::viewer:
      return "viewer";
    case Role::operator_:
      return "operator";
    case Role::admin:
      return "admin";
  }
  return "unknown";
}

std::span<const Rule> rules() { return kRules; }

absl::Status authorize(const Principal& principal, std::string_view method) {
  for (const Rule& rule : kRules) {
    if (rule.method == method && rule.door == principal.door && principal.role != Role::none &&
        principal.role >= rule.least) {
      return absl::OkStatus();
    }
  }
  return absl::PermissionDeniedError("the role " + std::string(to_string(principal.role)) +
                                     " may not call " + std::string(method) + " here");
}

}  // namespace simplon::agent
