// What a client gets when the proxy itself answers: a small text or JSON body, and the header
// `Simplon-Error: hop=…; reason=…`, which tells our failures from the origin's.
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "http/head.hpp"

namespace simplon::http {

/// 404, 403, 502, 503, 504 or 505, by what failed.
int status_of(const std::error_code& code) noexcept;

/// One word for a failure, as in Simplon-Error: "not_hosted", "target_refused".
std::string_view reason_of(const std::error_code& code) noexcept;

struct ErrorResponse {
  int status = 500;
  base::Hop hop = base::Hop::client;
  std::string_view reason;
  std::string text;  ///< one sentence for a person; no internals of the upstream
};

ErrorResponse error_response(const base::Failure& failure);
/// `what` the verdict is about.
ErrorResponse error_response(const Verdict& verdict,
                             std::string_view what = "the request was refused");

struct ErrorFormat {
  bool json = false;  ///< Accept prefers application/json
  bool head = false;  ///< answers HEAD: no body
  bool close = true;  ///< the connection ends here
};

/// What Allow says.
inline constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Head and body.
std::string render(const ErrorResponse& error, const ErrorFormat& format);

/// Whether Accept names JSON and not HTML or text before it.
bool prefers_json(const RequestHead& head);

}  // namespace simplon::http
