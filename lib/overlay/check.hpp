// The steps by which a person is told where a path works and where it is broken.
//
// Plain values; any thread. A check is a coroutine of the control loop that reports each step as it
// is done, in the order of the path, and ends with the first that failed.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"

namespace simplon::overlay {

struct CheckStep {
  enum class State {
    passed,
    warned,  ///< it works; a person should look at it
    failed,  ///< what comes behind it was not tried
  };
  std::string hop;
  State state = State::passed;
  std::optional<std::chrono::nanoseconds> latency;
  std::string message;        ///< what was seen, or what is wrong
  std::string advice;         ///< what to do; empty where it passed
  std::string connection_id;  ///< in the logs of both ends at level debug; may be empty
};

/// False: nobody listens any more, the check ends.
using CheckReport = std::function<bool(CheckStep)>;

/// Words of ours are "what happened; what to do".
inline CheckStep broken(std::string hop, const std::string& words, std::string otherwise = {}) {
  const auto at = words.rfind("; ");
  const bool advised = at != std::string::npos;
  return {.hop = std::move(hop),
          .state = CheckStep::State::failed,
          .latency = {},
          .message = words.substr(0, at),
          .advice = advised ? words.substr(at + 2) : std::move(otherwise),
          .connection_id = {}};
}

/// Which part of the path refused is said first, where there is a detail; else the kind.
inline std::string words_of(const base::Failure& failure) {
  return failure.detail.empty() ? failure.message() : failure.detail;
}

}  // namespace simplon::overlay
