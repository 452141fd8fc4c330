#include "agent/page.hpp"

#include <algorithm>

#include "overlay/network.hpp"

namespace simplon::agent {

absl::StatusOr<Page> page_of(const tunnel::Registry::Snapshot& all, std::int32_t size,
                             std::string_view token) {
  if (size < 0) {
    return absl::InvalidArgumentError("page_size: is negative");
  }
  if (!token.empty() && !overlay::valid_service_name(token)) {
    return absl::InvalidArgumentError("page_token: is not one that this agent gave");
  }
  const auto count = static_cast<std::size_t>(size == 0 ? kMaxPage : std::min(size, kMaxPage));
  Page out;
  for (auto at = token.empty() ? all->begin() : all->upper_bound(token); at != all->end(); ++at) {
    if (out.tunnels.size() == count) {
      out.next = out.tunnels.back()->name;
      break;
    }
    out.tunnels.push_back(at->second);
  }
  return out;
}

}  // namespace simplon::agent
