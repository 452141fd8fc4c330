// How a command ends: done, or a Trouble that a person can act on.
#pragma once

#include <expected>
#include <string>

namespace simplon::ctl {

/// The exit codes of simplonctl, part of its interface.
enum class Exit : int {
  done = 0,
  failed = 1,
  usage = 2,
  unreachable = 3,  ///< no agent answers
  not_found = 4,
};

struct Trouble {
  Exit exit = Exit::failed;
  std::string what;   ///< what went wrong and at which hop; one sentence, no full stop
  std::string next;   ///< what to do about it; may be empty
  int code = 0;       ///< the API's status code; 0 where it is not the agent's answer
  std::string hop{};  ///< where on the path it is, where that is known
};

template <class T>
using Answer = std::expected<T, Trouble>;
using Outcome = Answer<void>;

inline std::unexpected<Trouble> trouble(Exit exit, std::string what, std::string next = {}) {
  return std::unexpected(Trouble{.exit = exit, .what = std::move(what), .next = std::move(next)});
}

}  // namespace simplon::ctl
