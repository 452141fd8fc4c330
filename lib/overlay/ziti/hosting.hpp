// A service that we host on OpenZiti: places at up to three routers, each kept bound as long as it
// is wanted.
//
// Ownership: its listener, and the network that tells it of logins. Threads: the control loop; each
// place works on a loop of its own (Seat) and reports here.
// Cancellation: withdraw() ends all places; streams that they brought live on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/ziti/channel_care.hpp"
#include "overlay/ziti/seat.hpp"

namespace simplon::overlay::ziti {

/// Places at so many routers: one may fail.
inline constexpr std::size_t kMaxSeats = 3;

class Hosting final : public std::enable_shared_from_this<Hosting> {
 public:
  using Handler = std::function<void(std::unique_ptr<Inbound>)>;
  struct Options {
    std::shared_ptr<const ChannelMaker> maker;
    std::vector<net::Loop*> loops;
    std::size_t first_loop = 0;  ///< where the round begins
    ListenOptions listen;
    Handler handler;
  };

  explicit Hosting(Options options);

  const std::string& name() const { return service_; }
  const LinkStatus& status() const { return status_; }
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  std::size_t established() const;

  /// Once.
  void start();
  void adopt(const RouterLogin& login);
  /// The network may give now what it refused before: what pauses tries again.
  void nudge();
  void set_health(bool passing);
  /// For good. No callback is called after it. Idempotent.
  void withdraw();

  /// A seat asks where to sit: a router that no other seat has.
  static net::awaitable<std::expected<Place, base::Failure>> place(std::weak_ptr<Hosting> weak,
                                                                   std::size_t seat, bool fresh,
                                                                   net::TimePoint deadline);
  /// A seat tells how it is.
  void report(std::size_t seat, const SeatReport& report);

 private:
  struct Taken {
    std::shared_ptr<Seat> seat;
    net::Loop* loop = nullptr;
    std::optional<Router> router;
    bool established = false;
    std::optional<base::Failure> failure;
  };

  void add_seat();
  void judge();
  void each(const std::function<std::move_only_function<void()>(std::shared_ptr<Seat>)>& work);

  const std::shared_ptr<const ChannelMaker> maker_;
  const std::vector<net::Loop*> loops_;
  std::size_t next_loop_;
  const std::string service_;
  const std::shared_ptr<const SeatOptions> seat_options_;
  std::vector<Taken> seats_;
  std::map<std::string, unsigned> failures_;  // in a row, by router
  LinkStatus status_;
  std::function<void()> changed_;
  bool healthy_ = true;
  bool withdrawn_ = false;
};

}  // namespace simplon::overlay::ziti
