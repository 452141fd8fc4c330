#include "overlay/embedded/embedded.hpp"
#include "overlay/embedded/hub.hpp"
#include "unit/overlay/hub_fixture.hpp"
#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/scripted_hub.hpp"

namespace simplon::overlay::test {
namespace {

class EmbeddedWorld final : public NetworkWorld {
 public:
  explicit EmbeddedWorld(net::Loop& loop) : loop_(loop), hub_(loop, network_) {}

  std::unique_ptr<Network> join(std::string name, bool may_run_frontends) override {
    auto made = make_embedded_network(
        loop_,
        {.identity = network_.identity(name, {hub_.address()}, {.frontend = may_run_frontends}),
         .loops = {&loop_},
         .budget = nullptr});
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(*made);
  }

 private:
  net::Loop& loop_;
  const TestNetwork network_;
  ScriptedHub hub_;
};

// The same with the hub that agents have.
class HubWorld final : public NetworkWorld {
 public:
  explicit HubWorld(net::Loop& loop) : loop_(loop) {
    auto opened =
        Hub::open(loop, {.database = folder_ / "state.db", .name = "hub", .loops = {&loop}});
    EXPECT_TRUE(opened.ok()) << opened.status();
    hub_ = std::move(*opened);
    EXPECT_TRUE(hub_->listen({.host = "127.0.0.1", .port = 0}).ok());
  }

  std::unique_ptr<Network> join(std::string name, bool may_run_frontends) override {
    const auto request = make_identity_request(name);
    const auto issued = hub_->sign(name, request->request, may_run_frontends);
    EXPECT_TRUE(issued.ok()) << issued.status();
    auto made = make_embedded_network(loop_, {.identity = {.name = name,
                                                           .certificate = issued->certificate,
                                                           .private_key = request->private_key,
                                                           .trust_bundle = issued->trust_bundle,
                                                           .addresses = issued->addresses},
                                              .loops = {&loop_},
                                              .budget = nullptr});
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(*made);
  }

 private:
  net::Loop& loop_;
  const simplon::test::TemporaryFolder folder_;
  std::unique_ptr<Hub> hub_;
};

template <class World>
NetworkKind kind(std::string name) {
  return {
      .name = std::move(name), .kind = "embedded", .path = "relay", .make = [](net::Loop& loop) {
        return std::make_unique<World>(loop);
      }};
}

INSTANTIATE_TEST_SUITE_P(Embedded, NetworkSuite,
                         testing::Values(kind<EmbeddedWorld>("scripted_hub"),
                                         kind<HubWorld>("hub")),
                         name_of_network);

}  // namespace
}  // namespace simplon::overlay::test
