// A link that takes its time: moves the bytes of one session's transport to another's, each way
// with a delay and at a rate, in steps of a millisecond of a manual clock. Owned by a test, on its
// thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <vector>

#include "unit/net/harness.hpp"

namespace simplon::overlay::test {

class DelayedLink {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// `rate` is in bytes per millisecond; `delay` is that of one way.
  DelayedLink(base::ManualClock& clock, net::Loop& loop, net::StreamPtr a, net::StreamPtr b,
              Milliseconds delay, std::size_t rate)
      : clock_(clock),
        loop_(loop),
        there_{a, b, {}, {}},
        back_{b, a, {}, {}},
        delay_(delay),
        rate_(rate) {}

  /// Lets time pass; calls `each` in every millisecond.
  template <class Each>
  void run(Milliseconds time, Each each) {
    for (; time.count() > 0; --time) {
      net::test::settle(loop_);
      move(there_);
      move(back_);
      net::test::settle(loop_);
      each();
      clock_.advance(Milliseconds(1));
      now_ += Milliseconds(1);
    }
  }
  void run(Milliseconds time) {
    run(time, [] {});
  }

 private:
  struct Parcel {
    Milliseconds due;
    std::vector<std::byte> bytes;
    std::size_t delivered = 0;
  };
  struct Way {
    net::StreamPtr from;
    net::StreamPtr to;
    std::deque<Parcel> parcels;
    std::vector<std::byte> buffer;
  };

  void move(Way& way) {
    way.buffer.resize(rate_);
    std::size_t filled = 0;
    while (filled < rate_) {
      const auto got = way.from->try_read(std::span(way.buffer).subspan(filled));
      if (!got || *got == 0) {
        break;
      }
      filled += *got;
      net::test::settle(loop_);  // the writer goes on
    }
    if (filled != 0) {
      way.buffer.resize(filled);
      way.parcels.push_back({.due = now_ + delay_, .bytes = std::move(way.buffer)});
      way.buffer.clear();
    }
    while (!way.parcels.empty() && way.parcels.front().due <= now_) {
      Parcel& parcel = way.parcels.front();
      const auto put = way.to->try_write(std::span(parcel.bytes).subspan(parcel.delivered));
      if (!put) {
        break;
      }
      parcel.delivered += *put;
      if (parcel.delivered == parcel.bytes.size()) {
        way.parcels.pop_front();
      }
      net::test::settle(loop_);  // the reader goes on
    }
  }

  base::ManualClock& clock_;
  net::Loop& loop_;
  Way there_;
  Way back_;
  const Milliseconds delay_;
  const std::size_t rate_;
  Milliseconds now_{0};
};

}  // namespace simplon::overlay::test
