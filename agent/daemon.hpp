// Everything that simplon-agent runs, from its options to the answering socket: state folder,
// loops, the agent, its gRPC server and the door before it.
//
// Owned and used by one thread that is none of the loops' (main's, or a test's).
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "agent/agent.hpp"
#include "agent/api_server.hpp"
#include "agent/calls.hpp"
#include "agent/control_socket.hpp"
#include "agent/options.hpp"
#include "agent/state_dir.hpp"
#include "net/loops.hpp"

namespace simplon::agent {

/// For calls that are under way when the agent ends.
inline constexpr std::chrono::seconds kCallPatience{1};

class Daemon {
 public:
  /// It is ready when this returns: the socket answers and what is stored runs. An error is one
  /// sentence for a person.
  static absl::StatusOr<std::unique_ptr<Daemon>> start(const Options& options);
  /// At once; drain() first to let connections finish.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// "simplon-agent NAME ready: socket …, hub …".
  std::string ready_line();

  /// No longer serving, as health says; connections may finish. The future is ready when the last
  /// one has, a little after `limit` at the latest. Again, with less: sooner; the earlier future is
  /// of no use then.
  std::future<void> drain(std::chrono::milliseconds limit);

 private:
  Daemon(const Options& options, StateDir state);
  absl::Status open();

  const Options options_;
  const StateDir state_;
  // Destroyed last to first: the server ends before the loops, those of the data path first.
  net::Loops control_thread_{1};
  net::Loops data_threads_;
  net::Loop& control_ = control_thread_[0];
  std::unique_ptr<ControlSocket> socket_;
  std::unique_ptr<Agent> agent_;
  std::shared_ptr<AgentReference> reference_;
  std::optional<ApiServer> server_;
};

}  // namespace simplon::agent
