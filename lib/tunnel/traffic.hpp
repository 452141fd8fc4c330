// The connections of one tunnel: one Lane for each loop, and what they count together.
//
// Owned by the tunnel's runner and its connections, shared. Threads: a Lane belongs to its loop,
// except for its loop(); everything else of Traffic may be used on any of the loops.
// End: Traffic::close() (control loop) shuts every lane on its own loop; then the connections that
// are still running keep it alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/engine.hpp"
#include "net/acceptor.hpp"
#include "net/splice.hpp"
#include "tunnel/client_places.hpp"
#include "tunnel/idle_pool.hpp"
#include "tunnel/status.hpp"

namespace simplon::tunnel {

/// Clients of a full tunnel that are told so at the same time; more are just closed.
inline constexpr int kMaxTurnedAway = 64;

/// The status under which a connection too many is counted, also where it was not told.
inline constexpr int kTooMany = 503;

/// A tunnel's part on one loop.
struct Lane {
  explicit Lane(net::Loop& on) : loop(on), idle(on) {}

  net::Loop& loop;
  const std::shared_ptr<http::Drain> drain = std::make_shared<http::Drain>();
  std::unique_ptr<net::Acceptor> acceptor;
  IdlePool idle;                      ///< connections to a share's target
  std::list<net::StreamPtr> running;  ///< the client sides
};

/// What Traffic tells the control loop. Its functions are called there, while it lives.
struct TrafficEvents {
  /// How the last connection beyond this agent's own part went; empty: well.
  std::function<void(const std::string& error)> far_end;
  /// After close(): the last connection ended.
  std::function<void()> idle;
};

class Connection;

class Traffic : public std::enable_shared_from_this<Traffic> {
 public:
  /// Lanes on all `loops`, and on the control loop: memory networks deliver there.
  Traffic(net::Loop& control, const std::vector<net::Loop*>& loops,
          std::weak_ptr<TrafficEvents> events, std::uint64_t most);

  /// The lane of a loop, or null.
  Lane* lane(const net::Loop& loop) const;
  const std::vector<std::unique_ptr<Lane>>& lanes() const { return lanes_; }

  Counters counters() const;
  /// The place of one more connection, or null: there are as many as there may be.
  std::unique_ptr<Connection> admit(Lane& lane, net::StreamPtr client, ClientPlace place = {});
  /// The same for a client that is only told that there is no place.
  std::unique_ptr<Connection> turn_away(Lane& lane, net::StreamPtr client);
  ClientPlaces& client_places() { return *client_places_; }
  void count_failure() { failures_.fetch_add(1, std::memory_order_relaxed); }
  void count_request(const http::Ends::Outcome& outcome);
  void count_refusal(int status);
  const std::shared_ptr<net::SpliceCounters>& spliced() const { return spliced_; }

  /// Passed on to TrafficEvents when it differs from the last one.
  void far_end(const std::string& error);

  /// Takes no more connections and asks those that run to finish; `closed` is called on the
  /// control loop when all lanes have done so.
  void close(std::function<void()> closed);
  /// Resets what still runs.
  void cut();

 private:
  friend class Connection;
  void ended(bool admitted);

  net::Loop::Poster control_;
  std::weak_ptr<TrafficEvents> events_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  const std::uint64_t most_;
  std::mutex far_end_mutex_;
  std::atomic<std::size_t> last_far_end_;
  std::atomic<bool> closing_{false};
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> open_{0};
  std::atomic<int> turned_away_{0};
  const std::shared_ptr<ClientPlaces> client_places_ = std::make_shared<ClientPlaces>();
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> bytes_in_{0};
  std::atomic<std::uint64_t> bytes_out_{0};
  mutable std::mutex refused_mutex_;  // rarely taken: for answers of our own
  std::map<int, std::uint64_t> refused_;
  std::shared_ptr<net::SpliceCounters> spliced_ = std::make_shared<net::SpliceCounters>();
};

/// One client connection's place in the tunnel, for as long as this object lives. On the lane's
/// loop.
class Connection {
 public:
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

 private:
  friend class Traffic;
  Connection(std::shared_ptr<Traffic> traffic, Lane& lane, net::StreamPtr client, bool admitted,
             ClientPlace place);

  const std::shared_ptr<Traffic> traffic_;
  Lane& lane_;
  const bool admitted_;
  const ClientPlace place_;
  std::list<net::StreamPtr>::iterator position_;
};

}  // namespace simplon::tunnel
