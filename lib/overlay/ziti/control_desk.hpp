// What loops ask of the controller: the session that lets them dial or host a service, with the
// login to show to routers. What they tell it: which of those a router refused.
//
// Ownership: shared; it does not keep the controller, and answers link_lost without it. Threads:
// what takes a loop, and the refusals, from any; the rest on the control loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "overlay/ziti/ask_control.hpp"
#include "overlay/ziti/controller.hpp"
#include "overlay/ziti/controller_signal.hpp"

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
      : loop_(control), control_(control), controller_(std::move(controller)), settled_(control) {}

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
  /// From any loop: routers refuse this session's token.
  void session_refused(const Ticket& ticket, SessionType type);
  /// From any loop: a router refuses this login's token. The controller knows whether it is good;
  /// until it has said so, find() waits. If it is, the trouble is that router's, and is told once.
  void login_refused(const Router& router, const std::string& token);

  const ControlLoop& control() const { return control_; }

 private:
  static net::awaitable<Answer> find_once(std::shared_ptr<ControlDesk> self, std::string service,
                                          SessionType type, bool fresh, net::TimePoint deadline);
  void doubt_login(const Router& router, const std::string& token);
  static net::awaitable<void> ask_about_login(std::shared_ptr<ControlDesk> self, std::string token);
  void report_refusals();

  net::Loop& loop_;
  const ControlLoop control_;
  const std::weak_ptr<Controller> controller_;
  RouterLogin login_;
  std::chrono::system_clock::time_point since_;  // of login_

  // The login that routers refuse.
  struct Refusing {
    std::string name;
    int times = 0;
    bool told = false;
  };
  std::string doubted_;  // its token
  bool asking_ = false;
  Signal settled_;                            // the controller has said whether it is good
  net::TimePoint confirmed_until_{};          // that it is
  std::map<std::string, Refusing> refusing_;  // by router
};

}  // namespace simplon::overlay::ziti
