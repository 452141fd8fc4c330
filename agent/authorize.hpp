// Who may do what. Every door of the agent makes a principal of its caller, and every method asks
// authorize() first. What the table does not allow is denied. Pure values; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace simplon::agent {

/// How a caller came in.
enum class Door { unix_socket };

/// Each includes those before it. Granted on this agent, for this agent.
enum class Role { none, viewer, operator_, admin };
std::string_view to_string(Role role) noexcept;

struct Principal {
  Door door = Door::unix_socket;
  Role role = Role::none;
};

/// What a method asks for, at one door.
struct Rule {
  std::string_view method;  ///< "simplon.v1.Agent/CreateTunnel"
  Door door = Door::unix_socket;
  Role least = Role::admin;
};

std::span<const Rule> rules();

/// PERMISSION_DENIED unless a rule of the principal's door allows the method to its role.
absl::Status authorize(const Principal& principal, std::string_view method);

}  // namespace simplon::agent
