// Logging in at one controller, in either of its two ways: the legacy session (an opaque token) and
// OIDC (a signed token that is refreshed). One interface.
//
// Cancellation: each ends with its client's close().
#pragma once

#include <memory>

#include "overlay/ziti/rest_client.hpp"
#include "overlay/ziti/rest_values.hpp"

namespace simplon::overlay::ziti {

/// One controller, and how to reach its API.
struct ControllerSite {
  std::string url;   ///< as the identity names it
  std::string path;  ///< of the client API
  std::shared_ptr<RestClient> client;
};

struct LoginPlan {
  ControllerSite site;
  bool many = false;  ///< several controllers: only OIDC's tokens are good at all of them
};

/// Asks what the controller can do and logs in. The session is complete but for what nobody told
/// (an identity's name).
net::awaitable<std::expected<Login, ApiError>> log_in(LoginPlan plan, net::TimePoint deadline);

/// Before it expires: OIDC gets a new token, a legacy session is asked whether it still lives.
/// An error with status 400 or 401: it does not, log in again.
net::awaitable<std::expected<Login, ApiError>> keep_login(ControllerSite site, Login login,
                                                          net::TimePoint deadline);

/// So that the network does not count it any more. Errors do not matter.
net::awaitable<void> log_out(ControllerSite site, ApiSession session, net::TimePoint deadline);

/// The header that carries the login.
std::pair<std::string, std::string> credentials(const ApiSession& session);

}  // namespace simplon::overlay::ziti
