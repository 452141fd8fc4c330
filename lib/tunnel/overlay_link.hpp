// An overlay as the tunnels see it: a name, behind which a network may be missing, come and go.
//
// Owned by the supervisor and everything that uses the overlay, shared.
// Threads: dial() on any loop that it was made with; everything else on the control loop.
// End: detach() answers when no dial or listen of ours is inside the network any more, so that the
// network can be destroyed; those under way end at their own deadlines.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "overlay/network.hpp"

namespace simplon::tunnel {

class OverlayLink : public std::enable_shared_from_this<OverlayLink> {
 public:
  OverlayLink(std::string name, net::Loop& control, const std::vector<net::Loop*>& loops);

  const std::string& name() const { return name_; }

  void attach(overlay::Network& network);
  /// Nothing to do if no network is attached.
  void detach(std::move_only_function<void()> done);
  /// Null when there is none.
  overlay::Network* network() const { return network_; }
  /// Of the network; `down` when there is none.
  overlay::LinkStatus status() const;

  /// As Network::dial. Without a network: link_lost at this agent.
  net::awaitable<std::expected<overlay::Dialed, base::Failure>> dial(net::Loop& loop,
                                                                     overlay::DialOptions options);
  /// As Network::listen.
  net::awaitable<std::expected<std::unique_ptr<overlay::Listener>, base::Failure>> listen(
      overlay::ListenOptions options,
      std::function<void(std::unique_ptr<overlay::Inbound>)> handler);

 private:
  // The network as one loop knows it. The loop's own.
  struct Slot {
    explicit Slot(net::Loop& on) : loop(on) {}
    net::Loop& loop;
    overlay::Network* network = nullptr;
    std::size_t in_flight = 0;
    std::vector<std::move_only_function<void()>> waiting;  // for in_flight to become 0
  };
  class InFlight;

  Slot* slot(const net::Loop& loop) const;

  std::string name_;
  net::Loop::Poster control_;
  overlay::Network* network_ = nullptr;
  std::chrono::system_clock::time_point absent_since_ = std::chrono::system_clock::now();
  std::vector<std::unique_ptr<Slot>> slots_;
  Slot listens_;
};

}  // namespace simplon::tunnel
