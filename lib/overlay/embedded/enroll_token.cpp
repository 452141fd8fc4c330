// The one-time token of an invitation as text.

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "net/endpoint.hpp"
#include "overlay/embedded/enroll.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr std::string_view kPrefix = "simplon-join-1.";
constexpr std::string_view kAnyPrefix = "simplon-join-";
constexpr std::size_t kMaxAddresses = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kSecretBytes = 32;
// The year 2200: the clock's nanoseconds hold it.
constexpr std::int64_t kLastSecond = 7'258'118'400;

// absl::string_view is not std::string_view in this release of abseil.
absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status invalid(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("join token: ", what));
}

std::string encode(std::string_view bytes) { return absl::WebSafeBase64Escape(to_absl(bytes)); }

// Empty unless it is the text of exactly so many bytes.
std::string decode(const json& object, const char* key, std::size_t size) {
  const auto at = object.find(key);
  std::string out;
  if (at == object.end() || !at->is_string() ||
      !absl::WebSafeBase64Unescape(at->get_ref<const std::string&>(), &out) || out.size() != size) {
    out.clear();
  }
  return out;
}

absl::Status read_addresses(const json& object, Token* token) {
  const auto at = object.find("addresses");
  if (at == object.end() || !at->is_array() || at->empty() || at->size() > kMaxAddresses) {
    return invalid("it names no address of the hub");
  }
  for (const json& one : *at) {
    const auto endpoint = one.is_string()
                              ? net::parse_endpoint(one.get_ref<const std::string&>())
                              : base::Result<net::Endpoint>(base::fail(base::Errc::not_found));
    if (!endpoint || endpoint->host.empty() || endpoint->port == 0) {
      return invalid("an address in it is not \"host:port\"");
    }
    token->addresses.push_back(one.get<std::string>());
  }
  return absl::OkStatus();
}

}  // namespace

std::string encode_token(const Token& token) {
  const auto expires = std::chrono::duration_cast<seconds>(token.expires.time_since_epoch());
  const json object = {{"name", token.name},
                       {"addresses", token.addresses},
                       {"root", encode(token.root_spki)},
                       {"secret", encode(token.secret)},
                       {"expires", expires.count()}};
  return std::string(kPrefix) + encode(object.dump(-1, ' ', false, json::error_handler_t::replace));
}

absl::StatusOr<Token> parse_token(std::string_view text) {
  if (text.size() > kMaxTokenBytes) {
    return invalid("longer than 4096 bytes");
  }
  const std::string word(absl::StripAsciiWhitespace(to_absl(text)));
  if (!word.starts_with(kPrefix)) {
    return invalid(word.starts_with(kAnyPrefix) ? "of a newer version of Simplon"
                                                : "it does not start with simplon-join-1.");
  }
  std::string decoded;
  if (!absl::WebSafeBase64Unescape(to_absl(std::string_view(word).substr(kPrefix.size())),
                                   &decoded)) {
    return invalid("damaged: not base64url");
  }
  const json object = json::parse(decoded, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return invalid("damaged: cut off, or not copied whole");
  }
  Token token;
  const auto name = object.find("name");
  if (name == object.end() || !name->is_string() ||
      !valid_service_name(name->get_ref<const std::string&>())) {
    return invalid("it names no member");
  }
  token.name = name->get<std::string>();
  if (auto status = read_addresses(object, &token); !status.ok()) {
    return status;
  }
  token.root_spki = decode(object, "root", kHashBytes);
  token.secret = decode(object, "secret", kSecretBytes);
  if (token.root_spki.empty() || token.secret.empty()) {
    return invalid("root or secret is damaged");
  }
  const auto expires = object.find("expires");
  if (expires == object.end() || !expires->is_number_integer()) {
    return invalid("it does not say when it expires");
  }
  // As unsigned, a number above the signed range would read as a negative one.
  const auto when = expires->is_number_unsigned() && expires->get<std::uint64_t>() > kLastSecond
                        ? -1
                        : expires->get<std::int64_t>();
  if (when < 0 || when > kLastSecond) {
    return invalid("its expiry is not a time");
  }
  token.expires = system_clock::time_point(seconds(when));
  return token;
}

}  // namespace simplon::overlay
