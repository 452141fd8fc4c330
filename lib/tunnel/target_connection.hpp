// Connecting to a share's target, and saying truthfully what went wrong.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "net/tls.hpp"
#include "tunnel/target.hpp"

namespace simplon::tunnel {

struct TargetFailure {
  /// target_refused, target_unreachable, target_timed_out, bad_certificate or handshake_failed.
  /// Without details: it goes to clients, whom the target's address does not concern.
  base::Failure failure;
  /// "target localhost:3000: connection refused", for the share's owner.
  std::string text;
};

/// A connection to the target, TLS included where `tls` is given and the target's scheme says so.
net::awaitable<std::expected<net::StreamPtr, TargetFailure>> connect_target(
    net::Loop& loop, Target target, std::shared_ptr<const net::TlsContext> tls,
    net::TimePoint deadline);

}  // namespace simplon::tunnel
