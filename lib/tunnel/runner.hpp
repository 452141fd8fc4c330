// A tunnel made real: what the supervisor keeps for each. Two kinds: ShareRunner and EntryRunner
// (access and frontend).
//
// Threads: the control loop. Owned by the supervisor.
// End: drain(), then, once finished(), destroyed; or destroyed when its loops run no more.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.hpp"
#include "net/tls.hpp"
#include "tunnel/overlay_link.hpp"
#include "tunnel/settings.hpp"
#include "tunnel/spec.hpp"
#include "tunnel/status.hpp"
#include "tunnel/traffic.hpp"
#include "tunnel/tunnel_check.hpp"

namespace simplon::tunnel {

/// What all runners of a supervisor share.
struct Surroundings {
  net::Loop& control;
  std::vector<net::Loop*> loops;
  Settings settings;
  std::shared_ptr<const net::TlsContext> target_tls;  ///< made for the first https target
};

class Runner {
 public:
  Runner(Surroundings& around, TunnelPtr tunnel, std::shared_ptr<OverlayLink> link);
  virtual ~Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  virtual void start() = 0;
  /// The overlay came, went, or its link changed.
  virtual void overlay_changed() = 0;

  /// Takes no more connections and asks those that run to finish; then `released` is called: port
  /// and service are free.
  void drain(std::move_only_function<void()> released);
  void cut() { traffic_->cut(); }
  /// Drained, and nothing runs any more.
  bool finished() const { return released_ && traffic_->counters().open_connections == 0; }

  Status status() const;
  /// What a check needs of this tunnel, status left out.
  virtual CheckSubject check_subject();
  const Tunnel& tunnel() const { return *tunnel_; }
  const OverlayLink& link() const { return *link_; }

  /// Something of status(), other than counters, changed. Not called from within a call to this
  /// object, except start() and overlay_changed().
  std::function<void()> on_change;
  std::function<void()> on_finished;

 protected:
  /// What makes a tunnel of this kind active, and the hops in the order of the path.
  struct Judgement {
    bool works = false;
    std::string failed;   ///< what must be changed before it can work; empty: nothing
    std::string message;  ///< what else is to be said
    std::vector<HopStatus> hops;
    std::vector<std::string> urls{};  ///< besides url_of()
    std::string known_as{};
  };
  virtual Judgement judge() const = 0;
  /// Stop listening on the control loop's side.
  virtual void stop_listening() = 0;
  virtual void far_end(const std::string& error) = 0;

  enum class Loudness : std::uint8_t { log, whisper };
  /// Derives the phase anew and tells of changes. `whisper`: what clients can bring about as often
  /// as they like goes into the log at level debug only.
  void update(Loudness loudness = Loudness::log);
  HopStatus link_hop() const;
  /// "overlay "x": …", or empty when the link is up.
  std::string link_problem() const;

  Surroundings& around_;
  const TunnelPtr tunnel_;
  const std::shared_ptr<OverlayLink> link_;
  const std::shared_ptr<TrafficEvents> events_ = std::make_shared<TrafficEvents>();
  const std::shared_ptr<Traffic> traffic_;
  /// For what comes back to the control loop later: expired, once the runner is gone.
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
  bool draining_ = false;

 private:
  Phase phase_of(const Judgement& judgement) const;
  std::string message_of(const Judgement& judgement) const;

  bool released_ = false;
  bool was_active_ = false;
  Phase phase_ = Phase::starting;
  std::string told_;  // the message that was logged last
};

/// "127.0.0.1:80: another program listens there; …": why binding failed and what to do.
std::string bind_problem(const std::string& listen, std::error_code error);

std::unique_ptr<Runner> make_share_runner(Surroundings& around, TunnelPtr tunnel,
                                          std::shared_ptr<OverlayLink> link);
/// `acceptor`: bound already, or null.
std::unique_ptr<Runner> make_entry_runner(Surroundings& around, TunnelPtr tunnel,
                                          std::shared_ptr<OverlayLink> link,
                                          std::unique_ptr<net::Acceptor> acceptor);

}  // namespace simplon::tunnel
