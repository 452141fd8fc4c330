// Enrollment at an OpenZiti controller: a one-time token becomes an identity. The key is made
// here, nothing is trusted before the token's signature was verified with the key of the
// controller's own certificate, and that certificate is then the only one accepted.
//
// Cancellation: the exchange ends where it is; a token may be used up by then, which is why the
// key is handed out before the request goes.
#pragma once

#include <functional>
#include <string>

#include <absl/status/statusor.h>

#include "net/async.hpp"
#include "overlay/ziti/identity_file.hpp"

namespace simplon::overlay::ziti {

struct EnrollOptions {
  /// PEM, for tokens of the methods ottca and ca: the key and certificate of the third-party
  /// authority that the network knows. Empty for ott.
  std::string key;
  std::string certificate;
  /// Called with the new key (PEM) before the token is used: it is good once only. A failure ends
  /// the enrollment with the token unused.
  std::function<absl::Status(const std::string& key_pem)> keep_key;
};

/// INVALID_ARGUMENT (not a token, or of a method that is not offered), PERMISSION_DENIED (forged,
/// expired, used), FAILED_PRECONDITION (clock skew; key or certificate missing), UNAVAILABLE,
/// DEADLINE_EXCEEDED.
net::awaitable<absl::StatusOr<IdentityFile>> enroll(net::Loop* loop, std::string jwt,
                                                    EnrollOptions options, net::TimePoint deadline);

}  // namespace simplon::overlay::ziti
