// The one error category of the data path, and the description of a failure that a person reads.
//
// Bytes from a peer never reach an assert: a peer's misbehaviour is one of these codes and closes
// that peer's stream or session.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>

namespace simplon::base {

/// What can go wrong on the data path. Values are not sent over the wire (see
/// lib/overlay/embedded/PROTOCOL.md for those) and may be renumbered.
enum class Errc {
  would_block = 1,     ///< nothing can be done now; wait and try again
  timed_out,           ///< the deadline passed; the stream can be used again
  cancelled,           ///< the waiting side gave up
  closed,              ///< this end was closed or reset locally
  reset,               ///< the other end reset the stream, without a reason that we know
  truncated,           ///< TLS ended without close_notify
  refused,             ///< connection refused
  unreachable,         ///< no route to the address
  name_not_found,      ///< the host name does not resolve
  address_in_use,      ///< another socket listens there
  protocol_error,      ///< the peer broke the protocol
  limit_exceeded,      ///< a bound of ours was reached (size, count, rate)
  memory,              ///< the agent's memory budget was reached; this stream was chosen
  bad_certificate,     ///< a certificate was missing, expired, or of another network
  handshake_failed,    ///< TLS could not be agreed
  no_such_service,     ///< nobody ever claimed this service name
  not_permitted,       ///< the other side knows who we are and says no
  not_hosted,          ///< the name is claimed, but no agent hosts it now
  host_refused,        ///< the hosting agent refused the stream
  link_lost,           ///< the session or the hub is gone
  target_refused,      ///< the hosting agent reached its target's host, which refused
  target_unreachable,  ///< the hosting agent cannot reach its target
  target_timed_out,    ///< the target did not answer in time
  draining,            ///< the other side shuts down and takes no new streams
  bad_request,         ///< malformed input of an HTTP client
  bad_response,        ///< malformed answer of an HTTP origin
  other_version,       ///< the other side speaks another version of HTTP
  invalid_argument,    ///< a value that a person or file gave makes no sense
  not_found,           ///< a file or entry that should exist does not
  already_exists,      ///< a file or entry that should not exist does
  internal,            ///< our own defect, contained
};

const std::error_category& category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

template <class T>
using Result = std::expected<T, std::error_code>;

/// Shorthand for a failed Result.
inline std::unexpected<std::error_code> fail(Errc code) {
  return std::unexpected(make_error_code(code));
}

/// A step of a path; every failure names its hop.
enum class Hop { client, access, frontend, overlay, hub, share, target };
std::string_view to_string(Hop hop) noexcept;

/// A failure as a person reads it: which hop, what kind, and the details in words.
struct Failure {
  Hop hop = Hop::overlay;
  std::error_code code;
  std::string detail;  ///< one sentence without a full stop; may be empty

  /// "share: nobody hosts this service now: <detail>"
  std::string message() const;
};

}  // namespace simplon::base

template <>
struct std::is_error_code_enum<simplon::base::Errc> : std::true_type {};
