// A stream whose first bytes were already read: what came behind a 101 in the same segment.
//
// Owns itself as any stream; keeps the inner one, which nobody else may use meanwhile. Threads and
// cancellation: as of the inner stream.
#pragma once

#include <string>
#include <string_view>

#include "net/stream.hpp"

namespace simplon::http {

/// Reads give `prefix` first, then what the inner stream gives. Without a prefix: `inner` itself.
net::StreamPtr with_prefix(net::StreamPtr inner, std::string_view prefix);

}  // namespace simplon::http
