// What loops ask of the controller: the session that lets them dial or host a service, with the
// login to show to routers. What they tell it: which of those a router refused.
//
// Ownership: shared; it does not keep the controller, and answers link_lost without it. Threads:
// what takes a loop, and the refusals, from any; the rest on the control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "overlay/ziti/ask_control.hpp"
#include "overlay/ziti/controller.hpp"

namespace simplon::overlay::ziti {

/// What channels show to routers.
struct RouterLogin {
  std::string token;
  bool oidc = false;
  std::string name;          ///< of our identity
  std::uint64_t number = 0;  ///< of its token: later ones are higher; 0: none yet
  std::uint64_t epoch = 0;  ///< channels of an earlier one are dead; within one, tokens are renewed
};

/// The right to dial or host a service.
struct Ticket {
  Service service;
  ServiceSession session;
  RouterLogin login;
};

class ControlDesk final : public std::enable_shared_from_this<ControlDesk> {
 public:
  using Answer = std::expected<Ticket, base::Failure>;

  ControlDesk(net::Loop& control, std::weak_ptr<Controller> controller)
      : control_(control), controller_(std::move(controller)) {}

  /// no_such_service, not_permitted where the network does not let us do that to the service,
  /// not_hosted, timed_out, link_lost. `fresh`: its routers are asked for again.
  static net::awaitable<Answer> find(std::shared_ptr<ControlDesk> self, std::string service,
                                     SessionType type, bool fresh, net::TimePoint deadline);
  /// The login of now, if there is one. Must be called with each token, in order.
  const RouterLogin& login();

  /// find() for another loop.
  static net::awaitable<Answer> ticket(std::shared_ptr<ControlDesk> self, net::Loop& loop,
                                       std::string service, SessionType type, bool fresh,
                                       net::TimePoint deadline);
  /// From any loop: routers refuse this session's, or this login's token.
  void session_refused(const Ticket& ticket, SessionType type);
  void login_refused(const std::string& token);

  const ControlLoop& control() const { return control_; }

 private:
  static net::awaitable<Answer> find_once(std::shared_ptr<ControlDesk> self, std::string service,
                                          SessionType type, bool fresh, net::TimePoint deadline);
  void doubt_login(const std::string& token);

  const ControlLoop control_;
  const std::weak_ptr<Controller> controller_;
  RouterLogin login_;
  std::chrono::system_clock::time_point since_;  // of login_
  std::string doubted_;                          // the token that a router refused once
};

}  // namespace simplon::overlay::ziti
