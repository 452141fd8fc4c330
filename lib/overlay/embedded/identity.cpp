#include "overlay/embedded/identity.hpp"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "net/endpoint.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/identity_text.hpp"

namespace simplon::overlay {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "simplon-identity";
constexpr int kVersion = 1;
constexpr std::size_t kMaxAddresses = 16;
// OpenZiti's files hold whole trust bundles.
constexpr std::size_t kMaxAnyIdentityBytes = 256 * 1024;

absl::Status invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("identity: ", std::string(what)));
}

absl::StatusOr<json> parse_object(std::string_view text, std::size_t limit = kMaxIdentityBytes) {
  if (text.size() > limit) {
    return invalid(absl::StrCat("larger than ", limit / 1024, " KiB"));
  }
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return invalid("not a JSON object");
  }
  return object;
}

bool is_text(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string();
}

absl::StatusOr<IdentityKind> kind_of(const json& object) {
  if (is_text(object, "kind") && object["kind"].get_ref<const std::string&>() == kKind) {
    return IdentityKind::embedded;
  }
  if (is_text(object, "ztAPI") || object.contains("ztAPIs")) {
    return IdentityKind::ziti;
  }
  return invalid("neither of an embedded network nor of OpenZiti");
}

absl::Status read_addresses(const json& object, std::vector<std::string>* into) {
  const auto at = object.find("addresses");
  if (at == object.end() || !at->is_array() || at->empty() || at->size() > kMaxAddresses) {
    return invalid("addresses: 1 to 16 of \"host:port\" are needed");
  }
  for (const json& one : *at) {
    if (!one.is_string()) {
      return invalid("addresses: not a text");
    }
    const auto& text = one.get_ref<const std::string&>();
    const auto endpoint = net::parse_endpoint(text);
    if (!endpoint || endpoint->host.empty() || endpoint->port == 0) {
      return invalid("addresses: not \"host:port\"");
    }
    into->push_back(text);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IdentityKind> identity_kind(std::string_view text) {
  const auto object = parse_object(text, kMaxAnyIdentityBytes);
  if (!object.ok()) {
    return object.status();
  }
  return kind_of(*object);
}

absl::StatusOr<IdentityFile> parse_identity(std::string_view text) {
  const auto object = parse_object(text);
  if (!object.ok()) {
    return object.status();
  }
  const auto kind = kind_of(*object);
  if (!kind.ok()) {
    return kind.status();
  }
  if (*kind == IdentityKind::ziti) {
    return absl::UnimplementedError("identity: of an OpenZiti network");
  }
  const auto version = object->find("version");
  if (version == object->end() || !version->is_number_integer() || *version != kVersion) {
    return invalid("version: this program reads version 1");
  }
  IdentityFile identity;
  for (const auto& [key, member] : {std::pair{"name", &IdentityFile::name},
                                    std::pair{"certificate", &IdentityFile::certificate},
                                    std::pair{"private_key", &IdentityFile::private_key},
                                    std::pair{"trust_bundle", &IdentityFile::trust_bundle}}) {
    if (!is_text(*object, key)) {
      return invalid(absl::StrCat(key, ": missing, or not a text"));
    }
    identity.*member = object->find(key)->get<std::string>();
  }
  if (auto status = read_addresses(*object, &identity.addresses); !status.ok()) {
    return status;
  }
  const auto grant = read_certificate(identity.certificate);
  if (!grant) {
    return invalid("certificate: not a member's certificate");
  }
  if (grant->name != identity.name) {
    return invalid("name: not the certificate's");
  }
  if (!key_matches(identity.certificate, identity.private_key)) {
    return invalid("private_key: not the certificate's");
  }
  if (!issued_by(identity.certificate, identity.trust_bundle)) {
    return invalid("trust_bundle: without the root that issued the certificate");
  }
  return identity;
}

std::string to_json(const IdentityFile& identity) {
  const json object = {{"kind", kKind},
                       {"version", kVersion},
                       {"name", identity.name},
                       {"certificate", identity.certificate},
                       {"private_key", identity.private_key},
                       {"trust_bundle", identity.trust_bundle},
                       {"addresses", identity.addresses}};
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<IdentityFile> load_identity(const std::filesystem::path& file) {
  const auto text = read_identity_text(file, kMaxIdentityBytes + 1);
  if (!text.ok()) {
    return text.status();
  }
  auto identity = parse_identity(*text);
  return identity.ok() ? std::move(identity) : about_identity(file, identity.status());
}

absl::Status save_identity(const IdentityFile& identity, const std::filesystem::path& file,
                           bool replace) {
  return write_identity_text(to_json(identity), file, replace);
}

}  // namespace simplon::overlay
