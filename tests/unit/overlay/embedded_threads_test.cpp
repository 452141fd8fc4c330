// An embedded network as agents have it: a control loop and several loops of sessions.
#include "overlay/embedded/embedded.hpp"
#include "unit/overlay/network_threads.hpp"
#include "unit/overlay/scripted_hub.hpp"

namespace simplon::overlay::test {
namespace {

struct EmbeddedWorld {
  using Member = Network;

  explicit EmbeddedWorld(net::Loop& loop) : control(loop), hub(loop, network) {}

  std::unique_ptr<Network> join(const std::string& name, const std::vector<net::Loop*>& loops) {
    auto made = make_embedded_network(
        control,
        {.identity = network.identity(name, {hub.address()}), .loops = loops, .budget = nullptr});
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(*made);
  }

  static bool hosted() { return true; }

  net::Loop& control;
  TestNetwork network;
  ScriptedHub hub;
};

using EmbeddedThreads = NetworkThreads<EmbeddedWorld>;

TEST_F(EmbeddedThreads, EveryLoopDialsOverASessionOfItsOwnAndTheHostSpreadsThem) {
  dial_everywhere(*bob, dialers);
  EXPECT_EQ(world.hub.tickets(), kLoops);
  EXPECT_EQ(used.size(), kLoops);
}

TEST_F(EmbeddedThreads, AMemberDialsItselfOnEveryLoop) {
  dial_everywhere(*alice, hosts);
  EXPECT_EQ(world.hub.tickets(), 0U);
}

TEST_F(EmbeddedThreads, TheControlLoopDialsToo) { dial_everywhere(*bob, {&control}); }

TEST_F(EmbeddedThreads, NetworksMayGoWhileEveryLoopDials) {
  let_networks_go([&] { return world.hub.tickets() > 0; });
}

}  // namespace
}  // namespace simplon::overlay::test
