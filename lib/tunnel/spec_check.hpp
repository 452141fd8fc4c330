// The pieces of normalize(): INVALID_ARGUMENT that begins with the field, and the checks of what a
// spec says about HTTP. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "tunnel/spec.hpp"
#include "tunnel/target.hpp"

namespace simplon::tunnel {

inline constexpr std::string_view kLabelRule =
    "must be one DNS label: 1 to 63 of a-z, 0-9 and \"-\", not starting or ending with \"-\"";

/// "field: why".
absl::Status wrong(std::string_view field, std::string_view why);

/// For one line of an error message, a space behind it: what could end that line or drive a
/// terminal is "?".
std::string quoted(std::string_view text);

absl::Status check_http(Share& share, const Target& target);
absl::Status check_http(Access& access);
absl::Status check_http(Frontend& frontend);

}  // namespace simplon::tunnel
