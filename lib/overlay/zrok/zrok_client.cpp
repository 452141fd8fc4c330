#include "overlay/zrok/zrok_client.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace simplon::overlay::zrok {
namespace {

using base::Errc;
using base::printable;
using nlohmann::json;
using ziti::ApiError;
using ziti::parse_json;
using ziti::text_at;

constexpr char kMediaType[] = "application/zrok.v1+json";
constexpr std::string_view kApi = "/api/v2";
constexpr std::size_t kMaxToken = 256;
// Of shares or accesses of one environment, and of urls of one share.
constexpr std::size_t kMaxEntries = 10'000;
constexpr std::size_t kMaxUrls = 16;

std::string dumped(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::ranges::all_of(text, [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

/// Where an instance is: over TLS, or on this host without.
struct Place {
  net::Endpoint server;
  std::string path;
  bool tls = true;
};

bool is_this_host(const std::string& host) {
  const auto address = net::SocketAddress::from_ip(host, 0);
  return host == "localhost" || (address && address->loopback());
}

std::optional<Place> place_of(std::string_view endpoint) {
  const bool plain = absl::StartsWithIgnoreCase({endpoint.data(), endpoint.size()}, "http://");
  std::string text(endpoint);
  if (plain) {
    text.insert(4, "s");
    // The usual port is another one without TLS.
    const auto authority = text.substr(8, text.find('/', 8) - 8);
    if (authority.find(':', authority.starts_with('[') ? authority.find(']') : 0) ==
        std::string::npos) {
      text.insert(8 + authority.size(), ":80");
    }
  }
  const auto url = ziti::controller_url(text);
  auto address = url.ok() ? ziti::split_url(*url) : std::nullopt;
  if (!address || (plain && !is_this_host(address->server.host))) {
    return std::nullopt;
  }
  // controller_url() completes an address without a path by the one of OpenZiti's API.
  const bool bare = text.find('/', 8) == std::string::npos || text.find('/', 8) + 1 == text.size();
  return Place{.server = std::move(address->server),
               .path = bare ? std::string() : std::move(address->path),
               .tls = !plain};
}

std::string url_of(std::string_view endpoint) {
  return endpoint.find("://") == std::string_view::npos
             ? absl::StrCat("https://", std::string(endpoint))
             : std::string(endpoint);
}

std::vector<std::string> urls_at(const json& object, const char* key) {
  std::vector<std::string> out;
  const auto at = object.find(key);
  if (at != object.end() && at->is_array()) {
    for (const json& one : *at) {
      if (one.is_string() && !one.get_ref<const std::string&>().empty() && out.size() < kMaxUrls) {
        out.push_back(url_of(printable(one.get_ref<const std::string&>(), 512)));
      }
    }
  }
  return out;
}

// The entries of a list: bare, or under a key.
const json& entries_of(const json& answer, const char* key) {
  static const json kNone = json::array();
  if (answer.is_array()) {
    return answer;
  }
  if (answer.is_object()) {
    const auto at = answer.find(key);
    if (at != answer.end() && at->is_array()) {
      return *at;
    }
  }
  return kNone;
}

absl::Status status_of(const ApiError& error) {
  const std::string text = absl::StrCat("zrok: ", error.words);
  switch (error.status) {
    case 401:
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
      return absl::NotFoundError(text);
    case 409:
      return absl::AlreadyExistsError(text);
    default:
      return error.code == Errc::timed_out ? absl::DeadlineExceededError(text)
                                           : absl::UnavailableError(text);
  }
}

ApiError no_sense(const char* what) {
  return {.status = 200,
          .code = Errc::link_lost,
          .words = absl::StrCat("the instance's answer to \"", what, "\" makes no sense")};
}

}  // namespace

std::string to_json(const Membership& membership) {
  json object = json::parse(ziti::to_json(membership.identity), nullptr, false);
  object["zrok"] = {{"endpoint", membership.account.endpoint},
                    {"token", membership.account.token},
                    {"environment", membership.environment}};
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

bool is_membership(std::string_view text) {
  const json object = parse_json(text);
  return object.is_object() && object.contains("zrok");
}

absl::StatusOr<Membership> parse_membership(std::string_view text,
                                            const std::filesystem::path& folder) {
  auto identity = ziti::parse_identity(text, folder);
  if (!identity.ok()) {
    return identity.status();
  }
  const json object = parse_json(text);
  const auto at = object.is_object() ? object.find("zrok") : object.end();
  if (at == object.end() || !at->is_object()) {
    return absl::InvalidArgumentError("identity: it holds no object \"zrok\"");
  }
  auto account =
      check_account({.endpoint = text_at(*at, "endpoint"), .token = text_at(*at, "token")});
  if (!account.ok()) {
    return account.status();
  }
  const std::string environment = text_at(*at, "environment");
  if (!is_token(environment)) {
    return absl::InvalidArgumentError("identity: zrok.environment: missing, or no id");
  }
  return Membership{
      .account = *std::move(account), .environment = environment, .identity = *std::move(identity)};
}

absl::StatusOr<Account> check_account(Account account) {
  account.token = std::string(absl::StripAsciiWhitespace(account.token));
  account.endpoint = std::string(absl::StripAsciiWhitespace(account.endpoint));
  while (account.endpoint.ends_with('/')) {
    account.endpoint.pop_back();
  }
  if (!is_token(account.token)) {
    return absl::InvalidArgumentError(
        "zrok: not an account's token: letters and digits in one word are expected");
  }
  if (!place_of(account.endpoint)) {
    return absl::InvalidArgumentError(
        absl::StrCat("zrok: \"", printable(account.endpoint, 128),
                     "\" is not the https:// address of an instance (http:// only on this host: "
                     "the account's token would be readable on the way)"));
  }
  return account;
}

absl::StatusOr<std::shared_ptr<Client>> Client::make(net::Loop& loop, Account account,
                                                     std::string trust_roots) {
  auto checked = check_account(std::move(account));
  if (!checked.ok()) {
    return checked.status();
  }
  auto place = place_of(checked->endpoint);
  std::shared_ptr<const net::TlsContext> tls;
  if (place->tls) {
    std::string why;
    auto context = net::TlsContext::make({.role = net::TlsRole::client,
                                          .trust_roots = std::move(trust_roots),
                                          .protocols = {{.name = "http/1.1"}}},
                                         &why);
    if (!context) {
      return absl::InvalidArgumentError(absl::StrCat("zrok: ", why));
    }
    tls = *std::move(context);
  }
  auto rest = std::make_shared<ziti::RestClient>(loop, std::move(place->server), std::move(tls));
  return std::shared_ptr<Client>(new Client(checked->endpoint, place->path + std::string(kApi),
                                            std::move(checked->token), std::move(rest)));
}

Client::Client(std::string endpoint, std::string path, std::string token,
               std::shared_ptr<ziti::RestClient> rest)
    : endpoint_(std::move(endpoint)),
      path_(std::move(path)),
      token_(std::move(token)),
      rest_(std::move(rest)) {}

std::shared_ptr<Client> Client::another() const {
  return std::shared_ptr<Client>(new Client(endpoint_, path_, token_, rest_->another()));
}

// The body of a good answer. Refusals are a JSON text, or nothing at all.
net::awaitable<Client::Outcome<std::string>> Client::call(std::shared_ptr<ziti::RestClient> rest,
                                                          std::string endpoint,
                                                          ziti::RestRequest request,
                                                          std::string refused,
                                                          net::TimePoint deadline) {
  auto answer = co_await rest->exchange(std::move(request), deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  if (answer->status >= 200 && answer->status < 300) {
    co_return std::move(answer->body);
  }
  ApiError error{.status = answer->status, .code = Errc::link_lost};
  const json said = parse_json(answer->body);
  const bool html = answer->content_type.starts_with("text/html");
  switch (answer->status) {
    case 401:
    case 403:
      error.code = Errc::not_permitted;
      error.words = refused;
      break;
    case 404:
      error.code = html ? Errc::link_lost : Errc::no_such_service;
      error.words = html ? "no zrok instance of version 2 is there; check the address" : refused;
      break;
    case 409:
      error.code = Errc::already_exists;
      error.words = refused;
      break;
    default:
      error.words = answer->status == 429 || answer->status >= 500 ? "the instance cannot do it now"
                                                                   : "the instance refused";
  }
  absl::StrAppend(&error.words, " (", printable(endpoint, 128), ": HTTP ", answer->status);
  if (said.is_string()) {
    absl::StrAppend(&error.words, ", ", printable(said.get_ref<const std::string&>()));
  }
  error.words += ")";
  co_return std::unexpected(std::move(error));
}

net::awaitable<Client::Outcome<std::string>> Client::ask(const char* method, std::string target,
                                                         std::string body, const char* refused,
                                                         net::TimePoint deadline) {
  // What is made must not be made twice because a kept connection ended.
  ziti::RestRequest request{.method = method,
                            .target = path_ + target,
                            .headers = {{"X-TOKEN", token_}},
                            .body = std::move(body),
                            .content_type = kMediaType,
                            .accept = kMediaType,
                            .repeatable = std::string_view(method) != "POST"};
  return call(rest_, endpoint_, std::move(request), refused, deadline);
}

net::awaitable<Client::Outcome<Client::Environment>> Client::enable(std::string description,
                                                                    std::string host,
                                                                    net::TimePoint deadline) {
  const json body = {{"description", std::move(description)}, {"host", std::move(host)}};
  auto answer = co_await ask("POST", "/enable", dumped(body),
                             "the instance does not accept the account's token, or the account may "
                             "have no more environments",
                             deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  const json said = parse_json(*answer);
  Environment out{.id = text_at(said, "identity"), .identity_json = text_at(said, "cfg")};
  if (!is_token(out.id) || out.identity_json.empty()) {
    co_return std::unexpected(no_sense("enable"));
  }
  co_return out;
}

net::awaitable<Client::Outcome<void>> Client::disable(std::string environment,
                                                      net::TimePoint deadline) {
  const json body = {{"identity", std::move(environment)}};
  auto answer = co_await ask("POST", "/disable", dumped(body),
                             "the environment is not of this account, or gone already", deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  co_return Outcome<void>();
}

net::awaitable<Client::Outcome<bool>> Client::knows(std::string environment,
                                                    net::TimePoint deadline) {
  auto answer = co_await ask("GET", "/detail/environment/" + ziti::url_escape(environment), "",
                             "the instance does not accept the account's token", deadline);
  if (!answer && answer.error().code != Errc::no_such_service) {
    co_return std::unexpected(std::move(answer.error()));
  }
  co_return answer.has_value();
}

net::awaitable<Client::Outcome<Share>> Client::share(std::string environment, NewShare wanted,
                                                     net::TimePoint deadline) {
  json body = {{"envZId", std::move(environment)},
               {"shareMode", wanted.is_public ? "public" : "private"},
               {"backendMode", wanted.raw ? "tcpTunnel" : "proxy"},
               {"target", wanted.target},
               {"authScheme", "none"},
               {"permissionMode", "open"}};
  if (wanted.is_public) {
    body["nameSelections"] = {{{"namespaceToken", wanted.name_space}, {"name", wanted.name}}};
  } else if (!wanted.name.empty()) {
    body["privateShareToken"] = wanted.name;
  }
  auto answer = co_await ask("POST", "/share", dumped(body),
                             "the instance refused the share: the name is another's or in use, the "
                             "environment is not this "
                             "account's any more, or a limit of the account is reached",
                             deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  const json said = parse_json(*answer);
  Share out{.token = text_at(said, "shareToken"),
            .target = std::move(wanted.target),
            .is_public = wanted.is_public};
  if (!is_token(out.token)) {
    co_return std::unexpected(no_sense("share"));
  }
  if (out.is_public) {
    out.urls = urls_at(said, "frontendProxyEndpoints");
  }
  co_return out;
}

net::awaitable<Client::Outcome<void>> Client::unshare(std::string environment, std::string share,
                                                      net::TimePoint deadline) {
  const json body = {{"envZId", std::move(environment)}, {"shareToken", std::move(share)}};
  auto answer = co_await ask("DELETE", "/unshare", dumped(body), "no such share", deadline);
  if (!answer && answer.error().status != 404) {
    co_return std::unexpected(std::move(answer.error()));
  }
  co_return Outcome<void>();
}

net::awaitable<Client::Outcome<std::string>> Client::access(std::string environment,
                                                            std::string share,
                                                            std::string description,
                                                            net::TimePoint deadline) {
  const json body = {{"envZId", std::move(environment)},
                     {"shareToken", std::move(share)},
                     {"bindAddress", ""},
                     {"description", std::move(description)}};
  auto answer = co_await ask("POST", "/access", dumped(body),
                             "the instance refuses access to that share: there is none of that "
                             "token, or its owner has not granted this account access",
                             deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  std::string token = text_at(parse_json(*answer), "frontendToken");
  if (!is_token(token)) {
    co_return std::unexpected(no_sense("access"));
  }
  co_return token;
}

net::awaitable<Client::Outcome<void>> Client::unaccess(std::string environment, Access access,
                                                       net::TimePoint deadline) {
  const json body = {{"envZId", std::move(environment)},
                     {"frontendToken", std::move(access.frontend)},
                     {"shareToken", std::move(access.share)}};
  auto answer = co_await ask("DELETE", "/unaccess", dumped(body), "no such access", deadline);
  if (!answer && answer.error().status != 404) {
    co_return std::unexpected(std::move(answer.error()));
  }
  co_return Outcome<void>();
}

net::awaitable<Client::Outcome<std::vector<Share>>> Client::shares(std::string environment,
                                                                   net::TimePoint deadline) {
  auto answer = co_await ask("GET", "/shares?envZId=" + ziti::url_escape(environment), "",
                             "the instance does not show this account's shares", deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  std::vector<Share> out;
  const json said = parse_json(*answer);
  for (const json& one : entries_of(said, "shares")) {
    Share share{.token = text_at(one, "shareToken"),
                .target = text_at(one, "target"),
                .is_public = text_at(one, "shareMode") == "public"};
    // Filtered there; another environment's would not be ours to take over.
    if (is_token(share.token) && text_at(one, "envZId") == environment &&
        out.size() < kMaxEntries) {
      share.urls = share.is_public ? urls_at(one, "frontendEndpoints") : std::vector<std::string>();
      out.push_back(std::move(share));
    }
  }
  co_return out;
}

net::awaitable<Client::Outcome<std::vector<Access>>> Client::accesses(std::string environment,
                                                                      net::TimePoint deadline) {
  auto answer = co_await ask("GET", "/accesses?envZId=" + ziti::url_escape(environment), "",
                             "the instance does not show this account's accesses", deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  std::vector<Access> out;
  const json said = parse_json(*answer);
  for (const json& one : entries_of(said, "accesses")) {
    Access access{.frontend = text_at(one, "frontendToken"),
                  .share = text_at(one, "shareToken"),
                  .description = text_at(one, "description")};
    if (is_token(access.frontend) && text_at(one, "envZId") == environment &&
        out.size() < kMaxEntries) {
      out.push_back(std::move(access));
    }
  }
  co_return out;
}

net::awaitable<Client::Outcome<std::vector<std::string>>> Client::name_spaces(
    net::TimePoint deadline) {
  auto answer = co_await ask("GET", "/share/namespaces", "",
                             "the instance does not show this account its namespaces", deadline);
  if (!answer) {
    co_return std::unexpected(std::move(answer.error()));
  }
  std::vector<std::string> out;
  const json said = parse_json(*answer);
  for (const json& one : entries_of(said, "namespaces")) {
    std::string token = text_at(one, "namespaceToken");
    if (is_token(token) && out.size() < kMaxEntries) {
      out.insert(token == "public" ? out.begin() : out.end(), std::move(token));
    }
  }
  co_return out;
}

net::awaitable<Client::Outcome<void>> Client::keep_name(std::string name_space, std::string name,
                                                        net::TimePoint deadline) {
  const json body = {{"namespaceToken", std::move(name_space)}, {"name", std::move(name)}};
  auto answer = co_await ask("POST", "/share/name", dumped(body),
                             "the instance does not keep that name for this account", deadline);
  if (!answer && answer.error().status != 409) {
    co_return std::unexpected(std::move(answer.error()));
  }
  co_return Outcome<void>();
}

net::awaitable<absl::StatusOr<Membership>> enable(net::Loop* loop, Account account,
                                                  std::string description, net::TimePoint deadline,
                                                  std::string trust_roots) {
  auto checked = check_account(std::move(account));
  if (!checked.ok()) {
    co_return checked.status();
  }
  const auto client = Client::make(*loop, *checked, std::move(trust_roots));
  if (!client.ok()) {
    co_return client.status();
  }
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  auto made = co_await (*client)->enable(std::move(description), host.data(), deadline);
  if (!made) {
    (*client)->close();
    co_return status_of(made.error());
  }
  auto identity = ziti::parse_identity(made->identity_json, {});
  if (!identity.ok()) {
    // Nobody will ever use it.
    [[maybe_unused]] const auto ended = co_await (*client)->disable(made->id, deadline);
    (*client)->close();
    co_return absl::UnavailableError(
        absl::StrCat("zrok: the instance's identity does not work: ", identity.status().message()));
  }
  (*client)->close();
  co_return Membership{.account = *std::move(checked),
                       .environment = std::move(made->id),
                       .identity = *std::move(identity)};
}

net::awaitable<absl::Status> disable(net::Loop* loop, Membership membership,
                                     net::TimePoint deadline, std::string trust_roots) {
  const auto client = Client::make(*loop, std::move(membership.account), std::move(trust_roots));
  if (!client.ok()) {
    co_return client.status();
  }
  auto ended = co_await (*client)->disable(membership.environment, deadline);
  if (!ended && ended.error().status == 401) {
    // The answer for an environment that is gone, and for a token that is not valid (any more).
    const auto known = co_await (*client)->knows(membership.environment, deadline);
    if (known && !*known) {
      ended = {};
    } else if (!known) {
      ended = std::unexpected(known.error());
    }
  }
  (*client)->close();
  co_return ended || ended.error().code == Errc::no_such_service ? absl::OkStatus()
                                                                 : status_of(ended.error());
}

}  // namespace simplon::overlay::zrok
