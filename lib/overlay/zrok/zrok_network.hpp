// A zrok instance as a Network: services are its shares, on the OpenZiti network below it.
//
// listen() makes a share (or takes over one that an earlier run of this environment left: the same
// target) and hosts it; dial() makes an access to the share's token once. A share is given up some
// seconds after its listener, unless it is listened to again; one of a process that ends stays
// (process_ends(), or the end of this object), and is taken over by the next run. What nobody took
// over a minute after the start is released.
//
// Ownership, threads, end: as ZitiNetwork.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "overlay/ziti/ziti_network.hpp"
#include "overlay/zrok/zrok_client.hpp"

namespace simplon::overlay::zrok {

struct Options {
  Membership membership;
  std::vector<net::Loop*> loops;                   ///< as ZitiOptions
  std::shared_ptr<MemoryBudget> budget = nullptr;  ///< as ZitiOptions
  std::string trust_roots;                         ///< PEM, of the instance; empty: the system's
  /// Tests: how long a share outlives its listener, when leftovers are released, and the first
  /// pause after a failure.
  std::chrono::milliseconds linger{5'000};
  std::chrono::milliseconds sweep_after{60'000};
  std::chrono::milliseconds first_retry{200};
};

class ZrokNetwork : public Network {
 public:
  /// Of the OpenZiti network below. On the control loop.
  virtual ziti::ZitiDetails details() const = 0;
  /// As of ZitiNetwork; the instance comes first.
  virtual std::function<net::awaitable<void>(CheckReport)> checks() const = 0;
};

/// INVALID_ARGUMENT: the membership does not work.
absl::StatusOr<std::unique_ptr<ZrokNetwork>> make_zrok_network(net::Loop& control, Options options);
/// Over a network that is there already: for tests.
absl::StatusOr<std::unique_ptr<ZrokNetwork>> make_zrok_network(
    net::Loop& control, Options options, std::unique_ptr<ziti::ZitiNetwork> below);

}  // namespace simplon::overlay::zrok
