#include "overlay/ziti/controller_login.hpp"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <sodium.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/version.hpp"
#include "overlay/ziti/certificate.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using nlohmann::json;
using LoginResult = std::expected<Login, ApiError>;

// From 3.0 on only OIDC remains.
constexpr int kOidcOnly = 3;
// One of the redirect addresses that controllers accept by default; nobody goes there.
constexpr std::string_view kRedirect = "http://localhost:8080/auth/callback";
constexpr std::string_view kClientId = "openziti";
constexpr std::size_t kSecretBytes = 32;

json about_us() {
  utsname system{};
  uname(&system);
  return {{"sdkInfo", {{"type", "simplon"}, {"version", base::version()}, {"appID", "simplon"}}},
          {"envInfo",
           {{"os", system.sysname},
            {"osRelease", system.release},
            {"osVersion", system.version},
            {"arch", system.machine},
            {"hostname", system.nodename}}}};
}

std::string dumped(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string base64url(std::string_view bytes) {
  std::string out = absl::WebSafeBase64Escape({bytes.data(), bytes.size()});
  while (out.ends_with('=')) {
    out.pop_back();
  }
  return out;
}

std::string random_text() {
  std::string bytes(kSecretBytes, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return base64url(bytes);
}

ApiError makes_no_sense(const ControllerSite& site, std::string_view what) {
  return {.status = 200,
          .code = Errc::link_lost,
          .words = absl::StrCat(site.url, ": ", std::string(what))};
}

ApiError second_factor(const ControllerSite& site, std::string_view what) {
  return {.status = 401,
          .code = Errc::not_permitted,
          .name = "SECOND_FACTOR",
          .words = absl::StrCat(
              site.url, " wants more than this identity's certificate (", std::string(what),
              "), which an agent cannot answer; give the identity an authentication policy without "
              "a second factor")};
}

net::awaitable<ApiResult> get(ControllerSite site, std::string target, const ApiSession* session,
                              net::TimePoint deadline) {
  RestRequest request{.target = std::move(target)};
  if (session != nullptr) {
    request.headers.push_back(credentials(*session));
  }
  const auto answer = co_await site.client->exchange(std::move(request), deadline);
  if (!answer) {
    co_return std::unexpected(answer.error());
  }
  co_return read_envelope(*answer, site.url);
}

net::awaitable<LoginResult> legacy(ControllerSite site, net::TimePoint deadline) {
  RestRequest request{.method = "POST",
                      .target = site.path + "/authenticate?method=cert",
                      .body = dumped(about_us())};
  const auto answer = co_await site.client->exchange(std::move(request), deadline);
  if (!answer) {
    co_return std::unexpected(answer.error());
  }
  const auto data = read_envelope(*answer, site.url);
  if (!data) {
    co_return std::unexpected(data.error());
  }
  std::string unanswered;
  auto login = read_login(*data, system_clock::now(), &unanswered);
  if (!login) {
    co_return std::unexpected(makes_no_sense(site, "the login's answer holds no token"));
  }
  if (!unanswered.empty()) {
    co_return std::unexpected(second_factor(site, unanswered));
  }
  co_return *std::move(login);
}

/// What OIDC's steps hand on.
struct Flow {
  std::string verifier = random_text();
  std::string state = random_text();
  std::string nonce = random_text();
};

// One step that must answer with a redirect; where to.
net::awaitable<std::expected<std::string, ApiError>> redirected(ControllerSite site,
                                                                RestRequest request,
                                                                net::TimePoint deadline) {
  const auto answer = co_await site.client->exchange(std::move(request), deadline);
  if (!answer) {
    co_return std::unexpected(answer.error());
  }
  if (answer->status / 100 == 3 && !answer->location.empty()) {
    co_return answer->location;
  }
  const auto said = read_envelope(*answer, site.url, /*whole=*/true);
  if (!said) {
    co_return std::unexpected(said.error());
  }
  const json* at = &*said;
  const auto data = said->find("data");
  if (data != said->end()) {
    at = &*data;
  }
  const std::string queries = read_auth_queries(*at);
  co_return std::unexpected(queries.empty() ? makes_no_sense(site, "the OIDC login does not go on")
                                            : second_factor(site, queries));
}

// The path and query of a redirect within a controller.
std::optional<std::string> local_target(std::string_view location) {
  if (location.starts_with('/') && !location.starts_with("//")) {
    return std::string(location);
  }
  const auto address = split_url(location);
  if (!address) {
    return std::nullopt;
  }
  // The controller may name itself by another of its addresses: the way stays the one verified.
  return address->path.empty() ? std::nullopt : std::optional(address->path);
}

net::awaitable<LoginResult> token_request(ControllerSite site, std::string form,
                                          net::TimePoint deadline) {
  RestRequest request{.method = "POST",
                      .target = "/oidc/oauth/token",
                      .body = std::move(form),
                      .content_type = "application/x-www-form-urlencoded",
                      .repeatable = false};
  const auto answer = co_await site.client->exchange(std::move(request), deadline);
  if (!answer) {
    co_return std::unexpected(answer.error());
  }
  const auto said = read_envelope(*answer, site.url, /*whole=*/true);
  if (!said) {
    co_return std::unexpected(said.error());
  }
  auto login = read_tokens(*said, system_clock::now());
  if (!login) {
    co_return std::unexpected(makes_no_sense(site, "the OIDC login's answer holds no token"));
  }
  co_return *std::move(login);
}

// Spec of the flow: authorization code with PKCE (RFC 7636), the certificate is the proof.
net::awaitable<LoginResult> oidc(ControllerSite site, net::TimePoint deadline) {
  const Flow flow;
  const std::string challenge = base64url(sha256(flow.verifier));
  const std::string redirect = url_escape(kRedirect);
  RestRequest authorize{
      .target = absl::StrCat("/oidc/authorize?client_id=", std::string(kClientId),
                             "&response_type=code&scope=openid%20offline_access&redirect_uri=",
                             redirect, "&state=", flow.state, "&nonce=", flow.nonce,
                             "&code_challenge=", challenge, "&code_challenge_method=S256"),
      .accept = "*/*"};
  const auto started = co_await redirected(site, std::move(authorize), deadline);
  if (!started) {
    co_return std::unexpected(started.error());
  }
  std::string id = query_parameter(*started, "authRequestID");
  if (id.empty()) {
    id = query_parameter(*started, "id");
  }
  json proof = about_us();
  proof["id"] = id;
  RestRequest prove{.method = "POST",
                    .target = "/oidc/login/cert",
                    .body = dumped(proof),
                    .accept = "*/*",
                    .repeatable = false};
  const auto proven = co_await redirected(site, std::move(prove), deadline);
  if (!proven) {
    co_return std::unexpected(proven.error());
  }
  const auto callback = local_target(*proven);
  if (!callback) {
    co_return std::unexpected(makes_no_sense(site, "the OIDC login leads elsewhere"));
  }
  RestRequest finish{.target = *callback, .accept = "*/*", .repeatable = false};
  const auto finished = co_await redirected(site, std::move(finish), deadline);
  if (!finished) {
    co_return std::unexpected(finished.error());
  }
  const std::string code = query_parameter(*finished, "code");
  // The redirect is never followed: its code is for us.
  if (!finished->starts_with(kRedirect) || code.empty() ||
      query_parameter(*finished, "state") != flow.state) {
    co_return std::unexpected(makes_no_sense(site, "the OIDC login ends without a code"));
  }
  std::string form = absl::StrCat(
      "grant_type=authorization_code&client_id=", std::string(kClientId),
      "&code=", url_escape(code), "&code_verifier=", flow.verifier, "&redirect_uri=", redirect);
  auto login = co_await token_request(site, std::move(form), deadline);
  co_return login;
}

// The two ways of the same login: whether an error means "not this way".
bool another_way(const ApiError& error) {
  return error.status == 404 || error.status == 405 || error.status == 410 || error.status == 501;
}

}  // namespace

std::pair<std::string, std::string> credentials(const ApiSession& session) {
  return session.oidc
             ? std::pair<std::string, std::string>("Authorization", "Bearer " + session.token)
             : std::pair<std::string, std::string>("zt-session", session.token);
}

net::awaitable<LoginResult> log_in(LoginPlan plan, net::TimePoint deadline) {
  const ControllerSite site = plan.site;
  const auto data = co_await get(site, site.path + "/version", nullptr, deadline);
  if (!data) {
    co_return std::unexpected(data.error());
  }
  const VersionInfo version = read_version(*data);
  const bool use_oidc = version.oidc && (plan.many || version.major >= kOidcOnly);
  LoginResult login = std::unexpected(ApiError{});
  if (use_oidc) {
    login = co_await oidc(site, deadline);
  } else {
    login = co_await legacy(site, deadline);
    if (!login && version.oidc && another_way(login.error())) {
      login = co_await oidc(site, deadline);
    }
  }
  if (!login) {
    co_return login;
  }
  login->session.controller = site.url;
  login->session.controller_version = version.version;
  if (login->session.identity_name.empty()) {
    const ApiSession session = login->session;
    const auto self = co_await get(site, site.path + "/current-identity", &session, deadline);
    if (self) {
      login->session.identity_name = printable(text_at(*self, "name"));
      login->session.identity_id = printable(text_at(*self, "id"));
    }
  }
  co_return login;
}

net::awaitable<LoginResult> keep_login(ControllerSite site, Login login, net::TimePoint deadline) {
  if (login.session.oidc) {
    std::string form = absl::StrCat("grant_type=refresh_token&client_id=", std::string(kClientId),
                                    "&refresh_token=", url_escape(login.refresh_token));
    auto fresh = co_await token_request(site, std::move(form), deadline);
    if (!fresh) {
      co_return fresh;
    }
    login.session.token = fresh->session.token;
    login.session.expires = fresh->session.expires;
    login.lifetime = fresh->lifetime;
    if (!fresh->refresh_token.empty()) {
      login.refresh_token = fresh->refresh_token;
    }
    co_return login;
  }
  const ApiSession session = login.session;
  auto data = co_await get(site, site.path + "/current-api-session", &session, deadline);
  if (!data) {
    co_return std::unexpected(data.error());
  }
  // The token is not told again by every controller.
  if (data->is_object()) {
    (*data)["token"] = session.token;
  }
  std::string unanswered;
  const auto read = read_login(*data, system_clock::now(), &unanswered);
  if (!read) {
    co_return std::unexpected(makes_no_sense(site, "the login's answer makes no sense"));
  }
  login.session.expires = read->session.expires;
  login.lifetime = read->lifetime;
  co_return login;
}

net::awaitable<void> log_out(ControllerSite site, ApiSession session, net::TimePoint deadline) {
  RestRequest request{.method = "DELETE", .target = site.path + "/current-api-session"};
  request.headers.push_back(credentials(session));
  [[maybe_unused]] const auto answer = co_await site.client->exchange(std::move(request), deadline);
  site.client->close();
}

}  // namespace simplon::overlay::ziti
