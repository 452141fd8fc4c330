// The sessions of one loop with other members, and the knowledge of which of them host which
// service. A stream is opened without asking anybody once both are there.
//
// Ownership: shared, because coroutines of its loop keep it; stop() resets everything. Threads: its
// loop, but for construction. The directory is asked on the control loop by way of `Directory`.
// Cancellation: stop() ends waiting dials with link_lost.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "overlay/embedded/relayed.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {

/// A session without streams is closed after so long by the side that opened it.
inline constexpr std::chrono::minutes kIdleSession{5};
/// Services whose hosts are remembered, for each loop.
inline constexpr std::size_t kMaxKnownServices = 4096;

/// One process that hosts a service.
struct Host {
  std::string member;
  std::string instance;  ///< 16 bytes
  std::string spki;      ///< 32 bytes; one of the claim's owners'
};

/// An invitation to meet at the hub.
struct Meeting {
  net::Endpoint hub;
  std::string ticket;
};

/// The hub, as seen from a loop: each call suspends on that loop.
class Directory {
 public:
  virtual ~Directory() = default;
  /// Never empty. no_such_service, not_hosted, link_lost, timed_out.
  virtual net::awaitable<std::expected<std::vector<Host>, base::Failure>> resolve(
      net::Loop& loop, std::string service, net::TimePoint deadline) = 0;
  virtual net::awaitable<std::expected<Meeting, base::Failure>> connect(
      net::Loop& loop, std::string instance, net::TimePoint deadline) = 0;
};

class PeerSessions final : public std::enable_shared_from_this<PeerSessions> {
 public:
  PeerSessions(net::Loop& loop, std::shared_ptr<const Member> member,
               std::shared_ptr<Directory> directory);

  net::awaitable<std::expected<Dialed, Refusal>> dial(DialOptions options);

  /// Another member wants a session with us: meets it, serves it. `done` is called on this loop
  /// when the session has ended or did not come about.
  void meet_dialer(Meeting meeting, std::string spki, std::function<void()> done);

  void stop();

 private:
  struct Link {
    SessionPtr session;     // null: still being made, or
    base::Failure failure;  // why it did not come about
    std::vector<std::weak_ptr<net::Gate>> waiting;
  };
  using LinkPtr = std::shared_ptr<Link>;

  static net::awaitable<void> make(std::shared_ptr<PeerSessions> self, LinkPtr link, Host host);
  static net::awaitable<void> host(std::shared_ptr<PeerSessions> self, Meeting meeting,
                                   std::string spki, std::function<void()> done);
  static void wake(Link& link);
  net::awaitable<std::expected<SessionPtr, Refusal>> session_with(Host host,
                                                                  net::TimePoint deadline);
  std::expected<Dialed, Refusal> open(const SessionPtr& session, const DialOptions& options);
  const Host& choose(const std::vector<Host>& hosts) const;
  void forget(const std::string& instance);
  void sweep();

  net::Loop& loop_;
  const std::shared_ptr<const Member> member_;
  std::shared_ptr<Directory> directory_;
  std::map<std::string, LinkPtr> links_;            // by the host's instance
  std::map<const Session*, SessionPtr> inbound_;    // opened by others
  std::map<std::string, std::vector<Host>> known_;  // service → hosts
  net::Timer sweep_;
  bool stopped_ = false;
};

}  // namespace simplon::overlay
