// What the controller's answers say, as values. Everything of them is checked and bounded; what
// does not make sense is left out, or makes the whole of no use.
//
// Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "overlay/ziti/controller.hpp"
#include "overlay/ziti/rest_answer.hpp"

namespace simplon::overlay::ziti {

using std::chrono::system_clock;

struct VersionInfo {
  std::string version;
  bool oidc = false;
  int major = 0;  ///< 0: a development build, or not told
};
VersionInfo read_version(const nlohmann::json& data);

/// A login, however it was made.
struct Login {
  ApiSession session;
  std::string refresh_token;            ///< OIDC
  std::chrono::seconds lifetime{1800};  ///< from when the controller last said so
};

/// Of POST /authenticate and GET /current-api-session. No token: not a login. `unanswered` gets
/// what else the network wants to know, as one text.
std::optional<Login> read_login(const nlohmann::json& data, system_clock::time_point now,
                                std::string* unanswered);
/// Of POST /oidc/oauth/token.
std::optional<Login> read_tokens(const nlohmann::json& answer, system_clock::time_point now);
/// The questions of a login that is not complete; empty: none.
std::string read_auth_queries(const nlohmann::json& data);

std::optional<Service> read_service(const nlohmann::json& data);
/// One page of a list; how many there are in all.
struct Page {
  std::vector<Service> services;
  std::size_t entries = 0;  ///< of this page, also those of no use
  std::size_t total = 0;
};
std::optional<Page> read_services(const nlohmann::json& answer);

/// Its id and token; routers may be none.
std::optional<ServiceSession> read_session(const nlohmann::json& data);
/// Those that are online and have a TLS address; `data` holds edgeRouters.
std::vector<Router> read_routers(const nlohmann::json& data);
/// Of GET /current-identity/edge-routers, whose data is the list; also those that are offline.
std::vector<OwnRouter> read_own_routers(const nlohmann::json& data);

/// RFC 3339.
std::optional<system_clock::time_point> read_time(std::string_view text);

/// The value of a query's parameter in a URL, decoded.
std::string query_parameter(std::string_view url, std::string_view name);

}  // namespace simplon::overlay::ziti
