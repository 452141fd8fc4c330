// The one-time token of an OpenZiti enrollment: a signed JSON web token (compact form).
//
// Plain values and functions; any thread. Nothing in a token may be used for more than finding the
// controller before verify() said that it is that controller's.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "overlay/ziti/certificate.hpp"

namespace simplon::overlay::ziti {

inline constexpr std::size_t kMaxTokenBytes = 16 * 1024;

/// ott: our key is certified. ottca, ca: we show a certificate of an authority that the network
/// knows.
enum class EnrollMethod : std::uint8_t { ott, ottca, ca };

struct EnrollToken {
  EnrollMethod method = EnrollMethod::ott;
  std::string controller;  ///< https://host:port/edge/client/v1, of the issuer
  std::string identity;    ///< the new identity's id; of ca, the authority's
  std::string secret;      ///< the one-time token; empty for ca
  std::chrono::system_clock::time_point expires{};
  Signature algorithm = Signature::rs256;
  std::string signed_text;
  std::string signature;

  /// PERMISSION_DENIED: not signed by the key of this certificate (DER).
  absl::Status verify(std::string_view leaf) const;
};

/// White space around it is ignored. INVALID_ARGUMENT: damaged, not signed in a way that proves
/// anything, or no enrollment that Simplon can do. PERMISSION_DENIED: expired.
/// FAILED_PRECONDITION: not valid yet, so this host's clock is behind.
absl::StatusOr<EnrollToken> parse_enroll_token(std::string_view text,
                                               std::chrono::system_clock::time_point now);

}  // namespace simplon::overlay::ziti
