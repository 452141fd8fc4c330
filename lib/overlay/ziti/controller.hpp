// The controller of an OpenZiti network as one identity sees it: logged in, its services, and the
// sessions that let it dial and host them.
//
// Ownership: by the network's object; everything is for the control loop.
// Cancellation: destroying it ends its logins and polls; coroutines that still wait for it finish
// with link_lost. Callbacks are not called any more then.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/error.hpp"
#include "net/async.hpp"
#include "net/tls.hpp"
#include "overlay/network.hpp"
#include "overlay/ziti/identity_file.hpp"
#include "overlay/ziti/routers.hpp"

namespace simplon::overlay::ziti {

struct Service {
  std::string id;
  std::string name;
  bool may_dial = false;
  bool may_bind = false;
  bool encrypted = true;
  bool operator==(const Service&) const = default;
};

enum class SessionType : std::uint8_t { dial, bind };

struct ServiceSession {
  std::string id;
  std::string token;
  std::vector<Router> routers;  ///< those that are online, with a TLS address; never empty
};

/// An edge router that policies give this identity.
struct OwnRouter {
  Router router;
  bool online = true;  ///< as the controller says
};

struct ApiSession {
  std::string token;
  bool oidc = false;
  std::string identity_id;
  std::string identity_name;
  std::chrono::system_clock::time_point since;
  std::chrono::system_clock::time_point expires;
  std::string controller;  ///< url
  std::string controller_version;
};

class Controller {
 public:
  struct Options {
    IdentityFile identity;
    /// Tests: the first pause after a failure, and how often services are looked at.
    std::chrono::milliseconds first_retry{200};
    std::chrono::milliseconds poll_interval{15'000};
  };

  /// Starts logging in, for ever, with backoff. INVALID_ARGUMENT: the identity does not work.
  static absl::StatusOr<std::unique_ptr<Controller>> make(net::Loop& control, Options options);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// Up: logged in. last_error says in words what keeps it from that, with advice.
  LinkStatus status() const;
  /// Whenever status() changed. More than one may listen.
  void on_change(std::function<void()> changed);

  /// The current one.
  std::optional<ApiSession> login() const;
  net::awaitable<std::expected<ApiSession, base::Failure>> logged_in(net::TimePoint deadline);

  /// By its name. no_such_service: this identity may neither dial nor host one of that name
  /// (OpenZiti does not tell more); timed_out, link_lost.
  net::awaitable<std::expected<Service, base::Failure>> service(std::string name,
                                                                net::TimePoint deadline);

  /// Cached; created once for each service and type. not_permitted, no_such_service, not_hosted
  /// (no edge router), timed_out, link_lost.
  net::awaitable<std::expected<ServiceSession, base::Failure>> session(std::string service_id,
                                                                       SessionType type,
                                                                       net::TimePoint deadline);
  /// The current routers of a session; asks the controller, because routers come and go, but once
  /// for all who ask at the same time, and no more than once in a second.
  net::awaitable<std::expected<std::vector<Router>, base::Failure>> routers(
      std::string service_id, SessionType type, net::TimePoint deadline);

  /// For a person's check, asked anew: all services of this identity, and its routers.
  net::awaitable<std::expected<std::vector<Service>, base::Failure>> services(
      net::TimePoint deadline);
  net::awaitable<std::expected<std::vector<OwnRouter>, base::Failure>> own_routers(
      net::TimePoint deadline);

  /// A router refused the session's token: the next session() makes a new one.
  void drop_session(const std::string& service_id, SessionType type, const std::string& token);
  /// Whether the login of that token is good: the controller is asked. False: it is not, or not
  /// any more, and there will be another. One that does not answer takes nothing back.
  net::awaitable<bool> confirm_login(std::string token, net::TimePoint deadline);

  /// A new login (another token: old channels are dead), or with OIDC a refreshed one (push it to
  /// the channels).
  void on_token(std::function<void(const ApiSession&)> changed);
  /// The services that session() was asked for may have changed (or gone): ask again.
  void on_services(std::function<void()> changed);

  /// ALPN ziti-edge, the identity's chain, trust = ca.
  const std::shared_ptr<const net::TlsContext>& router_tls() const;

 private:
  class Impl;
  explicit Controller(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace simplon::overlay::ziti
