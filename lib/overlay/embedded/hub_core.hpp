// What the parts of a running hub share: its store, limits, directory, relay and sessions.
//
// Ownership: shared by the hub and by the coroutines that serve connections; stop() ends them all.
// Threads: the control loop.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/tls.hpp"
#include "overlay/embedded/hub_directory.hpp"
#include "overlay/embedded/hub_gate.hpp"
#include "overlay/embedded/hub_relay.hpp"
#include "overlay/embedded/hub_store.hpp"
#include "overlay/embedded/session_memory.hpp"

namespace simplon::overlay {

/// ALPN of sessions and of enrollment.
inline constexpr const char* kSessionProtocol = "simplon/1";
inline constexpr const char* kEnrollProtocol = "simplon-enroll/1";

/// From accept to the end of the TLS handshake; and of an enrollment, on top.
inline constexpr std::chrono::seconds kHandshakeDeadline{10};
inline constexpr std::size_t kMaxEnrollRequest = 16 * 1024;

/// Certificates live long: who is a member is looked up at every session.
inline constexpr std::chrono::years kMemberLifetime{10};

class HubSession;

struct HubCore {
  HubCore(net::Loop& control, std::unique_ptr<HubStore> opened,
          const std::vector<net::Loop*>& loops, std::shared_ptr<MemoryBudget> shared)
      : loop(control),
        store(std::move(opened)),
        budget(shared ? std::move(shared) : std::make_shared<MemoryBudget>()),
        relay(control, loops) {}

  /// Resets sessions; nothing new is served. Idempotent.
  void stop();
  /// A certificate for the request's key with these rights. INVALID_ARGUMENT.
  absl::StatusOr<std::string> issue(std::string_view request, const std::string& name,
                                    bool frontend, bool hub = false) const;

  net::Loop& loop;
  const std::unique_ptr<HubStore> store;
  const std::shared_ptr<HubGate> gate = std::make_shared<HubGate>();
  const std::shared_ptr<MemoryBudget> budget;
  HubRelay relay;
  HubDirectory directory;
  std::set<std::shared_ptr<HubSession>> sessions;
  std::shared_ptr<const net::TlsContext> tls;
  std::vector<std::string> addresses;  ///< what members are told
  bool stopped = false;
};

/// One connection to the hub's port, from its first byte on.
net::awaitable<void> serve_connection(std::shared_ptr<HubCore> core, net::Fd socket,
                                      std::string source, HubGate::Slot slot);

/// Counts a refused connection and logs it, once a source and interval.
void refuse(HubCore& core, const std::string& source, std::string_view why);

/// Answers one enrollment and closes the stream.
net::awaitable<void> serve_enrollment(std::shared_ptr<HubCore> core, net::StreamPtr stream,
                                      std::string source);

}  // namespace simplon::overlay
