// An OpenZiti network as a Network: one login at its controller, and on each loop channels to the
// edge routers that its services' sessions name.
//
// Ownership: the agent's composition or a test tool; dropping it withdraws all services and fails
// dials under way (link_lost); streams that are open live on, each in its channel. Threads:
// created, used and destroyed on the control loop; dial() and inbound streams as network.hpp says;
// the loops outlive it. A dial returns once the host has answered; neither it nor listen() needs
// the object once it has been called. Several processes may hold one identity at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "overlay/check.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/network.hpp"
#include "overlay/ziti/identity_file.hpp"

namespace simplon::overlay::ziti {

struct ZitiOptions {
  IdentityFile identity;
  std::vector<net::Loop*> loops;  ///< of channels and streams; not empty; may be the control loop
  std::shared_ptr<MemoryBudget> budget = nullptr;  ///< of unread bytes; null: its own
  /// Tests: the controller's first pause after a failure, and how often it is asked for news.
  std::chrono::milliseconds first_retry{200};
  std::chrono::milliseconds poll_interval{15'000};
};

/// What a person asks of a network, a few seconds old at most.
struct ZitiDetails {
  std::string controller;  ///< url; empty: not logged in
  std::string controller_version;
  bool oidc = false;
  std::chrono::system_clock::time_point since;
  std::chrono::system_clock::time_point expires;
  struct RouterInfo {
    std::string name;
    std::string address;
    bool up = false;
    std::optional<std::chrono::nanoseconds> latency;  ///< of the last probe, the best channel's
    std::size_t channels = 0;
    std::size_t circuits = 0;
    std::string last_error;
  };
  std::vector<RouterInfo> routers;  ///< that were needed so far, by name
  std::size_t terminators = 0;      ///< places where our services are offered
  std::size_t circuits = 0;
};

class ZitiNetwork : public Network {
 public:
  /// On the control loop.
  virtual ZitiDetails details() const = 0;
  /// Starts checks (check_network) on the control loop; may outlive the network.
  virtual std::function<net::awaitable<void>(CheckReport)> checks() const = 0;
  bool allows_service(std::string_view name) const override { return valid_service_text(name); }
  bool ranks_hosts() const override { return true; }
};

/// Logs in in the background, for ever, with backoff. INVALID_ARGUMENT: the identity does not work.
absl::StatusOr<std::unique_ptr<ZitiNetwork>> make_ziti_network(net::Loop& control,
                                                               ZitiOptions options);

}  // namespace simplon::overlay::ziti
