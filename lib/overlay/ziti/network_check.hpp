// Tries everything between this host and an OpenZiti network: the identity, the controllers, the
// login, the services, each edge router, and the places of what is hosted here.
//
// Threads: the control loop. The controller may go while it runs: then the check says so and ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/async.hpp"
#include "net/tls.hpp"
#include "overlay/check.hpp"
#include "overlay/ziti/controller.hpp"
#include "overlay/ziti/identity_file.hpp"

namespace simplon::overlay::ziti {

/// A service that is hosted here.
struct HostedService {
  std::string name;
  std::size_t terminators = 0;
  LinkStatus status;
};

struct CheckSubject {
  net::Loop* loop = nullptr;
  IdentityFile identity;
  std::weak_ptr<Controller> controller;
  std::string client_name;  ///< as channels say it
  std::function<std::vector<HostedService>()> hosted;
};

net::awaitable<void> check_network(CheckSubject subject, CheckReport report);

/// How far the other clock is ahead of `now` (negative: behind), by an HTTP Date; whole seconds.
/// Nothing: it does not say.
std::optional<std::chrono::seconds> clock_difference(std::string_view date,
                                                     std::chrono::system_clock::time_point now);

}  // namespace simplon::overlay::ziti
