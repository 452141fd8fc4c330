// One member's session with the hub and its control channel (PROTOCOL.md, "Control channel").
//
// Ownership: HubCore::sessions, until the session ends. Threads: the control loop.
// A session that opens no control channel and says no Hello within kHelloDeadline is closed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/hub_core.hpp"
#include "overlay/embedded/session.hpp"

namespace simplon::link::v1 {
class HubMessage;
class MemberMessage;
}  // namespace simplon::link::v1

namespace simplon::overlay {

inline constexpr std::chrono::seconds kHelloDeadline{10};
inline constexpr std::size_t kMaxHubSessions = 4096;
inline constexpr std::size_t kMaxSessionsOfMember = 64;
/// Told of one service: the dialer tries some of them, not all.
inline constexpr std::size_t kMaxHostsTold = 32;

class HubSession final : public HubDirectory::Instance,
                         public std::enable_shared_from_this<HubSession> {
 public:
  /// False: over a limit; the transport is reset.
  static bool start(const std::shared_ptr<HubCore>& core, net::StreamPtr transport,
                    const HubStore::Member& who);

  HubSession(std::shared_ptr<HubCore> core, const HubStore::Member& who);

  /// Asks the member to go away in order.
  void go_away();
  void reset();
  bool offer(const std::string& ticket, const Instance& dialer) override;

 private:
  static net::awaitable<void> serve(std::shared_ptr<HubSession> self, net::StreamPtr stream);

  /// False: the member broke the protocol.
  bool handle(const link::v1::MemberMessage& message);
  bool hello(const link::v1::MemberMessage& message, link::v1::HubMessage* answer);
  void answer_register(const link::v1::MemberMessage& message, link::v1::HubMessage* answer);
  void answer_resolve(const link::v1::MemberMessage& message, link::v1::HubMessage* answer);
  void answer_connect(const link::v1::MemberMessage& message, link::v1::HubMessage* answer);
  void close_at(net::TimePoint when);
  void ended(std::error_code why);
  void leave();

  const std::shared_ptr<HubCore> core_;
  SessionPtr session_;
  std::optional<ControlWriter> writer_;
  bool online_ = false;
  net::Timer end_timer_;  // until Hello, and after the control channel
};

}  // namespace simplon::overlay
