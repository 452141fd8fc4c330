// An OpenZiti network as agents have it: a control loop and several loops of channels.
#include <sodium.h>

#include "overlay/ziti/router_pool.hpp"
#include "unit/overlay/network_threads.hpp"
#include "unit/overlay/ziti_scripted_network.hpp"

namespace simplon::overlay::test {
namespace {

struct ZitiWorld : ziti::test::ScriptedNetwork {
  using Member = ziti::ZitiNetwork;

  explicit ZitiWorld(net::Loop& control) : ScriptedNetwork(control, {"router-1", "router-2"}) {
    EXPECT_GE(sodium_init(), 0);
    add_service("web");
  }

  bool hosted() { return fabric.terminators("web") == 2; }
};

using ZitiThreads = NetworkThreads<ZitiWorld>;

TEST_F(ZitiThreads, EveryLoopDialsOverChannelsOfItsOwn) {
  dial_everywhere(*bob, dialers);
  const std::size_t channels =
      world.fabric.connections("router-1") + world.fabric.connections("router-2");
  EXPECT_GE(channels, 2 + kLoops);
  EXPECT_LE(channels, 2 + kLoops * 2 * ziti::kChannelsPerRouter);
  EXPECT_GE(used.size(), 1U);
  EXPECT_TRUE(run_ticking([&] { return world.fabric.circuits() == 0; }));
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
  for (const auto& [token, name] : world.controller.logins) {
    world.fabric.faults.refused_logins.insert(token);
  }
  world.controller.forget();
  world.fabric.drop_router("router-1");
  world.fabric.drop_router("router-2");
  EXPECT_TRUE(run_ticking([&] { return world.hosted() && web->status().state == LinkState::up; }));
  // Each dial that a router refuses is one step to the new login.
  bool worked = false;
  for (int i = 0; i < 10 && !worked; ++i) {
    worked = dial_from(*bob, dialers) == kDialsOfLoop * static_cast<int>(kLoops);
  }
  EXPECT_TRUE(worked);
}

TEST_F(ZitiThreads, NetworksMayGoWhileEveryLoopDials) {
  let_networks_go([&] { return world.fabric.connections("router-1") > 1; });
}

}  // namespace
}  // namespace simplon::overlay::test
