// The field Forwarded (RFC 7239) of an arriving request, element by element.
//
// Views of the fields it was read from. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/head.hpp"

namespace simplon::http {

/// What one proxy said. Values are without their quotes; empty where there is none.
struct ForwardedElement {
  std::string_view text;  ///< as it came
  std::string_view node;  ///< for=
  std::string_view host;
  std::string_view proto;
};

/// All elements of all such fields, in their order. Nothing where one is malformed, because an open
/// quote would take in what is appended behind it, or quotes what separates elements.
std::optional<std::vector<ForwardedElement>> forwarded_of(const Fields& fields);

/// The IP address in a node, or in a member of X-Forwarded-For, where some write ports, brackets or
/// anything; "unknown" for all else.
std::string address_of(std::string_view node);

}  // namespace simplon::http
