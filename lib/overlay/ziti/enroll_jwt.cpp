#include "overlay/ziti/enroll_jwt.hpp"

#include <cmath>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <nlohmann/json.hpp>

#include "overlay/ziti/identity_file.hpp"

namespace simplon::overlay::ziti {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::system_clock;

// The year 2200: the clock's nanoseconds hold it.
constexpr double kLastSecond = 7'258'118'400;
// Clocks of two hosts that both are about right.
constexpr seconds kClockTolerance{60};
constexpr std::size_t kMaxClaim = 512;

absl::Status invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("enrollment token: ", std::string(what)));
}

// base64url without padding (RFC 7515 §2).
bool decode(std::string_view text, std::string* out) {
  return text.find('=') == std::string_view::npos &&
         absl::WebSafeBase64Unescape({text.data(), text.size()}, out);
}

std::string text_of(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string() ||
      at->get_ref<const std::string&>().size() > kMaxClaim) {
    return {};
  }
  const auto& text = at->get_ref<const std::string&>();
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      return {};
    }
  }
  return text;
}

std::optional<system_clock::time_point> time_of(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number()) {
    return std::nullopt;
  }
  const double when = at->get<double>();
  if (!std::isfinite(when) || when < 0 || when > kLastSecond) {
    return std::nullopt;
  }
  return system_clock::time_point(seconds(static_cast<std::int64_t>(when)));
}

std::string written(system_clock::time_point when) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromChrono(when), absl::UTCTimeZone());
}

absl::StatusOr<Signature> algorithm_of(const json& header) {
  const std::string name = text_of(header, "alg");
  for (const auto& [text, algorithm] :
       {std::pair{"RS256", Signature::rs256}, std::pair{"ES256", Signature::es256},
        std::pair{"ES384", Signature::es384}, std::pair{"ES512", Signature::es512}}) {
    if (name == text) {
      return algorithm;
    }
  }
  // "none" proves nothing, and the secret of HS256 would have to be known here.
  return invalid(absl::StrCat("signed with \"", absl::CEscape(name.substr(0, 16)),
                              "\"; only RS256, ES256, ES384 and ES512 prove who made it"));
}

absl::StatusOr<EnrollMethod> method_of(const json& claims) {
  const std::string name = text_of(claims, "em");
  if (name == "ott") {
    return EnrollMethod::ott;
  }
  if (name == "ottca") {
    return EnrollMethod::ottca;
  }
  if (name == "ca") {
    return EnrollMethod::ca;
  }
  if (name == "erott" || name == "trott") {
    return invalid("it enrolls a router, not an identity");
  }
  if (name == "updb") {
    return invalid("it enrolls a user with a password; ask for one of the method ott");
  }
  if (name == "network") {
    return invalid("it names a network but enrolls nobody; ask for one of the method ott");
  }
  return invalid(absl::StrCat("of the method \"", absl::CEscape(name.substr(0, 16)),
                              "\"; Simplon enrolls with ott, ottca and ca"));
}

absl::Status check_times(const json& claims, system_clock::time_point now,
                         system_clock::time_point* expires) {
  const auto until = time_of(claims, "exp");
  if (!until) {
    return invalid("it does not say when it expires");
  }
  if (now >= *until) {
    return absl::PermissionDeniedError(
        absl::StrCat("enrollment token: expired at ", written(*until), "; this host's clock says ",
                     written(now), ". Ask for a new token, or set the clock if it is wrong"));
  }
  for (const char* key : {"nbf", "iat"}) {
    const auto from = time_of(claims, key);
    if (from && *from > now + kClockTolerance) {
      return absl::FailedPreconditionError(absl::StrCat(
          "enrollment token: made at ", written(*from), ", but this host's clock says ",
          written(now), ": the clock is behind, set it"));
    }
  }
  *expires = *until;
  return absl::OkStatus();
}

absl::StatusOr<json> part(std::string_view encoded) {
  std::string decoded;
  if (!decode(encoded, &decoded)) {
    return invalid("damaged: not base64url");
  }
  json object = json::parse(decoded, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return invalid("damaged: cut off, or not copied whole");
  }
  return object;
}

}  // namespace

absl::Status EnrollToken::verify(std::string_view leaf) const {
  if (!verify_signature(algorithm, leaf, signed_text, signature)) {
    return absl::PermissionDeniedError(
        absl::StrCat("enrollment token: not signed by the controller at ", controller,
                     ": forged, damaged, or its controller's certificate was changed since; ask "
                     "for a new one"));
  }
  return absl::OkStatus();
}

absl::StatusOr<EnrollToken> parse_enroll_token(std::string_view text,
                                               system_clock::time_point now) {
  if (text.size() > kMaxTokenBytes) {
    return invalid("longer than 16 KiB");
  }
  const absl::string_view stripped = absl::StripAsciiWhitespace({text.data(), text.size()});
  const std::string_view word(stripped.data(), stripped.size());
  const auto first = word.find('.');
  const auto second = first == std::string_view::npos ? first : word.find('.', first + 1);
  if (second == std::string_view::npos || word.find('.', second + 1) != std::string_view::npos) {
    return invalid("not a JSON web token: three parts with points between");
  }
  const auto header = part(word.substr(0, first));
  if (!header.ok()) {
    return header.status();
  }
  const auto claims = part(word.substr(first + 1, second - first - 1));
  if (!claims.ok()) {
    return claims.status();
  }
  EnrollToken token;
  const auto algorithm = algorithm_of(*header);
  if (!algorithm.ok()) {
    return algorithm.status();
  }
  token.algorithm = *algorithm;
  // An extension that must be understood, and is not (RFC 7515 §4.1.11).
  if (header->contains("crit")) {
    return invalid("it asks for extensions that this program does not know");
  }
  if (!decode(word.substr(second + 1), &token.signature) || token.signature.empty()) {
    return invalid("damaged: its signature is not base64url");
  }
  token.signed_text = std::string(word.substr(0, second));
  const auto method = method_of(*claims);
  if (!method.ok()) {
    return method.status();
  }
  token.method = *method;
  auto controller = controller_url(text_of(*claims, "iss"));
  if (!controller.ok()) {
    return invalid("its issuer is not the https:// address of a controller");
  }
  token.controller = *std::move(controller);
  token.identity = text_of(*claims, "sub");
  token.secret = text_of(*claims, "jti");
  if (token.method != EnrollMethod::ca && (token.identity.empty() || token.secret.empty())) {
    return invalid("it names no identity, or holds no one-time secret");
  }
  if (auto status = check_times(*claims, now, &token.expires); !status.ok()) {
    return status;
  }
  return token;
}

}  // namespace simplon::overlay::ziti
