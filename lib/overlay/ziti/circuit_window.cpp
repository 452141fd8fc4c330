#include "overlay/ziti/circuit_window.hpp"

namespace simplon::overlay::ziti {
namespace {

constexpr std::string_view kWord = "simplon>";

}  // namespace

GrantMarker grant_marker(std::uint64_t limit) {
  GrantMarker out{};
  for (std::size_t i = 0; i < kWord.size(); ++i) {
    out[i] = static_cast<std::byte>(kWord[i]);
    out[kWord.size() + i] = static_cast<std::byte>(limit >> (8 * i));
  }
  return out;
}

std::optional<std::uint64_t> granted_by(std::string_view marker) {
  if (marker.size() != GrantMarker().size() || !marker.starts_with(kWord)) {
    return std::nullopt;
  }
  std::uint64_t limit = 0;
  for (std::size_t i = 0; i < kWord.size(); ++i) {
    limit |= std::uint64_t{static_cast<unsigned char>(marker[kWord.size() + i])} << (8 * i);
  }
  return limit;
}

}  // namespace simplon::overlay::ziti
