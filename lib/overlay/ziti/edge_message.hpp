// What an edge client and an edge router say to each other: content types, headers, and refusals
// as one error type. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/printable.hpp"
#include "overlay/ziti/frame.hpp"

namespace simplon::overlay::ziti {

namespace content {
inline constexpr std::int32_t kHello = 0;
inline constexpr std::int32_t kResult = 2;
inline constexpr std::int32_t kLatency = 3;
inline constexpr std::int32_t kConnect = 60783;
inline constexpr std::int32_t kStateConnected = 60784;
inline constexpr std::int32_t kStateClosed = 60785;
inline constexpr std::int32_t kData = 60786;
inline constexpr std::int32_t kDial = 60787;
inline constexpr std::int32_t kDialSuccess = 60788;
inline constexpr std::int32_t kDialFailed = 60789;
inline constexpr std::int32_t kBind = 60790;
inline constexpr std::int32_t kUnbind = 60791;
inline constexpr std::int32_t kUpdateBind = 60794;
inline constexpr std::int32_t kHealthEvent = 60795;
inline constexpr std::int32_t kConnInspectRequest = 60798;
inline constexpr std::int32_t kConnInspectResponse = 60799;
inline constexpr std::int32_t kBindSuccess = 60800;
inline constexpr std::int32_t kUpdateTokenSuccess = 60801;
inline constexpr std::int32_t kUpdateTokenFailure = 60802;
inline constexpr std::int32_t kUpdateToken = 60803;
}  // namespace content

namespace header {
inline constexpr std::int32_t kReplyFor = 1;
inline constexpr std::int32_t kResultSuccess = 2;
/// Latency: the time, echoed. Data: 16 bytes that travel from end to end.
inline constexpr std::int32_t kReflected = 128;
inline constexpr std::int32_t kConnId = 1000;
inline constexpr std::int32_t kSessionToken = 1002;
inline constexpr std::int32_t kPublicKey = 1003;
inline constexpr std::int32_t kCost = 1004;
inline constexpr std::int32_t kPrecedence = 1005;
inline constexpr std::int32_t kTerminatorIdentity = 1006;
inline constexpr std::int32_t kCallerId = 1008;
inline constexpr std::int32_t kCryptoMethod = 1009;
inline constexpr std::int32_t kFlags = 1010;
inline constexpr std::int32_t kAppData = 1011;
/// A bool in Bind and StateConnected, a number in Dial.
inline constexpr std::int32_t kRouterProvidedConnId = 1012;
inline constexpr std::int32_t kHealthStatus = 1013;
inline constexpr std::int32_t kErrorCode = 1014;
inline constexpr std::int32_t kListenerId = 1021;
inline constexpr std::int32_t kConnType = 1022;
inline constexpr std::int32_t kSupportsInspect = 1023;
inline constexpr std::int32_t kSupportsBindSuccess = 1024;
inline constexpr std::int32_t kConnectionMarker = 1025;
inline constexpr std::int32_t kCircuitId = 1026;
inline constexpr std::int32_t kStructuredError = 1033;
inline constexpr std::int32_t kDialerIdentityId = 1034;
inline constexpr std::int32_t kDialerIdentityName = 1035;
}  // namespace header

namespace data_flag {
inline constexpr std::uint32_t kFin = 1;
inline constexpr std::uint32_t kStream = 8;          ///< borders of messages mean nothing to me
inline constexpr std::uint32_t kMultipartBody = 16;  ///< this body holds several parts
}  // namespace data_flag

/// Header 128 of an end's first Data and of its FIN: it always sends FIN before a clean end, so
/// StateClosed without FIN is none, nor is a FIN without this.
inline constexpr std::string_view kFinMarker{"simplon:fin/1\0\0\0", 16};

/// Connection ids of Connect and Bind are below, those that a router gives to a Dial above.
inline constexpr std::uint32_t kLastOwnConnId = 0x7fff'fffd;
inline constexpr std::uint32_t kFirstRouterConnId = 0x8000'0000;

enum class EdgeErrorKind : std::uint8_t {
  login_refused,    ///< the router does not accept the API session: log in anew
  invalid_session,  ///< ... the service session
  no_such_service,
  no_terminators,      ///< nobody hosts it
  encryption_missing,  ///< one side sent no key
  not_permitted,
  posture,        ///< a posture check fails
  no_controller,  ///< the router has lost its controller
  host_refused,
  revoked,  ///< the session or the right to it was taken away later
  timed_out,
  link_lost,
  protocol,  ///< the router breaks the protocol
  other,
};
std::string_view to_string(EdgeErrorKind kind) noexcept;

inline constexpr std::size_t kMaxErrorText = 512;

/// Why the edge did not do as it was asked.
struct EdgeError {
  EdgeErrorKind kind = EdgeErrorKind::other;
  std::string text;    ///< the network's words, as printable() has them, at most kMaxErrorText
  bool retry = false;  ///< worth another try as it is
  bool new_session = false;  ///< ... with a new service session (login_refused: a new login)
};

using base::printable;

/// What StateClosed, or another failure, says: by its code if it has one, else by its text.
EdgeError refusal_of(const FrameView& frame);
/// The same, of the text alone.
EdgeError refusal_of(std::string_view text);

}  // namespace simplon::overlay::ziti
