#include "agent/hub_address.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

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
  std::string name = (std::filesystem::temp_directory_path() / "simplon-XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  const std::filesystem::path folder = name;
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
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace simplon::agent
