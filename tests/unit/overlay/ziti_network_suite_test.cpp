// OpenZiti as a Network, by the suite of all kinds.
#include <sodium.h>

#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/ziti_scripted_network.hpp"

namespace simplon::overlay::test {
namespace {

class ZitiWorld final : public NetworkWorld {
 public:
  explicit ZitiWorld(net::Loop& loop) : loop_(loop), network_(loop) {
    EXPECT_GE(sodium_init(), 0);
    for (const char* name : {"web", "open", "closed"}) {
      network_.add_service(name);
    }
  }
  std::unique_ptr<Network> join(std::string name, bool /*may_run_frontends*/) override {
    return network_.join(name, {&loop_});
  }

 private:
  net::Loop& loop_;
  ziti::test::ScriptedNetwork network_;
};

INSTANTIATE_TEST_SUITE_P(Ziti, NetworkSuite,
                         testing::Values(NetworkKind{
                             .name = "scripted",
                             .kind = "ziti",
                             .path = "ziti",
                             .make =
                                 [](net::Loop& loop) { return std::make_unique<ZitiWorld>(loop); },
                             .promises = {.early = false,
                                          .claims = false,
                                          .proves_frontends = false,
                                          .reasons = false,
                                          .named_from_start = false,
                                          .authority = Hop::overlay,
                                          .own_path = "ziti",
                                          .no_name = "a bell\a"}}),
                         name_of_network);

}  // namespace
}  // namespace simplon::overlay::test
