// CircuitWindow: how far each end of a circuit between two Simplon agents may send before the other
// has read. Owned by its CircuitStream, on its loop; pure bookkeeping.
//
// The edge protocol's own data flow has nothing of the kind from end to end: what a reader leaves
// fills the buffers on the way, and a router whose buffer is full drops messages and repeats them a
// tenth of a second later. Only who hears a grant is bound by it: towards other programs nothing
// changes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace simplon::overlay::ziti {

/// Less than a router holds of one circuit (4 MiB), so that none ever has to drop.
inline constexpr std::uint64_t kCircuitWindow = 2UL * 1024 * 1024;
/// Read bytes that are worth a grant of their own.
inline constexpr std::uint64_t kGrantStep = kCircuitWindow / 4;
inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

class CircuitWindow {
 public:
  // What this end sends.
  std::size_t room(std::size_t wanted) const {
    return limit_ > sent_
               ? static_cast<std::size_t>(std::min<std::uint64_t>(wanted, limit_ - sent_))
               : 0;
  }
  void sent(std::size_t count) { sent_ += count; }
  /// The peer's word. The first one sets a limit, later ones only widen it.
  void heard(std::uint64_t limit) {
    limit_ = bound_ ? std::max(limit_, limit) : limit;
    bound_ = true;
  }

  // What this end reads.
  bool grants() const { return granted_ != 0; }
  /// The first grant.
  std::uint64_t open() { return granted_ = read_ + kCircuitWindow; }
  /// Counts bytes that were read; the new grant when the peer should hear one.
  std::optional<std::uint64_t> read(std::size_t count) {
    read_ += count;
    if (!grants() || read_ + kCircuitWindow - granted_ < kGrantStep) {
      return std::nullopt;
    }
    return open();
  }

 private:
  std::uint64_t sent_ = 0;
  std::uint64_t limit_ = kNoLimit;
  bool bound_ = false;
  std::uint64_t read_ = 0;
  std::uint64_t granted_ = 0;  // 0: the peer does not know of windows
};

/// A grant as header 128 of a Data without body: the bytes that may be sent, since the beginning.
using GrantMarker = std::array<std::byte, 16>;
GrantMarker grant_marker(std::uint64_t limit);
std::optional<std::uint64_t> granted_by(std::string_view marker);

}  // namespace simplon::overlay::ziti
