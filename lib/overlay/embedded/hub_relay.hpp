// The relay: two members that cannot reach each other meet at the hub, which splices their
// connections and sees ciphertext only (PROTOCOL.md, "Relay").
//
// Ownership: the hub. Threads: the control loop; a pair that has met lives on one of the loops
// given. Destroying the relay resets all pairs.
// Bounded: tickets that wait, in total and of one member; pairs, in total and of one member.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/loop.hpp"
#include "net/socket.hpp"

namespace simplon::overlay {

inline constexpr std::size_t kTicketBytes = 16;
inline constexpr std::string_view kRelayGreeting = "SIMPLON-RELAY/1";
/// From the tickets' issue until both ends have shown theirs.
inline constexpr std::chrono::seconds kTicketLifetime{5};

/// Pairs whose tickets wait.
inline constexpr std::size_t kMaxWaitingPairs = 1024;
inline constexpr std::size_t kMaxWaitingPairsOfMember = 64;
/// Pairs that have met. Two descriptors each.
inline constexpr std::uint32_t kMaxRelays = 4096;
inline constexpr std::uint32_t kMaxRelaysOfMember = 1024;
/// Sessions ping every 15 s; a pair that is silent for so long has lost both.
inline constexpr std::chrono::seconds kRelayIdle{120};

class HubRelay {
 public:
  struct Tickets {
    std::string dialer;
    std::string host;
  };

  HubRelay(net::Loop& control, const std::vector<net::Loop*>& loops);
  ~HubRelay();
  HubRelay(const HubRelay&) = delete;
  HubRelay& operator=(const HubRelay&) = delete;

  /// Tickets for a pair that `member` (its SPKI hash) asked for. limit_exceeded.
  base::Result<Tickets> issue(const std::string& member);
  /// A connection showed this ticket. False: there is none; the socket is closed.
  bool arrive(std::string_view ticket, net::Fd socket);

  /// Resets all pairs and forgets all tickets; nothing begins any more. Idempotent.
  void stop();

  std::size_t waiting() const { return waiting_; }
  std::uint32_t pairs() const;
  std::uint64_t bytes() const;
  /// Both directions, of the pairs that the member asked for.
  std::uint64_t bytes_of(const std::string& member) const;

 private:
  class Pairs;
  struct Traffic;
  struct Waiting;

  void forget(const std::shared_ptr<Waiting>& pair);
  void begin(const std::shared_ptr<Waiting>& pair);
  std::shared_ptr<Traffic> traffic_of(const std::string& member);

  net::Loop& control_;
  std::vector<std::shared_ptr<Pairs>> loops_;
  std::size_t next_loop_ = 0;
  std::map<std::string, std::shared_ptr<Waiting>, std::less<>> tickets_;
  std::size_t waiting_ = 0;
  std::map<std::string, std::shared_ptr<Traffic>> traffic_;  // one a member
  std::shared_ptr<Traffic> total_;
};

}  // namespace simplon::overlay
