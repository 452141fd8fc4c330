// An OpenZiti identity: controllers, key, certificate chain and trust bundle, in one JSON file as
// any of OpenZiti's SDKs writes it.
//
// Plain values and functions; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace simplon::overlay::ziti {

/// Of the JSON text, and of each file that it refers to.
inline constexpr std::size_t kMaxIdentityBytes = 256 * 1024;

struct IdentityFile {
  std::vector<std::string> controllers;  ///< https://host:port/edge/client/v1
  std::string key;                       ///< PEM
  std::string certificate;               ///< PEM, leaf first
  std::string ca;                        ///< PEM: controllers and routers
  bool operator==(const IdentityFile&) const = default;
};

/// INVALID_ARGUMENT says which part is missing or does not parse; key and certificate belong
/// together. `folder` is what
/// references to files are relative to; empty: they are refused. NOT_FOUND, PERMISSION_DENIED: a
/// file that is referred to. UNIMPLEMENTED: keys in hardware.
absl::StatusOr<IdentityFile> parse_identity(std::string_view json,
                                            const std::filesystem::path& folder);

/// As OpenZiti's own tools write it, with everything inline.
std::string to_json(const IdentityFile& identity);

/// In words what a chain without intermediates lacks. No error by itself: a controller that knows
/// the certificate takes it, and one that was issued by an authority of others leads elsewhere. But
/// it explains why a network refuses the identity.
std::optional<std::string> chain_gap(const IdentityFile& identity);

/// NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT; messages name the file.
absl::StatusOr<IdentityFile> load_identity(const std::filesystem::path& file);

/// "https://host:port/edge/client/v1" of what files and tokens say: the path is completed where
/// there is none, the port is 443 where there is none. INVALID_ARGUMENT: not such an address.
absl::StatusOr<std::string> controller_url(std::string_view text);

}  // namespace simplon::overlay::ziti
