// Makes the registry's tunnels real: binds ports, registers services, moves bytes, and says how
// each one is doing.
//
// Owned by the agent's composition. Threads: the control loop; the work happens on `loops`.
// End: drain_all(), then, in its answer or later, destroyed while the loops still run; or destroyed
// at any time when they do not run. Networks are removed (or the supervisor is destroyed) first.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "overlay/network.hpp"
#include "tunnel/registry.hpp"
#include "tunnel/runner.hpp"
#include "tunnel/settings.hpp"
#include "tunnel/status.hpp"

namespace simplon::tunnel {

/// What a connection that was cut gets to leave before drain_all() answers without it: it may be
/// inside a connect of its own.
inline constexpr std::chrono::seconds kCutTime{2};

class Supervisor final : public Actor {
 public:
  /// `loops`: at least one; `control` may be among them.
  Supervisor(net::Loop& control, std::vector<net::Loop*> loops, Settings settings = {});
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Tunnels of that overlay start to work, whether they came before or come later. Takes the
  /// network's on_change for itself.
  void add_overlay(const std::string& name, overlay::Network& network);
  /// Tunnels of that overlay fail until it is added again. `done`: the network may be destroyed
  /// (and one of that name added); at most Settings::open later.
  void remove_overlay(const std::string& name, std::move_only_function<void()> done);
  /// Until the end of it, creates that name this overlay, or would get it, are UNAVAILABLE: the
  /// tunnels of an overlay that is left must not come out in the network that replaces it.
  void begin_leaving(const std::string& name) { left_.insert(name); }
  void end_leaving(const std::string& name) { left_.erase(name); }

  absl::Status prepare(Tunnel& tunnel) override;
  void abandon(const Tunnel& tunnel) override;
  void start(TunnelPtr tunnel) override;
  void stop(const Tunnel& tunnel, std::chrono::seconds drain,
            std::move_only_function<void()> released) override;

  /// Nothing for a name that does not run here.
  std::optional<Status> status(std::string_view name) const;
  /// Tries the tunnel's path (tunnel_check.hpp). NOT_FOUND: it does not run here.
  absl::Status check(std::string_view name, CheckOptions options, overlay::CheckReport report,
                     std::move_only_function<void()> done);
  /// Calls `changed` with a tunnel's name, later, when its status (counters apart) may have
  /// changed.
  void on_change(std::function<void(const std::string& name)> changed);

  /// For the agent's end: all tunnels stop taking connections; `done` when the last one ended, or
  /// after `limit` and the cut. Creates are refused from now on.
  void drain_all(std::chrono::milliseconds limit, std::move_only_function<void()> done);

 private:
  // A tunnel that was stopped and still has connections.
  struct Leaving {
    Leaving(std::unique_ptr<Runner> stopped, net::Loop& loop)
        : runner(std::move(stopped)), cut(loop) {}
    std::unique_ptr<Runner> runner;
    net::Timer cut;
  };

  const std::shared_ptr<OverlayLink>& link(const std::string& name);
  absl::Status choose_overlay(Tunnel& tunnel) const;
  /// The chosen overlay's own rule for names.
  absl::Status check_service(const Tunnel& tunnel) const;
  /// Whether the chosen overlay knows of several hosts of a service.
  absl::Status check_rank(const Tunnel& tunnel) const;
  absl::Status bind(Tunnel& tunnel);
  void overlay_changed(const std::string& name);
  void changed(const std::string& name);
  void reap();
  void finish_drain();

  Surroundings around_;
  std::map<std::string, std::shared_ptr<OverlayLink>, std::less<>> links_;
  std::map<std::string, std::unique_ptr<net::Acceptor>, std::less<>> prepared_;  // by uid
  std::map<std::string, std::unique_ptr<Runner>, std::less<>> runners_;          // by name
  std::list<Leaving> leaving_;
  std::function<void(const std::string&)> on_change_;
  std::set<std::string> changed_;
  std::set<std::string, std::less<>> left_;  // overlays that are being left
  bool draining_ = false;
  std::move_only_function<void()> drained_;
  net::Timer cut_all_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace simplon::tunnel
