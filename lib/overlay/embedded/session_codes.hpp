// The one table of reasons that travel between agents: in the length field of a window update with
// RST, and in the status that answers an open (PROTOCOL.md, "Reasons").
#pragma once

#include <cstdint>
#include <system_error>

#include "base/error.hpp"

namespace simplon::overlay {

/// What ordinary yamux peers send with RST: no reason.
inline constexpr std::uint32_t kNoReason = 0;

/// kNoReason for codes that say nothing to another agent.
std::uint32_t to_wire(std::error_code reason) noexcept;

/// Errc::reset for kNoReason and for codes of a newer peer that we do not know.
base::Errc from_wire(std::uint32_t code) noexcept;

}  // namespace simplon::overlay
