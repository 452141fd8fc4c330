#include "agent/hub_address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

using testing::ElementsAre;

net::Endpoint local(std::uint16_t port) { return {"127.0.0.1", port}; }

TEST(HubAddress, TheDefaultIsTriedFirstAndReplacedByAFreePort) {
  EXPECT_THAT(hub_candidates({}, std::nullopt), ElementsAre(local(7443), local(0)));
}

TEST(HubAddress, TheReplacementIsKept) {
  EXPECT_THAT(hub_candidates({}, local(5000)), ElementsAre(local(5000), local(0)));
}

TEST(HubAddress, AChosenPortIsNeverReplaced) {
  const HubListen chosen{.none = false, .chosen = true, .endpoint = local(9000)};
  EXPECT_THAT(hub_candidates(chosen, local(5000)), ElementsAre(local(9000)));
}

TEST(HubAddress, APortThatTheSystemChoseIsKeptOnThatAddress) {
  const HubListen any{.none = false, .chosen = true, .endpoint = local(0)};
  EXPECT_THAT(hub_candidates(any, std::nullopt), ElementsAre(local(0)));
  EXPECT_THAT(hub_candidates(any, local(5000)), ElementsAre(local(5000), local(0)));
  EXPECT_THAT(hub_candidates(any, net::Endpoint{"0.0.0.0", 5000}), ElementsAre(local(0)));
}

TEST(HubAddress, IsThereAfterAReopen) {
  const simplon::test::TemporaryFolder folder;
  {
    auto kept = KeptAddress::open(folder / "simplon.db");
    ASSERT_TRUE(kept.ok()) << kept.status();
    EXPECT_FALSE(kept->get().has_value());
    EXPECT_TRUE(kept->set(local(5000)).ok());
    EXPECT_TRUE(kept->set(local(5001)).ok());
  }
  const auto kept = KeptAddress::open(folder / "simplon.db");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->get(), local(5001));
}

}  // namespace
}  // namespace simplon::agent
