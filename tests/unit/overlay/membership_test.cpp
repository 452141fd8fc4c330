#include "overlay/membership.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/temporary_folder.hpp"
#include "unit/overlay/scripted_hub.hpp"
#include "unit/overlay/zrok_scripted_instance.hpp"

namespace simplon::overlay {
namespace {

using testing::ElementsAre;

struct MembershipTest : testing::Test {
  net::Loop loop;
  zrok::test::ScriptedInstance instance{loop};
  const zrok::Membership zrok = instance.membership();
};

TEST_F(MembershipTest, IsToldApartByItsContent) {
  const auto ziti = parse_membership(ziti::to_json(zrok.identity), {});
  ASSERT_TRUE(ziti.ok()) << ziti.status();
  EXPECT_EQ(kind_of(*ziti), "ziti");
  EXPECT_THAT(addresses_of(*ziti), ElementsAre("https://127.0.0.1:1"));
  EXPECT_EQ(name_of(*ziti), "");
  const auto environment = parse_membership(zrok::to_json(zrok), {});
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_EQ(kind_of(*environment), "zrok");
  EXPECT_THAT(addresses_of(*environment), ElementsAre(zrok.account.endpoint));
  for (const auto* text : {"", "{}", "[]", "nonsense", R"({"zrok":1})", R"({"ztAPI":1})"}) {
    EXPECT_EQ(parse_membership(text, {}).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_FALSE(parse_membership(std::string(300 * 1024, ' '), {}).ok());
}

TEST_F(MembershipTest, ComesBackFromItsFileWhichItsOwnerAloneReads) {
  const simplon::test::TemporaryFolder folder;
  const auto file = folder / "z.json";
  ASSERT_TRUE(save_membership(zrok, file, false).ok());
  EXPECT_EQ(save_membership(zrok, file, false).code(), absl::StatusCode::kAlreadyExists);
  struct stat about{};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  const auto loaded = load_membership(file);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(std::get<zrok::Membership>(*loaded), zrok);
  const auto missing = load_membership(folder / "missing.json");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(MembershipTest, NetworksOfEveryKindShareOneBudget) {
  test::TestNetwork embedded;
  const auto budget = std::make_shared<MemoryBudget>();
  std::vector<Entrance> entrances;
  for (const Membership& membership : {Membership(embedded.identity("alice", {"127.0.0.1:1"})),
                                       Membership(zrok.identity), Membership(zrok)}) {
    const auto before = budget.use_count();
    auto entrance = enter(loop, membership, {&loop}, budget);
    ASSERT_TRUE(entrance.ok()) << entrance.status();
    EXPECT_GT(budget.use_count(), before) << kind_of(membership);
    entrances.push_back(*std::move(entrance));
  }
}

}  // namespace
}  // namespace simplon::overlay
