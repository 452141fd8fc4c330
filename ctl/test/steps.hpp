// The steps of a test as they happen: elapsed seconds, step, detail.
//
// Owned by the tool's coroutine; its loop only.
#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/outcome.hpp"
#include "net/loop.hpp"

namespace simplon::ctl {

class Steps {
 public:
  struct Line {
    double seconds = 0;
    std::string step;
    std::string detail;
  };

  /// Lines go to `out` at once; with `quiet` they are only kept.
  Steps(net::Loop& loop, std::ostream& out, bool quiet);

  /// The step that is under way from now on.
  void enter(std::string_view step) { current_ = step; }
  const std::string& current() const { return current_; }
  /// A line of the current step.
  void say(std::string detail);
  /// A line of no step, only printed: the result.
  void print(const std::string& text);
  double elapsed() const;

  const std::vector<Line>& lines() const { return lines_; }

  /// The current step failed: "handshake: timed out after 10s".
  std::unexpected<Trouble> failed(std::string why, std::string next = {}) const;
  /// The same for an error of the stream; a timeout names the limit.
  std::unexpected<Trouble> failed(std::error_code error, std::chrono::milliseconds limit,
                                  std::string next = {}) const;

 private:
  net::Loop& loop_;
  std::ostream& out_;
  bool quiet_;
  net::TimePoint start_;
  std::string current_;
  std::vector<Line> lines_;
};

/// `text` in double quotes, with what a terminal would act on escaped; at most 200 bytes of it.
std::string shown(std::string_view text);

/// "10 s", "500 ms".
std::string shown(std::chrono::milliseconds time);

}  // namespace simplon::ctl
