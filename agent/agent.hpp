// The agent: puts store, registry, supervisor, overlays and hub together.
//
// Owned by the process. Threads: the control loop only, its construction and destruction, too.
// End: drain(), then destroy it while its loops still run.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/options.hpp"
#include "agent/overlays.hpp"
#include "agent/state_dir.hpp"
#include "tunnel/registry.hpp"
#include "tunnel/store.hpp"
#include "tunnel/supervisor.hpp"

namespace simplon::agent {

/// How long the hub's word that it goes away gets to leave for its members.
inline constexpr std::chrono::milliseconds kFarewell{100};

class Agent {
 public:
  /// Everything that is stored runs when this returns. An error is one sentence for a person.
  static absl::StatusOr<std::unique_ptr<Agent>> open(net::Loop& control,
                                                     std::vector<net::Loop*> loops,
                                                     const Options& options, const StateDir& state);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  const Options& options() const { return options_; }
  std::chrono::system_clock::time_point started() const { return started_; }
  bool draining() const { return draining_; }
  tunnel::Registry& registry() { return *registry_; }
  tunnel::Supervisor& supervisor() { return *supervisor_; }
  Overlays& overlays() { return *overlays_; }

  /// Takes no more connections and calls `done` when the last one ended, at most (a little more
  /// than) `limit` later. Calling it again with less hurries it; the last caller's `done` counts.
  void drain(std::chrono::milliseconds limit, std::move_only_function<void()> done);

 private:
  Agent(net::Loop& control, const Options& options)
      : control_(control), options_(options), farewell_(control) {}
  void say_farewell();

  net::Loop& control_;
  Options options_;
  std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  bool draining_ = false;
  std::move_only_function<void()> drained_;
  net::Timer farewell_;
  std::unique_ptr<tunnel::Store> store_;
  std::unique_ptr<tunnel::Supervisor> supervisor_;
  std::unique_ptr<tunnel::Registry> registry_;
  std::unique_ptr<Overlays> overlays_;
};

}  // namespace simplon::agent
