// Lists in pages. A token is the last name of the page before, so that pages stay right while
// tunnels come and go. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "tunnel/registry.hpp"

namespace simplon::agent {

inline constexpr std::int32_t kMaxPage = 1000;

struct Page {
  std::vector<tunnel::TunnelPtr> tunnels;  ///< by name
  std::string next;                        ///< empty: that was all
};

/// INVALID_ARGUMENT: page_size is negative, or page_token is none of ours.
absl::StatusOr<Page> page_of(const tunnel::Registry::Snapshot& all, std::int32_t size,
                             std::string_view token);

}  // namespace simplon::agent
