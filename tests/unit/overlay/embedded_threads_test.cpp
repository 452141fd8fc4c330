// An embedded network as agents have it: a control loop and several loops of sessions.
#include <atomic>
#include <set>

#include "net/loops.hpp"
#include "overlay/embedded/embedded.hpp"
#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/scripted_hub.hpp"

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

class EmbeddedThreads : public testing::Test {
 protected:
  EmbeddedThreads() {
    for (std::size_t i = 0; i < kLoops; ++i) {
      hosts.push_back(&host_loops[i]);
      dialers.push_back(&dial_loops[i]);
    }
    alice = join("alice", hosts);
    bob = join("bob", dialers);
    auto listener =
        run(control, alice->listen({.service = "web"}, [this](std::unique_ptr<Inbound> inbound) {
          note(&inbound->loop());
          net::Loop& loop = inbound->loop();
          net::spawn(loop, "echo", echo(std::move(inbound)));
        }));
    EXPECT_TRUE(listener);
    web = std::move(*listener);
    EXPECT_TRUE(run_until(control, [&] { return web->status().state == LinkState::up; }));
  }

  std::unique_ptr<Network> join(const std::string& name, const std::vector<net::Loop*>& loops) {
    auto made = make_embedded_network(
        control,
        {.identity = network.identity(name, {hub.address()}), .loops = loops, .budget = nullptr});
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(*made);
  }

  void note(const net::Loop* loop) {
    const std::scoped_lock lock(mutex);
    used.insert(loop);
  }

  static net::awaitable<void> dial_some(EmbeddedThreads* test, net::Loop* loop) {
    for (int i = 0; i < kDialsOfLoop; ++i) {
      auto dialed = co_await test->dialer->dial(
          *loop, {.service = "web", .deadline = loop->now() + std::chrono::seconds(20)});
      if (dialed) {
        co_await send(dialed->stream, std::to_string(i), true);
        const auto back = co_await read_to_end(dialed->stream);
        if (back && *back == std::to_string(i)) {
          ++test->answered;
        }
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

  net::Loop control;
  TestNetwork network;
  ScriptedHub hub{control, network};
  std::mutex mutex;
  std::set<const net::Loop*> used;
  Network* dialer = nullptr;
  std::atomic<int> finished = 0;
  std::atomic<int> answered = 0;
  // The networks go first; what they leave on their loops goes with these.
  net::Loops host_loops{kLoops};
  net::Loops dial_loops{kLoops};
  std::unique_ptr<Network> alice;
  std::unique_ptr<Network> bob;
  std::unique_ptr<Listener> web;
  std::vector<net::Loop*> hosts;
  std::vector<net::Loop*> dialers;
};

TEST_F(EmbeddedThreads, EveryLoopDialsOverASessionOfItsOwnAndTheHostSpreadsThem) {
  dial_everywhere(*bob, dialers);
  EXPECT_EQ(hub.tickets(), kLoops);
  EXPECT_EQ(used.size(), kLoops);
}

TEST_F(EmbeddedThreads, AMemberDialsItselfOnEveryLoop) {
  dial_everywhere(*alice, hosts);
  EXPECT_EQ(hub.tickets(), 0U);
}

TEST_F(EmbeddedThreads, TheControlLoopDialsToo) { dial_everywhere(*bob, {&control}); }

net::awaitable<void> dial_to_the_end(net::awaitable<DialResult> dialing,
                                     std::shared_ptr<std::atomic<int>> ended) {
  const auto dialed = co_await std::move(dialing);
  ++*ended;
}

TEST_F(EmbeddedThreads, NetworksMayGoWhileEveryLoopDials) {
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
  run_until(control, [&] { return hub.tickets() > 0; });
  bob.reset();
  web.reset();
  alice.reset();
  const auto wake = std::make_shared<net::Timer>(control);
  std::function<void()> tick = [&] {
    wake->arm(control.now() + std::chrono::milliseconds(10), [&] { tick(); });
  };
  tick();
  EXPECT_TRUE(run_until(control, [&] { return *ended == started; }));
  wake->cancel();
}

}  // namespace
}  // namespace simplon::overlay::test
