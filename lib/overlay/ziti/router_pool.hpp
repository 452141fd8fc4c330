// The channels of one loop to edge routers, for dials: the router that answers fastest of those
// that a service's session names, and for many circuits a second channel to it.
//
// Ownership: shared, because coroutines of its loop keep it; stop() lets go of everything. Threads:
// its loop, but for construction and, after stop(), destruction.
// Cancellation: stop() ends waiting dials with link_lost; streams that are open live on, each in
// its channel.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "overlay/ziti/channel_care.hpp"
#include "overlay/ziti/router_choice.hpp"

namespace simplon::overlay::ziti {

/// Of one loop to one router. A stalled reader on one does not hold up what is on the other.
inline constexpr std::size_t kChannelsPerRouter = 2;
/// The second is made when the first carries so many circuits.
inline constexpr std::size_t kCrowded = 16;
/// A router that could not be reached is not tried again at once.
inline constexpr std::chrono::milliseconds kUnreachableFor{200};
/// Nor is one that has refused our login twice: for so long, twice as long each time, at most ...
inline constexpr std::chrono::seconds kRefusedFor{1};
inline constexpr std::chrono::seconds kLongestRefusal{60};

class RouterPool final : public std::enable_shared_from_this<RouterPool> {
 public:
  using Made = std::expected<std::shared_ptr<Channel>, EdgeError>;

  RouterPool(net::Loop& loop, std::shared_ptr<const ChannelMaker> maker)
      : loop_(loop), maker_(std::move(maker)) {}

  /// A channel to one of these; if there is none yet, to all, and the first that is ready wins.
  static net::awaitable<Made> channel(std::shared_ptr<RouterPool> self, std::vector<Router> routers,
                                      net::TimePoint deadline);

  /// Whether a router or the network ended a channel since the last call.
  bool take_loss() { return std::exchange(loss_, false); }

  /// Of the login that channels are made with.
  std::uint64_t epoch() const { return login_.epoch; }
  /// From now on, if it is later than what is known.
  void adopt(const RouterLogin& login);
  void stop();

 private:
  struct Line {
    std::shared_ptr<Channel> channel;
    std::unique_ptr<ChannelGauge> gauge;
  };
  struct Reach {
    Router router;
    std::vector<Line> lines;
    bool connecting = false;
    EdgeError failure;
    unsigned refusals = 0;  // of our login, one after another
    net::TimePoint unreachable_until{};
  };
  using ReachPtr = std::shared_ptr<Reach>;

  std::shared_ptr<Channel> pick(const std::vector<Router>& routers);
  ReachPtr reach(const Router& router);
  void connect(const ReachPtr& reach);
  static net::awaitable<void> connect_to(std::shared_ptr<RouterPool> self, ReachPtr reach,
                                         RouterLogin login);
  void rest(Reach& reach);
  void take(const ReachPtr& reach, std::shared_ptr<Channel> channel, const RouterLogin& login);
  void lost(Reach& reach, const Channel* channel, const EdgeError& error, const std::string& token);
  void let_go();
  void wake();

  net::Loop& loop_;
  const std::shared_ptr<const ChannelMaker> maker_;
  RouterLogin login_;
  std::map<std::string, ReachPtr> reaches_;
  std::vector<std::weak_ptr<net::Gate>> waiting_;
  bool loss_ = false;
  bool stopped_ = false;
};

}  // namespace simplon::overlay::ziti
