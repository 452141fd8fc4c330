// The inside of Controller: what its coroutines share. They hold it by shared_ptr and look at
// ended() after every wait. On the control loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "overlay/ziti/controller.hpp"
#include "overlay/ziti/controller_login.hpp"
#include "overlay/ziti/controller_signal.hpp"

namespace simplon::overlay::ziti {

class Controller::Impl : public std::enable_shared_from_this<Controller::Impl> {
 public:
  using Self = std::shared_ptr<Impl>;
  template <class T>
  using Outcome = std::expected<T, base::Failure>;

  Impl(net::Loop& loop, Options options, std::vector<ControllerSite> sites,
       std::shared_ptr<const net::TlsContext> router_tls);

  void start();
  void end();
  bool ended() const { return ended_; }

  static net::awaitable<Outcome<ApiSession>> logged_in(Self self, net::TimePoint deadline);
  static net::awaitable<Outcome<Service>> service(Self self, std::string name,
                                                  net::TimePoint deadline);
  static net::awaitable<Outcome<ServiceSession>> session(Self self, std::string id,
                                                         SessionType type, net::TimePoint deadline);
  static net::awaitable<Outcome<std::vector<Router>>> routers(Self self, std::string id,
                                                              SessionType type,
                                                              net::TimePoint deadline);
  static net::awaitable<Outcome<std::vector<Service>>> services(Self self, net::TimePoint deadline);
  static net::awaitable<Outcome<std::vector<OwnRouter>>> own_routers(Self self,
                                                                     net::TimePoint deadline);
  void drop_session(const std::string& id, SessionType type, const std::string& token);
  static net::awaitable<bool> confirm_login(Self self, std::string token, net::TimePoint deadline);

  net::Loop& loop;
  const Options options;
  const std::shared_ptr<const net::TlsContext> router_tls;
  LinkStatus status{.since = system_clock::now()};
  std::optional<Login> login;
  std::vector<std::function<void()>> on_change;
  std::vector<std::function<void()>> on_services;
  std::vector<std::function<void(const ApiSession&)>> on_token;

 private:
  /// A service session, or the making of one.
  struct Kept {
    std::optional<ServiceSession> session;
    bool making = false;
    std::optional<base::Failure> failure;  ///< of the last making: for all who wanted it then
    net::TimePoint failed_at{};
    bool asking = false;  ///< for its routers
    net::TimePoint asked_at = net::TimePoint::min();
    std::string stale_id;  ///< of one that a router refused
  };
  using Key = std::pair<std::string, SessionType>;

  // controller.cpp: the login's life.
  static net::awaitable<void> run(Self self);
  static net::awaitable<bool> log_in_once(Self self);
  static net::awaitable<void> keep(Self self);
  /// Sleeps until then, or until the login is dropped or the controller ends.
  static net::awaitable<void> rest(Self self, net::TimePoint until);
  void set_login(Login fresh, bool refreshed);
  void drop_login(const std::string& token);
  void set_status(LinkState state, std::string error);
  void forget_sessions();
  net::Duration pause(int failures) const;
  const ControllerSite& site() const { return sites_[at_]; }
  void next_site();
  std::string explained(const ApiError& error) const;
  base::Failure failure(const ApiError& error) const;
  static base::Failure failure(base::Errc code, std::string words);

  // controller_calls.cpp: the API.
  struct Call {
    std::string method = "GET";
    std::string target;  ///< behind the API's path
    std::string body;
    bool whole = false;
    int tries = 4;
  };
  static net::awaitable<ApiResult> call(Self self, Call call, net::TimePoint deadline);
  static net::awaitable<Outcome<void>> refresh(Self self, net::TimePoint deadline);
  static net::awaitable<std::expected<std::map<std::string, Service>, ApiError>> list(
      Self self, net::TimePoint deadline);
  static net::awaitable<void> list_all(Self self);
  static net::awaitable<void> watch(Self self);
  static net::awaitable<Outcome<std::vector<Router>>> ask_routers(Self self, Key key,
                                                                  net::TimePoint deadline);
  static net::awaitable<Outcome<ServiceSession>> make_session(Self self, Key key,
                                                              net::TimePoint deadline);
  void take_services(std::map<std::string, Service> services);
  bool second_session_is_dead() const;

  const std::vector<ControllerSite> sites_;
  std::size_t at_ = 0;  // of sites_
  bool ended_ = false;
  std::optional<ApiError> last_failure_;  // of logging in; none since the last success
  bool refused_ = false;                  // it was no passing one
  net::TimePoint failing_since_ = net::TimePoint::max();
  Signal changed_;                           // the login, or what keeps it away
  Signal wake_;                              // for rest()
  Signal listed_;                            // a refresh of the services has ended
  Signal made_;                              // a session was made, or not
  Signal asked_;                             // routers were told, or not
  std::map<std::string, Service> services_;  // by name
  std::uint64_t logins_ = 0;                 // whose sessions were forgotten
  bool listed_once_ = false;                 // in this login
  bool listing_ = false;
  std::uint64_t lists_ = 0;  // that have ended, well or not
  std::optional<base::Failure> list_failure_;
  net::TimePoint listed_at_ = net::TimePoint::min();
  std::string last_change_;  // as the controller says it
  std::map<Key, Kept> sessions_;
};

}  // namespace simplon::overlay::ziti
