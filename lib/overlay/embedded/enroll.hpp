// Becoming a member: the one-time token of an invitation, and the exchange that turns it into an
// identity (PROTOCOL.md, "Enrollment"). The private key is made here and never leaves.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "net/async.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/identity.hpp"

namespace simplon::overlay {

inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr std::chrono::seconds kEnrollDeadline{10};

/// What an invitation hands over. As text: "simplon-join-1." and base64url of its JSON, in one
/// word.
struct Token {
  std::string name;                    ///< the new member's
  std::vector<std::string> addresses;  ///< of the hub, "host:port"; 1 to 16
  std::string root_spki;               ///< 32 raw bytes: SHA-256 of the root's SubjectPublicKeyInfo
  std::string secret;                  ///< 32 raw bytes
  std::chrono::system_clock::time_point expires{};  ///< whole seconds
  bool operator==(const Token&) const = default;
};

std::string encode_token(const Token& token);
/// INVALID_ARGUMENT says what is wrong; white space around it is ignored.
absl::StatusOr<Token> parse_token(std::string_view text);

/// Enrolls at the first address that answers. INVALID_ARGUMENT, PERMISSION_DENIED (used, expired,
/// unknown, or the hub is not the one of the token), UNAVAILABLE (nobody answers; names each
/// address), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (the hub limits attempts).
net::awaitable<absl::StatusOr<IdentityFile>> enroll(net::Loop& loop, Token token,
                                                    net::TimePoint deadline);

/// A key made here, and the request to have it signed by other means (Hub.SignIdentity).
struct IdentityRequest {
  std::string private_key;  ///< PEM
  std::string request;      ///< PEM
};
absl::StatusOr<IdentityRequest> make_identity_request(std::string_view name);

}  // namespace simplon::overlay
