// The dials of one loop: what it takes to reach a service, remembered, and what is tried again when
// it does not work.
//
// Ownership: shared, because coroutines of its loop keep it; stop() lets go of everything. Threads:
// its loop, but for construction and, after stop(), destruction.
// Cancellation: stop() ends waiting dials with link_lost; streams that are open live on.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "overlay/ziti/router_pool.hpp"

namespace simplon::overlay::ziti {

/// Services that are remembered, for each loop.
inline constexpr std::size_t kMaxKnownServices = 4096;
/// The routers of a service are asked for again in the background after so long.
inline constexpr std::chrono::seconds kKnownFor{60};

class Dialing final : public std::enable_shared_from_this<Dialing> {
 public:
  Dialing(net::Loop& loop, std::shared_ptr<const ChannelMaker> maker)
      : loop_(loop),
        desk_(maker->desk),
        pool_(std::make_shared<RouterPool>(loop, maker)),
        asked_(loop) {}

  static net::awaitable<std::expected<Dialed, Refusal>> dial(std::shared_ptr<Dialing> self,
                                                             DialOptions options);

  void adopt(const RouterLogin& login);
  /// What is known of services may not be true any more.
  void forget();
  void stop();

 private:
  struct Known {
    Ticket ticket;
    net::TimePoint fresh_until;
    bool asking = false;
  };

  /// With `patience`, what is known is asked for again, and used as it is if the controller takes
  /// longer to answer.
  static net::awaitable<ControlDesk::Answer> ticket(std::shared_ptr<Dialing> self,
                                                    std::string service, net::Duration patience,
                                                    net::TimePoint deadline);
  static net::awaitable<void> ask_again(std::shared_ptr<Dialing> self, std::string service);
  void refused(const Ticket& ticket);

  net::Loop& loop_;
  const std::shared_ptr<ControlDesk> desk_;
  const std::shared_ptr<RouterPool> pool_;
  std::map<std::string, Known> known_;  // by service
  Signal asked_;                        // ask_again() has an answer
  bool stopped_ = false;
};

}  // namespace simplon::overlay::ziti
