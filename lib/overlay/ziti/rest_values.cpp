#include "overlay/ziti/rest_values.hpp"

#include <algorithm>
#include <charconv>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

namespace simplon::overlay::ziti {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Ids, tokens and names of a controller. Tokens are signed JSON of some KiB.
constexpr std::size_t kMaxToken = 32 * 1024;
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxRouters = 256;
constexpr seconds kMinLifetime{1};
constexpr seconds kMaxLifetime{24 * 3600};
// What a login lasts where the controller does not say.
constexpr seconds kUsualLifetime{30 * 60};

bool clean(std::string_view text, std::size_t limit) {
  return !text.empty() && text.size() <= limit &&
         std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

const json* object_at(const json& object, const char* key) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at != object.end() && at->is_object() ? &*at : nullptr;
}

const json* array_at(const json& object, const char* key) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at != object.end() && at->is_array() ? &*at : nullptr;
}

std::optional<bool> bool_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() ? std::optional(at->get<bool>()) : std::nullopt;
}

std::optional<seconds> seconds_at(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number()) {
    return std::nullopt;
  }
  const double value = at->get<double>();
  if (!(value >= 0)) {
    return std::nullopt;
  }
  return std::clamp(seconds(static_cast<std::int64_t>(std::min(value, 1e9))), kMinLifetime,
                    kMaxLifetime);
}

std::string words_of(const json& query) {
  std::string out;
  for (const char* key : {"typeId", "provider", "method", "httpUrl"}) {
    const std::string text = printable(text_at(query, key), 64);
    if (!text.empty()) {
      absl::StrAppend(&out, out.empty() ? "" : " ", text);
    }
  }
  return out.empty() ? "a second factor" : out;
}

// The claim of a token that came over a verified connection, and whose signature is the routers'
// business.
std::string claim_of(std::string_view jwt, const char* name) {
  const auto first = jwt.find('.');
  const auto second = first == std::string_view::npos ? first : jwt.find('.', first + 1);
  if (second == std::string_view::npos) {
    return {};
  }
  const std::string_view middle = jwt.substr(first + 1, second - first - 1);
  std::string decoded;
  if (!absl::WebSafeBase64Unescape({middle.data(), middle.size()}, &decoded)) {
    return {};
  }
  return printable(text_at(parse_json(decoded), name));
}

std::optional<net::Endpoint> tls_endpoint(const json& router) {
  for (const char* key : {"supportedProtocols", "urls"}) {
    const json* const urls = object_at(router, key);
    std::string text = urls != nullptr ? text_at(*urls, "tls") : std::string();
    if (text.starts_with("tls:")) {
      text.erase(0, text.starts_with("tls://") ? 6 : 4);
    }
    auto endpoint = net::parse_endpoint(text);
    if (endpoint && !endpoint->host.empty() && endpoint->port != 0 &&
        endpoint->host.size() <= kMaxName) {
      return *std::move(endpoint);
    }
  }
  return std::nullopt;
}

// One that was disabled counts as one that is not there.
std::optional<OwnRouter> read_router(const json& one) {
  if (!one.is_object() || bool_at(one, "disabled").value_or(false)) {
    return std::nullopt;
  }
  auto endpoint = tls_endpoint(one);
  if (!endpoint) {
    return std::nullopt;
  }
  std::string name = printable(text_at(one, "name"));
  if (name.empty()) {
    name = net::to_string(*endpoint);
  }
  return OwnRouter{.router = {.name = std::move(name), .endpoint = *std::move(endpoint)},
                   .online = bool_at(one, "isOnline").value_or(true)};
}

}  // namespace

std::optional<system_clock::time_point> read_time(std::string_view text) {
  absl::Time when;
  std::string why;
  if (!absl::ParseTime(absl::RFC3339_full, {text.data(), text.size()}, &when, &why) ||
      when < absl::UnixEpoch() || when > absl::FromUnixSeconds(7'258'118'400)) {
    return std::nullopt;
  }
  return absl::ToChronoTime(when);
}

std::string query_parameter(std::string_view url, std::string_view name) {
  auto at = url.find('?');
  while (at != std::string_view::npos) {
    std::string_view rest = url.substr(at + 1);
    rest = rest.substr(0, rest.find('#'));
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) == name) {
      std::string out;
      const std::string_view raw =
          equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
      for (std::size_t i = 0; i < raw.size(); ++i) {
        unsigned value = 0;
        if (raw[i] == '%' && i + 2 < raw.size() &&
            std::from_chars(raw.data() + i + 1, raw.data() + i + 3, value, 16).ptr ==
                raw.data() + i + 3) {
          out += static_cast<char>(value);
          i += 2;
        } else {
          out += raw[i] == '+' ? ' ' : raw[i];
        }
      }
      return out;
    }
    at = url.find('&', at + 1);
  }
  return {};
}

VersionInfo read_version(const json& data) {
  VersionInfo out{.version = printable(text_at(data, "version"), 64)};
  if (const json* const all = array_at(data, "capabilities")) {
    out.oidc = std::ranges::any_of(*all, [](const json& one) {
      return one.is_string() && one.get_ref<const std::string&>() == "OIDC_AUTH";
    });
  }
  const std::size_t digits = out.version.starts_with('v') ? 1 : 0;
  std::from_chars(out.version.data() + digits, out.version.data() + out.version.size(), out.major);
  return out;
}

std::string read_auth_queries(const json& data) {
  const json* const queries = array_at(data, "authQueries");
  std::string out;
  for (std::size_t i = 0; queries != nullptr && i < queries->size() && i < 4; ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ", ", words_of((*queries)[i]));
  }
  return out;
}

std::optional<Login> read_login(const json& data, system_clock::time_point now,
                                std::string* unanswered) {
  Login out;
  out.session.token = text_at(data, "token");
  if (!clean(out.session.token, kMaxToken)) {
    return std::nullopt;
  }
  out.session.identity_id = printable(text_at(data, "identityId"));
  if (const json* const identity = object_at(data, "identity")) {
    out.session.identity_name = printable(text_at(*identity, "name"));
    if (out.session.identity_id.empty()) {
      out.session.identity_id = printable(text_at(*identity, "id"));
    }
  }
  const seconds told = seconds_at(data, "expirationSeconds").value_or(kUsualLifetime);
  out.lifetime = told;
  if (const auto expires = read_time(text_at(data, "expiresAt"))) {
    // Their clock against ours: no shorter than a tenth of what they told, no longer than that.
    const auto left = std::chrono::duration_cast<seconds>(*expires - now);
    out.lifetime =
        std::clamp(left, std::max(kMinLifetime, told / 10), std::max(told, kMinLifetime));
  }
  out.session.since = now;
  out.session.expires = now + out.lifetime;
  *unanswered = read_auth_queries(data);
  return out;
}

std::optional<Login> read_tokens(const json& answer, system_clock::time_point now) {
  Login out;
  out.session.oidc = true;
  out.session.token = text_at(answer, "access_token");
  out.refresh_token = text_at(answer, "refresh_token");
  if (!clean(out.session.token, kMaxToken) || out.refresh_token.size() > kMaxToken) {
    return std::nullopt;
  }
  out.session.identity_id = claim_of(out.session.token, "sub");
  out.lifetime = seconds_at(answer, "expires_in").value_or(kUsualLifetime);
  out.session.since = now;
  out.session.expires = now + out.lifetime;
  return out;
}

std::optional<Service> read_service(const json& data) {
  Service out{.id = text_at(data, "id"), .name = text_at(data, "name")};
  if (!clean(out.id, kMaxName) || !clean(out.name, kMaxName)) {
    return std::nullopt;
  }
  if (const json* const permissions = array_at(data, "permissions")) {
    for (const json& one : *permissions) {
      if (one.is_string()) {
        out.may_dial = out.may_dial || one.get_ref<const std::string&>() == "Dial";
        out.may_bind = out.may_bind || one.get_ref<const std::string&>() == "Bind";
      }
    }
  }
  // Encrypted unless told otherwise: the other way round would be a downgrade.
  out.encrypted = bool_at(data, "encryptionRequired").value_or(true);
  return out;
}

std::optional<Page> read_services(const json& answer) {
  const json* const data = array_at(answer, "data");
  if (data == nullptr) {
    return std::nullopt;
  }
  Page out{.entries = data->size(), .total = data->size()};
  for (const json& one : *data) {
    if (auto service = read_service(one)) {
      out.services.push_back(*std::move(service));
    }
  }
  if (const json* const meta = object_at(answer, "meta")) {
    if (const json* const pagination = object_at(*meta, "pagination")) {
      const auto total = pagination->find("totalCount");
      if (total != pagination->end() && total->is_number_unsigned()) {
        out.total = total->get<std::size_t>();
      }
    }
  }
  return out;
}

std::vector<Router> read_routers(const json& data) {
  std::vector<Router> out;
  const json* const routers = array_at(data, "edgeRouters");
  if (routers == nullptr) {
    return out;
  }
  for (const json& one : *routers) {
    auto read = read_router(one);
    if (read && read->online && out.size() < kMaxRouters &&
        std::ranges::find(out, read->router) == out.end()) {
      out.push_back(std::move(read->router));
    }
  }
  return out;
}

std::vector<OwnRouter> read_own_routers(const json& data) {
  std::vector<OwnRouter> out;
  if (!data.is_array()) {
    return out;
  }
  for (const json& one : data) {
    if (auto read = read_router(one); read && out.size() < kMaxRouters) {
      out.push_back(*std::move(read));
    }
  }
  return out;
}

std::optional<ServiceSession> read_session(const json& data) {
  ServiceSession out{.id = text_at(data, "id"), .token = text_at(data, "token")};
  if (!clean(out.id, kMaxName) || !clean(out.token, kMaxToken)) {
    return std::nullopt;
  }
  out.routers = read_routers(data);
  return out;
}

}  // namespace simplon::overlay::ziti
