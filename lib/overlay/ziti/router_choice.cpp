#include "overlay/ziti/router_choice.hpp"

#include <algorithm>
#include <tuple>

namespace simplon::overlay::ziti {

std::optional<std::size_t> choose_channel(std::span<const ChannelLoad> channels) {
  if (channels.empty()) {
    return std::nullopt;
  }
  const auto slowness = [](const ChannelLoad& channel) {
    return channel.latency.value_or(std::chrono::nanoseconds::max());
  };
  // Each channel has a latency of its own: the router's is that of its fastest.
  const ChannelLoad& fastest =
      *std::ranges::min_element(channels, [&](const ChannelLoad& a, const ChannelLoad& b) {
        return std::tuple(slowness(a), a.circuits) < std::tuple(slowness(b), b.circuits);
      });
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (channels[i].router == fastest.router &&
        (!best || channels[i].circuits < channels[*best].circuits)) {
      best = i;
    }
  }
  return best;
}

}  // namespace simplon::overlay::ziti
