// How many descriptors this process has open: what a test must not change.
#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace simplon::net::test {

inline std::size_t open_files() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace simplon::net::test
