#include "tunnel/names.hpp"

#include <algorithm>
#include <array>

#include <sodium.h>

namespace simplon::tunnel {
namespace {

constexpr std::array<std::string_view, 32> kFirst{
    "amber", "brave",  "brisk",  "calm",  "clear",  "crisp", "early",  "fair",
    "fresh", "gentle", "golden", "grand", "green",  "happy", "hidden", "high",
    "keen",  "late",   "light",  "lucky", "mellow", "noble", "quick",  "quiet",
    "rapid", "silver", "snowy",  "solid", "steady", "sunny", "swift",  "warm"};
constexpr std::array<std::string_view, 32> kSecond{
    "arete", "beacon", "bridge", "brook", "cairn",  "col",   "crest", "falls",
    "fern",  "gorge",  "grove",  "haven", "hollow", "hut",   "ibex",  "lake",
    "larch", "marmot", "mesa",   "mill",  "moss",   "pass",  "peak",  "pine",
    "pond",  "ridge",  "slope",  "spur",  "stone",  "trail", "vale",  "weir"};

template <std::size_t N>
std::string_view any_of(const std::array<std::string_view, N>& words) {
  return words[randombytes_uniform(N)];
}

constexpr std::size_t kMaxLabel = 63;
constexpr int kPlainTries = 20;

// A tunnel's name is a DNS label; a service's may be any text.
std::string label_of(std::string_view service, std::size_t most) {
  std::string out;
  for (const char c : service) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool fits = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (fits || (!out.empty() && out.back() != '-')) {
      out += fits ? lower : '-';
    }
  }
  out.resize(std::min(out.size(), most));
  while (out.ends_with('-')) {
    out.pop_back();
  }
  return out.empty() ? "service" : out;
}

}  // namespace

std::string choose_name(const Spec& spec, const std::function<bool(std::string_view)>& taken) {
  std::string base;
  if (const auto* access = std::get_if<Access>(&spec)) {
    constexpr std::string_view suffix = "-access";
    base = label_of(access->service, kMaxLabel - suffix.size()).append(suffix);
    if (!taken(base)) {
      return base;
    }
  } else {
    for (int i = 0; i < kPlainTries; ++i) {
      base = std::string(any_of(kFirst)).append("-").append(any_of(kSecond));
      if (!taken(base)) {
        return base;
      }
    }
  }
  for (std::uint64_t number = 2;; ++number) {
    const std::string suffix = "-" + std::to_string(number);
    std::string name = base.substr(0, kMaxLabel - suffix.size()) + suffix;
    if (!taken(name)) {
      return name;
    }
  }
}

}  // namespace simplon::tunnel
