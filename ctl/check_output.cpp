#include "ctl/check_output.hpp"

#include <algorithm>

namespace simplon::ctl {
namespace {

// So that the lines of one check are columns, though each is printed when it is known.
constexpr std::size_t kHopWidth = 16;
constexpr std::size_t kLatencyWidth = 7;
constexpr std::size_t kStateWidth = 4;

std::string padded(std::string text, std::size_t width) {
  text.append(text.size() < width ? width - text.size() : 0, ' ');
  return text + "  ";
}

std::string state_of(const v1::CheckResult& result) {
  switch (result.state()) {
    case v1::CheckResult::STATE_PASSED:
      return "ok";
    case v1::CheckResult::STATE_WARNED:
      return "warn";
    case v1::CheckResult::STATE_FAILED:
      return "FAIL";
    default:
      return "?";
  }
}

// What others say may be any text: what drives a terminal is "?".
std::string shown(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace

std::string latency_text(std::uint64_t microseconds) {
  if (microseconds < 10'000) {
    return std::to_string(microseconds) + " us";
  }
  if (microseconds < 1'000'000) {
    return std::to_string(microseconds / 1000) + " ms";
  }
  return std::to_string(microseconds / 1'000'000) + "." +
         std::to_string(microseconds / 100'000 % 10) + " s";
}

std::string check_line(const v1::CheckResult& result) {
  const std::string margin(kStateWidth + 2, ' ');
  std::string latency =
      result.has_latency_microseconds() ? latency_text(result.latency_microseconds()) : "-";
  std::string out = padded(state_of(result), kStateWidth) + padded(shown(result.hop()), kHopWidth) +
                    padded(std::move(latency), kLatencyWidth) + shown(result.message()) + "\n";
  if (!result.advice().empty()) {
    out.append(margin).append("do: ").append(shown(result.advice())).append("\n");
  }
  if (result.state() != v1::CheckResult::STATE_PASSED && !result.connection_id().empty()) {
    out.append(margin)
        .append("more: simplonctl log-level debug, and look in the logs for conn=")
        .append(shown(result.connection_id()))
        .append("\n");
  }
  return out;
}

}  // namespace simplon::ctl
