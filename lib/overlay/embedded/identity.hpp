// An identity: key, certificate, trust bundle and the hub's addresses, in one JSON file (0600).
//
// {"kind":"simplon-identity","version":1,"name":…,"certificate":…,"private_key":…,
//  "trust_bundle":…,"addresses":["host:port",…]}
// Plain values and functions; any thread.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace simplon::overlay {

inline constexpr std::size_t kMaxIdentityBytes = 64 * 1024;

struct IdentityFile {
  std::string name;
  std::string certificate;             ///< PEM, leaf first
  std::string private_key;             ///< PEM
  std::string trust_bundle;            ///< PEM, the network's root
  std::vector<std::string> addresses;  ///< of the hub, "host:port", in the order to try
  bool operator==(const IdentityFile&) const = default;
};

enum class IdentityKind { embedded, ziti };

/// From the content. INVALID_ARGUMENT: neither.
absl::StatusOr<IdentityKind> identity_kind(std::string_view json);

/// INVALID_ARGUMENT says which part is missing or does not parse; certificate and key belong
/// together.
absl::StatusOr<IdentityFile> parse_identity(std::string_view json);
std::string to_json(const IdentityFile& identity);

/// NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT; messages name the file. A ziti file is
/// UNIMPLEMENTED.
absl::StatusOr<IdentityFile> load_identity(const std::filesystem::path& file);

/// Written beside and renamed, mode 0600, fsynced. ALREADY_EXISTS unless `replace`.
absl::Status save_identity(const IdentityFile& identity, const std::filesystem::path& file,
                           bool replace = false);

}  // namespace simplon::overlay
