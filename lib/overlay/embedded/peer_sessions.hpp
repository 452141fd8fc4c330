// The sessions of one loop with other members, and the knowledge of which of them host which
// service. A stream is opened without asking anybody once both are there.
//
// Ownership: shared, because coroutines of its loop keep it; stop() lets go of everything. Threads:
// its loop, but for construction and, after stop(), destruction.
// Cancellation: stop() ends waiting dials with link_lost; streams that are open live on, each in
// its session.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "overlay/embedded/lookup.hpp"
#include "overlay/embedded/relayed.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {

/// A session without streams is closed after so long by the side that opened it, and a little later
/// by the other.
inline constexpr std::chrono::minutes kIdleSession{5};
/// Services whose hosts are remembered, for each loop.
inline constexpr std::size_t kMaxKnownServices = 4096;
/// The hosts of a service are asked for again in the background after so long.
inline constexpr std::chrono::seconds kKnownFor{30};
/// Streams of one session whose open has not come yet.
inline constexpr std::size_t kMaxOpening = 1024;

class PeerSessions final : public std::enable_shared_from_this<PeerSessions> {
 public:
  PeerSessions(net::Loop& loop, std::shared_ptr<const Member> member,
               std::shared_ptr<const Lookup> lookup);

  static net::awaitable<std::expected<Dialed, Refusal>> dial(std::shared_ptr<PeerSessions> self,
                                                             DialOptions options);

  /// Another member wants a session with us: meets it, serves it. `done` is destroyed on this loop
  /// when the session has ended or did not come about.
  void meet_dialer(Meeting meeting, std::string spki, std::shared_ptr<void> done);

  void stop();

 private:
  struct Link {
    SessionPtr session;     // null: still being made, or
    base::Failure failure;  // why it did not come about
    std::vector<std::weak_ptr<net::Gate>> waiting;
  };
  using LinkPtr = std::shared_ptr<Link>;
  struct Known {
    std::vector<Host> hosts;
    net::TimePoint fresh_until;
    bool asking = false;
  };
  struct Serving {
    SessionPtr session;
    std::shared_ptr<void> done;
  };
  using Hosts = std::expected<std::vector<Host>, base::Failure>;

  static net::awaitable<Hosts> hosts_of(std::shared_ptr<PeerSessions> self, std::string service,
                                        net::TimePoint deadline);
  static net::awaitable<void> ask_again(std::shared_ptr<PeerSessions> self, std::string service);
  static net::awaitable<std::expected<SessionPtr, base::Failure>> session_with(
      std::shared_ptr<PeerSessions> self, Host host, net::TimePoint deadline);
  static net::awaitable<void> make(std::shared_ptr<PeerSessions> self, LinkPtr link, Host host);
  static net::awaitable<void> host(std::shared_ptr<PeerSessions> self, Meeting meeting,
                                   std::string spki, std::shared_ptr<void> done);
  static net::awaitable<std::expected<net::StreamPtr, std::error_code>> open_stream(
      net::Loop& loop, SessionPtr session, net::TimePoint deadline);
  static void wake(Link& link);
  std::move_only_function<void(net::StreamPtr)> receiver(const Identity& from);
  SessionPtr usable(const Host& host) const;
  void choose_first(std::vector<Host>& hosts) const;
  void watch(const Dialed& dialed, const std::string& service);
  void forget(const std::string& key);
  void sweep();

  net::Loop& loop_;
  const std::shared_ptr<const Member> member_;
  const std::shared_ptr<const Lookup> lookup_;
  std::map<std::string, LinkPtr> links_;      // by the host's instance and key
  std::map<std::uint64_t, Serving> inbound_;  // opened by others
  std::uint64_t next_inbound_ = 0;
  std::map<std::string, Known> known_;  // by service
  net::Timer sweep_;
  bool stopped_ = false;
};

}  // namespace simplon::overlay
