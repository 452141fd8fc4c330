// An OpenZiti network as agents have it: a control loop and several loops of channels.
#include <atomic>
#include <mutex>
#include <set>

#include <sodium.h>

#include "net/loops.hpp"
#include "overlay/ziti/router_pool.hpp"
#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/ziti_scripted_network.hpp"

namespace simplon::overlay::test {
namespace {

constexpr std::size_t kLoops = 3;
constexpr int kDialsOfLoop = 20;

net::awaitable<void> echo(std::unique_ptr<Inbound> inbound) {
  inbound->accept();
  const net::StreamPtr stream = inbound->stream();
  const auto got = co_await read_to_end(stream);
  if (got) {
    co_await send(stream, *got, true);
  }
  stream->close();
}

net::awaitable<void> dial_to_the_end(net::awaitable<DialResult> dialing,
                                     std::shared_ptr<std::atomic<int>> ended) {
  const auto dialed = co_await std::move(dialing);
  ++*ended;
}

class ZitiThreads : public testing::Test {
 protected:
  ZitiThreads() {
    EXPECT_GE(sodium_init(), 0);
    network.emplace(control, std::vector<std::string>{"router-1", "router-2"});
    network->add_service("web");
    for (std::size_t i = 0; i < kLoops; ++i) {
      hosts.push_back(&host_loops[i]);
      dialers.push_back(&dial_loops[i]);
    }
    alice = network->join("alice", hosts);
    bob = network->join("bob", dialers);
    auto listener =
        run(control, alice->listen({.service = "web"}, [this](std::unique_ptr<Inbound> inbound) {
          note(&inbound->loop());
          net::Loop& loop = inbound->loop();
          net::spawn(loop, "echo", echo(std::move(inbound)));
        }));
    EXPECT_TRUE(listener);
    web = std::move(*listener);
    EXPECT_TRUE(run_until(control, [&] { return network->fabric.terminators("web") == 2; }));
    EXPECT_TRUE(run_until(control, [&] { return web->status().state == LinkState::up; }));
  }

  void note(const net::Loop* loop) {
    const std::scoped_lock lock(mutex);
    used.insert(loop);
  }

  static net::awaitable<void> dial_some(ZitiThreads* test, net::Loop* loop) {
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

  void dial_everywhere(Network& from, const std::vector<net::Loop*>& loops) {
    dialer = &from;
    finished = 0;
    answered = 0;
    for (net::Loop* loop : loops) {
      loop->post([this, loop] { net::spawn(*loop, "dials", dial_some(this, loop)); });
    }
    EXPECT_TRUE(run_until(control, [&] { return finished == static_cast<int>(loops.size()); }));
    EXPECT_EQ(answered, kDialsOfLoop * static_cast<int>(loops.size()));
  }

  // Time that passes on the control loop.
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
  std::optional<ziti::test::ScriptedNetwork> network;
  std::mutex mutex;
  std::set<const net::Loop*> used;
  Network* dialer = nullptr;
  std::atomic<int> finished = 0;
  std::atomic<int> answered = 0;
  // The networks go first; what they leave on their loops goes with these.
  net::Loops host_loops{kLoops};
  net::Loops dial_loops{kLoops};
  std::unique_ptr<ziti::ZitiNetwork> alice;
  std::unique_ptr<ziti::ZitiNetwork> bob;
  std::unique_ptr<Listener> web;
  std::vector<net::Loop*> hosts;
  std::vector<net::Loop*> dialers;
};

TEST_F(ZitiThreads, EveryLoopDialsOverChannelsOfItsOwn) {
  dial_everywhere(*bob, dialers);
  const std::size_t channels =
      network->fabric.connections("router-1") + network->fabric.connections("router-2");
  EXPECT_GE(channels, 2 + kLoops);
  EXPECT_LE(channels, 2 + kLoops * 2 * ziti::kChannelsPerRouter);
  EXPECT_GE(used.size(), 1U);
  EXPECT_TRUE(run_ticking([&] { return network->fabric.circuits() == 0; }));
}

TEST_F(ZitiThreads, TheControlLoopDialsToo) { dial_everywhere(*bob, {&control}); }

TEST_F(ZitiThreads, DetailsAreReadWhileEveryLoopDials) {
  const auto wake = std::make_shared<net::Timer>(control);
  std::function<void()> look = [&] {
    EXPECT_LE(bob->details().routers.size(), 2U);
    wake->arm(control.now() + std::chrono::milliseconds(1), [&] { look(); });
  };
  look();
  dial_everywhere(*bob, dialers);
  wake->cancel();
}

TEST_F(ZitiThreads, ANewLoginReachesEveryLoop) {
  dial_everywhere(*bob, dialers);
  for (const auto& [token, name] : network->controller.logins) {
    network->fabric.faults.refused_logins.insert(token);
  }
  network->controller.forget();
  network->fabric.drop_router("router-1");
  network->fabric.drop_router("router-2");
  EXPECT_TRUE(run_ticking([&] {
    return network->fabric.terminators("web") == 2 && web->status().state == LinkState::up;
  }));
  // Each dial that a router refuses is one step to the new login.
  const auto works = [&] {
    dialer = bob.get();
    finished = 0;
    answered = 0;
    for (net::Loop* loop : dialers) {
      loop->post([this, loop] { net::spawn(*loop, "dials", dial_some(this, loop)); });
    }
    EXPECT_TRUE(run_ticking([&] { return finished == static_cast<int>(kLoops); }));
    return answered == kDialsOfLoop * static_cast<int>(kLoops);
  };
  bool worked = false;
  for (int i = 0; i < 10 && !worked; ++i) {
    worked = works();
  }
  EXPECT_TRUE(worked);
}

TEST_F(ZitiThreads, NetworksMayGoWhileEveryLoopDials) {
  const auto ended = std::make_shared<std::atomic<int>>(0);
  int started = 0;
  for (net::Loop* loop : dialers) {
    for (int i = 0; i < kDialsOfLoop; ++i) {
      auto dialing =
          bob->dial(*loop, {.service = "web", .deadline = loop->now() + std::chrono::seconds(20)});
      loop->post([loop, dialing = std::move(dialing), ended]() mutable {
        net::spawn(*loop, "dial", dial_to_the_end(std::move(dialing), ended));
      });
      ++started;
    }
  }
  run_until(control, [&] { return network->fabric.connections("router-1") > 1; });
  bob.reset();
  web.reset();
  alice.reset();
  EXPECT_TRUE(run_ticking([&] { return *ended == started; }));
}

}  // namespace
}  // namespace simplon::overlay::test
