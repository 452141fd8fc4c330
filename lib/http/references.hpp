// Absolute references to the service itself, where its Host is rewritten: towards the target they
// get its scheme and name, back to the client those that the client used.
//
// A value that holds views; lives for one exchange. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/policy.hpp"
#include "http/request_target.hpp"

namespace simplon::http {

struct References {
  std::string_view client;  ///< host[:port] as the client asked for it
  std::string_view target;  ///< host[:port] as the target knows itself
  /// "http" or "https"; empty: not known, then references back leave it open.
  std::string_view client_scheme;
  std::string_view target_scheme = "http";

  /// Of Origin and Referer; the value itself where it points elsewhere.
  std::string towards_target(std::string_view value) const;
  /// Of Location and Content-Location.
  std::string towards_client(std::string_view value) const;
  /// Of Set-Cookie: its Domain, if that is the target.
  std::string cookie_towards_client(std::string_view value) const;
};

/// Of this request, where the policy rewrites them.
std::optional<References> references_of(const RequestHead& head, const Destination& to,
                                        const Policy& policy);

}  // namespace simplon::http
