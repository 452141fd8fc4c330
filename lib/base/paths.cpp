#include "base/paths.hpp"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include <unistd.h>

namespace simplon::base {
namespace {

using Path = std::filesystem::path;

std::string made_absolute(const Path& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

// An empty variable counts as unset (XDG Base Directory Specification).
std::optional<std::string> variable(const PathSources& from, const char* name) {
  auto value = from.environment(name);
  return value && !value->empty() ? value : std::nullopt;
}

Path user_state_dir(const PathSources& from) {
  if (const auto state = variable(from, "XDG_STATE_HOME")) {
    return Path(*state) / "simplon";
  }
  return Path(variable(from, "HOME").value_or("/")) / ".local" / "state" / "simplon";
}

std::optional<std::string> chosen_socket(const PathSources& from) {
  if (!from.socket_flag.empty()) {
    return made_absolute(from.socket_flag);
  }
  if (!from.state_dir_flag.empty()) {
    return made_absolute(Path(from.state_dir_flag) / kSocketName);
  }
  if (const auto socket = variable(from, "SIMPLON_SOCKET")) {
    return made_absolute(*socket);
  }
  if (const auto state = variable(from, "SIMPLON_STATE_DIR")) {
    return made_absolute(Path(*state) / kSocketName);
  }
  return std::nullopt;
}

std::string default_socket(const PathSources& from) {
  if (from.root) {
    return kSystemSocket;
  }
  if (const auto runtime = variable(from, "XDG_RUNTIME_DIR")) {
    return made_absolute(Path(*runtime) / "simplon" / kSocketName);
  }
  return made_absolute(user_state_dir(from) / kSocketName);
}

}  // namespace

PathSources PathSources::of_process(std::string socket_flag, std::string state_dir_flag) {
  PathSources out;
  out.socket_flag = std::move(socket_flag);
  out.state_dir_flag = std::move(state_dir_flag);
  out.root = ::geteuid() == 0;
  out.environment = [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  return out;
}

AgentPaths agent_paths(const PathSources& from) {
  AgentPaths out;
  if (!from.state_dir_flag.empty()) {
    out.state_dir = made_absolute(from.state_dir_flag);
  } else if (const auto state = variable(from, "SIMPLON_STATE_DIR")) {
    out.state_dir = made_absolute(*state);
  } else {
    out.state_dir = from.root ? std::string(kSystemStateDir) : made_absolute(user_state_dir(from));
  }
  out.socket = chosen_socket(from).value_or(default_socket(from));
  return out;
}

std::vector<std::string> control_sockets(const PathSources& from) {
  if (auto socket = chosen_socket(from)) {
    return {std::move(*socket)};
  }
  std::vector<std::string> out{default_socket(from)};
  if (out.front() != kSystemSocket) {
    out.emplace_back(kSystemSocket);
  }
  return out;
}

}  // namespace simplon::base
