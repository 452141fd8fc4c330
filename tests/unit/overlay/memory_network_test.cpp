#include "overlay/memory/memory_network.hpp"

#include "unit/overlay/network_suite.hpp"

namespace simplon::overlay::test {
namespace {

class MemoryWorld final : public NetworkWorld {
 public:
  std::unique_ptr<Network> join(std::string name, bool may_run_frontends) override {
    return make_memory_network(directory_, std::move(name), may_run_frontends);
  }

 private:
  const std::shared_ptr<MemoryDirectory> directory_ = make_memory_directory();
};

INSTANTIATE_TEST_SUITE_P(Memory, NetworkSuite,
                         testing::Values(NetworkKind{
                             .name = "memory",
                             .kind = "memory",
                             .path = "local",
                             .make = [](net::Loop&) { return std::make_unique<MemoryWorld>(); }}),
                         name_of_network);

}  // namespace
}  // namespace simplon::overlay::test
