// Where an agent keeps its state and its control socket, agreed between simplon-agent and
// simplonctl.
//
// First match wins, flags before environment: --socket, --state-dir (its agent.sock),
// SIMPLON_SOCKET, SIMPLON_STATE_DIR (its agent.sock), then the defaults of root or of the user.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace simplon::base {

inline constexpr char kSocketName[] = "agent.sock";
inline constexpr char kSystemSocket[] = "/run/simplon/agent.sock";
inline constexpr char kSystemStateDir[] = "/var/lib/simplon";

/// What the places depend on.
struct PathSources {
  std::string socket_flag;     ///< --socket; empty: not given
  std::string state_dir_flag;  ///< --state-dir; empty: not given
  bool root = false;
  std::function<std::optional<std::string>(const char*)> environment;

  /// This process's user and environment.
  static PathSources of_process(std::string socket_flag = {}, std::string state_dir_flag = {});
};

struct AgentPaths {
  std::string state_dir;
  std::string socket;
};

/// Where an agent with these sources lives. All paths are absolute.
AgentPaths agent_paths(const PathSources& from);

/// The sockets that a client tries, in order: one where it was told which, else the user's own
/// agent, then the system's.
std::vector<std::string> control_sockets(const PathSources& from);

}  // namespace simplon::base
