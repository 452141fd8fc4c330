// Which of a loop's channels a dial takes. Pure, any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

namespace simplon::overlay::ziti {

/// A channel as the choice sees it.
struct ChannelLoad {
  std::size_t router = 0;  ///< which one, of those that will do
  std::optional<std::chrono::nanoseconds> latency;
  std::size_t circuits = 0;
};
/// The index of the best: to the router with the lowest latency (one that was not measured yet
/// comes last), of its channels the one with the fewest circuits. Nothing if there is none.
std::optional<std::size_t> choose_channel(std::span<const ChannelLoad> channels);

}  // namespace simplon::overlay::ziti
