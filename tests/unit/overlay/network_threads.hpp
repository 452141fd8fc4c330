// Networks as agents have them: a control loop, and several loops that carry streams.
//
// The fixture of embedded_threads_test.cpp and ziti_threads_test.cpp. A World is a kind of network:
// made on the control loop, it has `join(name, loops)`, which gives a member, and `hosted()`, which
// says whether the service "web" is there for all. Its members live on the control loop; `echo` and
// the dials run on the loops.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/loops.hpp"
#include "unit/overlay/network_suite.hpp"

namespace simplon::overlay::test {

inline net::awaitable<void> echo_once(std::unique_ptr<Inbound> inbound) {
  inbound->accept();
  const net::StreamPtr stream = inbound->stream();
  const auto got = co_await read_to_end(stream);
  if (got) {
    co_await send(stream, *got, true);
  }
  stream->close();
}

inline net::awaitable<void> dial_to_the_end(net::awaitable<DialResult> dialing,
                                            std::shared_ptr<std::atomic<int>> ended) {
  const auto dialed = co_await std::move(dialing);
  ++*ended;
}

template <typename World>
class NetworkThreads : public testing::Test {
 protected:
  static constexpr std::size_t kLoops = 3;
  static constexpr int kDialsOfLoop = 20;

  NetworkThreads() {
    for (std::size_t i = 0; i < kLoops; ++i) {
      hosts.push_back(&host_loops[i]);
      dialers.push_back(&dial_loops[i]);
    }
    alice = world.join("alice", hosts);
    bob = world.join("bob", dialers);
    auto listener =
        run(control, alice->listen({.service = "web"}, [this](std::unique_ptr<Inbound> inbound) {
          net::Loop& loop = inbound->loop();
          note(&loop);
          net::spawn(loop, "echo", echo_once(std::move(inbound)));
        }));
    EXPECT_TRUE(listener);
    web = std::move(*listener);
    EXPECT_TRUE(run_until(control, [&] { return world.hosted(); }));
    EXPECT_TRUE(run_until(control, [&] { return web->status().state == LinkState::up; }));
  }

  void note(const net::Loop* loop) {
    const std::scoped_lock lock(mutex);
    used.insert(loop);
  }

  static net::awaitable<void> dial_some(NetworkThreads* test, net::Loop* loop) {
    for (int i = 0; i < kDialsOfLoop; ++i) {
      auto dialed = co_await test->dialer->dial(
          *loop, {.service = "web", .deadline = loop->now() + std::chrono::seconds(20)});
      if (dialed) {
        co_await send(dialed->stream, std::to_string(i), true);
        const auto back = co_await read_to_end(dialed->stream);
        if (back && *back == std::to_string(i)) {
          ++test->answered;
        }
        dialed->stream->close();
      }
    }
    ++test->finished;
    test->control.post([] {});
  }

  /// How many of kDialsOfLoop dials of each loop were answered.
  int dial_from(Network& from, const std::vector<net::Loop*>& loops) {
    dialer = &from;
    finished = 0;
    answered = 0;
    for (net::Loop* loop : loops) {
      loop->post([this, loop] { net::spawn(*loop, "dials", dial_some(this, loop)); });
    }
    EXPECT_TRUE(run_ticking([&] { return finished == static_cast<int>(loops.size()); }));
    return answered;
  }

  void dial_everywhere(Network& from, const std::vector<net::Loop*>& loops) {
    EXPECT_EQ(dial_from(from, loops), kDialsOfLoop * static_cast<int>(loops.size()));
  }

  /// Every loop dials; once `begun`, the networks go. Each dial ends.
  void let_networks_go(const std::function<bool()>& begun) {
    const auto ended = std::make_shared<std::atomic<int>>(0);
    int started = 0;
    for (net::Loop* loop : dialers) {
      for (int i = 0; i < kDialsOfLoop; ++i) {
        auto dialing = bob->dial(
            *loop, {.service = "web", .deadline = loop->now() + std::chrono::seconds(20)});
        loop->post([loop, dialing = std::move(dialing), ended]() mutable {
          net::spawn(*loop, "dial", dial_to_the_end(std::move(dialing), ended));
        });
        ++started;
      }
    }
    run_until(control, begun);
    bob.reset();
    web.reset();
    alice.reset();
    EXPECT_TRUE(run_ticking([&] { return *ended == started; }));
  }

  /// Time passes on the control loop while it waits.
  bool run_ticking(const std::function<bool()>& done) {
    const auto wake = std::make_shared<net::Timer>(control);
    std::function<void()> tick = [&] {
      wake->arm(control.now() + std::chrono::milliseconds(10), [&] { tick(); });
    };
    tick();
    const bool out = run_until(control, done);
    wake->cancel();
    return out;
  }

  net::Loop control;
  World world{control};
  std::mutex mutex;
  std::set<const net::Loop*> used;
  Network* dialer = nullptr;
  std::atomic<int> finished = 0;
  std::atomic<int> answered = 0;
  // The networks go first; what they leave on their loops goes with these.
  net::Loops host_loops{kLoops};
  net::Loops dial_loops{kLoops};
  std::unique_ptr<typename World::Member> alice;
  std::unique_ptr<typename World::Member> bob;
  std::unique_ptr<Listener> web;
  std::vector<net::Loop*> hosts;
  std::vector<net::Loop*> dialers;
};

}  // namespace simplon::overlay::test
