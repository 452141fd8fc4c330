// Questions of any loop to the control loop, which may be gone by then.
//
// Threads: ask() on the asking loop; the question runs on the control loop, and what it holds is
// destroyed there. Cancellation: a question that nobody waits for any more runs to its own end.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <utility>

#include "net/async.hpp"

namespace simplon::overlay::ziti {

/// The network was let go of on this side.
inline base::Failure given_up() {
  return {.hop = base::Hop::overlay,
          .code = base::Errc::link_lost,
          .detail = "the overlay was given up on this side"};
}

class ControlLoop {
 public:
  explicit ControlLoop(net::Loop& loop) : loop_(&loop), poster_(loop.poster()) {}

  /// False: the loop is gone.
  bool post(std::move_only_function<void()> work) const { return poster_.post(std::move(work)); }

  template <class T>
  using Answer = std::expected<T, base::Failure>;
  template <class T>
  using Question = std::move_only_function<net::awaitable<Answer<T>>()>;

  /// The question's answer; timed_out when it does not come until `deadline`.
  template <class T>
  static net::awaitable<Answer<T>> ask(ControlLoop control, net::Loop& loop, Question<T> question,
                                       net::TimePoint deadline) {
    auto asked = std::make_shared<Asked<T>>(loop);
    const bool posted =
        control.post([at = control.loop_, asked, question = std::move(question)]() mutable {
          net::spawn(*at, "overlay: question", answer<T>(std::move(question), std::move(asked)));
        });
    if (!posted) {
      co_return std::unexpected(given_up());
    }
    if (!co_await asked->gate.wait_until(deadline)) {
      co_return std::unexpected(base::Failure{.hop = base::Hop::overlay,
                                              .code = base::Errc::timed_out,
                                              .detail = "the network did not answer in time"});
    }
    co_return std::move(asked->answer);
  }

 private:
  template <class T>
  struct Asked {
    explicit Asked(net::Loop& from) : back(from.poster()), gate(from) {}
    const net::Loop::Poster back;
    net::Gate gate;  // of the asking loop
    Answer<T> answer = std::unexpected(base::Failure{});
  };

  template <class T>
  static net::awaitable<void> answer(Question<T> question, std::shared_ptr<Asked<T>> asked) {
    Answer<T> found = co_await question();
    // Who asked is destroyed where it came from.
    const net::Loop::Poster back = asked->back;
    back.post([asked = std::move(asked), found = std::move(found)]() mutable {
      asked->answer = std::move(found);
      asked->gate.open();
    });
  }

  net::Loop* loop_;  // for work that is posted: then it is there
  net::Loop::Poster poster_;
};

}  // namespace simplon::overlay::ziti
