// How a host of a service stands among others that host it, where the overlay knows such a thing
// (OpenZiti).
//
// Plain values; any thread.
#pragma once

#include <cstdint>

namespace simplon::overlay {

/// Hosts of the highest one that is there are dialed: those that are required, then those of
/// standard, and those that failed only where there are no others.
enum class Precedence : std::uint8_t { standard, required, failed };

struct Rank {
  std::uint16_t cost = 0;  ///< among hosts of one precedence the cheaper ones are preferred
  Precedence precedence = Precedence::standard;
  bool operator==(const Rank&) const = default;
};

}  // namespace simplon::overlay
