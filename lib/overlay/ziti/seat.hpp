// One place of a service that we host: a channel of its own to one router, and the binding there,
// made again whenever it is lost.
//
// Ownership: shared by its hosting and its coroutine. Threads: its loop, but for construction.
// Cancellation: stop() withdraws the binding; the channel lives on with the streams that it
// brought.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "overlay/ziti/channel_care.hpp"

namespace simplon::overlay::ziti {

class Hosting;

/// Where to sit, and with what.
struct Place {
  Ticket ticket;
  Router router;
};

/// What all seats of a service have in common. Immutable, any thread.
struct SeatOptions {
  std::shared_ptr<const ChannelMaker> maker;
  std::string service;
  std::string listener_id;  ///< of this service here: a binding with it replaces an older one
  DialHandler handler;
  Rank rank{};
};

struct SeatReport {
  bool established = false;
  std::optional<base::Failure> failure;
  bool quiet = false;  ///< nothing to do for this seat: no failure
};

/// A binding that the controller does not confirm is given up.
inline constexpr std::chrono::seconds kEstablishDeadline{60};
/// The longest pause before a lost place is taken again.
inline constexpr std::chrono::seconds kLongestPause{32};

class Seat final : public std::enable_shared_from_this<Seat> {
 public:
  Seat(net::Loop& loop, std::shared_ptr<const SeatOptions> options, std::weak_ptr<Hosting> hosting,
       std::size_t number);

  void start();
  void adopt(const RouterLogin& login);
  void set_health(bool passing);
  /// What it waits for may have come.
  void wake();
  void stop(std::shared_ptr<const void> logged_in);

 private:
  struct Ended {
    EdgeError error;
    bool established = false;  ///< it worked for a while
    bool at_once = false;      ///< nothing went wrong: sit down again
  };

  static net::awaitable<void> run(std::shared_ptr<Seat> self);
  static net::awaitable<Ended> sit(std::shared_ptr<Seat> self, Place place);
  net::awaitable<void> change(net::TimePoint until);
  void tell(SeatReport report);
  void told(const Ended& ended, const Place& place);
  bool over(const Binding& binding) const;
  Rank rank() const;
  net::Duration pause(unsigned failures);

  net::Loop& loop_;
  const std::shared_ptr<const SeatOptions> options_;
  const std::weak_ptr<Hosting> hosting_;
  const std::size_t number_;
  RouterLogin login_;        // the latest
  std::uint64_t epoch_ = 0;  // of the channel's login
  std::shared_ptr<Channel> channel_;
  std::shared_ptr<Binding> binding_;
  std::shared_ptr<net::Gate> gate_;
  bool changed_ = false;
  bool healthy_ = true;
  bool stopped_ = false;
  std::shared_ptr<const void> logged_in_;  // until what it has is put down
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace simplon::overlay::ziti
