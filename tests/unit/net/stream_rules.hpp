// The rules of deadlines as functions that return a verdict.
//
// A deadline moved while a wait is pending applies to that wait at once; after timed_out the stream
// can be used again. A stream that slept on once broke every websocket over zrok: an upgrade moves
// a deadline under a pending read.
// Each needs a stream on which `event` does not happen by itself: nothing to read, or filled.
#pragma once

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "unit/net/harness.hpp"

namespace simplon::net::test {

/// Writes until the stream takes no more, at most `limit`; how much that was.
inline std::size_t fill(Stream& stream, std::size_t limit = 256U * 1024 * 1024) {
  const std::string piece(16 * 1024, 'f');
  std::size_t total = 0;
  // What was taken may still move on, into the kernel or to the other side's buffers.
  for (int idle = 0; idle < 3 && total < limit;) {
    const auto put = stream.try_write(as_buffer(piece));
    if (put) {
      total += *put;
      idle = 0;
    } else {
      ++idle;
      settle(stream.loop());
    }
  }
  return total;
}

class DeadlineRule {
 public:
  DeadlineRule(base::ManualClock& clock, Stream& stream, Event event)
      : clock_(clock), stream_(stream), event_(event), start_(clock.now()) {}
  ~DeadlineRule() {
    stream_.cancel_wait(event_);
    set_none();
  }

  void set(int seconds) { stream_.set_deadline(direction_of(event_), start_ + after(seconds)); }
  void set_none() { stream_.clear_deadline(direction_of(event_)); }
  void wait() {
    probe_ = {};
    stream_.wait(event_, probe_);
    settle(stream_.loop());
  }
  /// To so many seconds after the rule began.
  void move_clock_to(int seconds) {
    clock_.advance(start_ + after(seconds) - clock_.now());
    settle(stream_.loop());
  }
  testing::AssertionResult pending(const std::string& when) const {
    if (probe_.calls == 0) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure()
           << when << ": the wait has ended (" << probe_.error.message() << ")";
  }
  testing::AssertionResult timed_out(const std::string& when) const {
    if (probe_.calls == 1 && probe_.error == Errc::timed_out) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure()
           << when << ": called " << probe_.calls << " times, with: " << probe_.error.message();
  }

 private:
  static Duration after(int seconds) { return std::chrono::seconds(seconds); }

  base::ManualClock& clock_;
  Stream& stream_;
  Event event_;
  TimePoint start_;
  Probe probe_;
};

// A verdict that is not good is the rule's.
#define SIMPLON_RULE(step)                   \
  if (const auto verdict = step; !verdict) { \
    return verdict;                          \
  }                                          \
  static_assert(true)

inline testing::AssertionResult deadline_ends_a_wait(base::ManualClock& clock, Stream& stream,
                                                     Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set(10);
  rule.wait();
  rule.move_clock_to(9);
  SIMPLON_RULE(rule.pending("before the deadline"));
  rule.move_clock_to(10);
  return rule.timed_out("at the deadline");
}

inline testing::AssertionResult deadline_moved_earlier_applies(base::ManualClock& clock,
                                                               Stream& stream, Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set(60);
  rule.wait();
  rule.set(5);
  rule.move_clock_to(4);
  SIMPLON_RULE(rule.pending("before the new deadline"));
  rule.move_clock_to(5);
  SIMPLON_RULE(rule.timed_out("at the new deadline"));
  // Into the past: at once.
  rule.set(60);
  rule.wait();
  rule.set(1);
  settle(stream.loop());
  return rule.timed_out("after a move into the past");
}

inline testing::AssertionResult deadline_set_later_on_applies(base::ManualClock& clock,
                                                              Stream& stream, Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set_none();
  rule.wait();
  rule.move_clock_to(1000);
  SIMPLON_RULE(rule.pending("without a deadline"));
  rule.set(1010);
  rule.move_clock_to(1009);
  SIMPLON_RULE(rule.pending("before the deadline"));
  rule.move_clock_to(1010);
  return rule.timed_out("at the deadline");
}

inline testing::AssertionResult deadline_moved_later_applies(base::ManualClock& clock,
                                                             Stream& stream, Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set(5);
  rule.wait();
  rule.move_clock_to(4);
  rule.set(60);
  rule.move_clock_to(59);
  SIMPLON_RULE(rule.pending("past the old deadline"));
  rule.move_clock_to(60);
  return rule.timed_out("at the new deadline");
}

inline testing::AssertionResult deadline_cleared_applies(base::ManualClock& clock, Stream& stream,
                                                         Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set(5);
  rule.wait();
  rule.set_none();
  rule.move_clock_to(1000);
  return rule.pending("past the cleared deadline");
}

inline testing::AssertionResult passed_deadline_fails_waits(base::ManualClock& clock,
                                                            Stream& stream, Event event) {
  DeadlineRule rule(clock, stream, event);
  rule.set(5);
  rule.move_clock_to(6);
  rule.wait();
  SIMPLON_RULE(rule.timed_out("a wait after the deadline"));
  rule.wait();
  SIMPLON_RULE(rule.timed_out("another wait after the deadline"));
  rule.set(10);
  rule.wait();
  SIMPLON_RULE(rule.pending("after the deadline was moved"));
  rule.move_clock_to(10);
  return rule.timed_out("at the new deadline");
}

#undef SIMPLON_RULE

/// The stream can be used (again): eight bytes each way.
inline testing::AssertionResult works_both_ways(Loop& loop, const StreamPtr& here,
                                                const StreamPtr& there) {
  for (const auto& [from, to] : {std::pair(here, there), std::pair(there, here)}) {
    const auto received = start(loop, read_count(to, 8));
    const auto sent = start(loop, send(from, "12345678"));
    if (!run_until(loop, [&] { return received->has_value(); }) || **received != "12345678") {
      return testing::AssertionFailure() << "eight bytes did not arrive";
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace simplon::net::test
