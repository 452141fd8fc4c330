#include "agent/state_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

using testing::HasSubstr;

class StateDirTest : public testing::Test {
 protected:
  void SetUp() override {}

  simplon::test::TemporaryFolder folder_;
};

TEST_F(StateDirTest, IsMadeForItsOwnerAlone) {
  const auto state = StateDir::open(folder_ / "a" / "b", "alpha");
  ASSERT_TRUE(state.ok()) << state.status();
  struct stat info{};
  ASSERT_EQ(::stat((folder_ / "a" / "b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
}

TEST_F(StateDirTest, ASecondAgentIsToldWhoHoldsIt) {
  auto first = StateDir::open(folder_, "alpha");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = StateDir::open(folder_, "beta");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(second.status().message());
  EXPECT_THAT(message, HasSubstr(folder_.path().string()));
  EXPECT_THAT(message, HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(message, HasSubstr("alpha"));
}

TEST_F(StateDirTest, TheLockGoesWithItsHolder) {
  {
    ASSERT_TRUE(StateDir::open(folder_, "a-long-name-of-the-first").ok());
  }
  auto second = StateDir::open(folder_, "b");
  ASSERT_TRUE(second.ok()) << second.status();
  // Nothing of the longer text is left.
  EXPECT_THAT(std::string(StateDir::open(folder_, "c").status().message()), HasSubstr("(b)"));
}

TEST_F(StateDirTest, AFolderThatOthersMayWriteToIsRefused) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0777), 0);
  const auto state = StateDir::open(folder_, "alpha");
  EXPECT_EQ(state.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StateDirTest, AFileInItsPlaceIsAnErrorThatNamesIt) {
  {
    ASSERT_TRUE(StateDir::open(folder_, "alpha").ok());
  }
  const auto state = StateDir::open(folder_ / "lock", "alpha");
  EXPECT_THAT(std::string(state.status().message()), HasSubstr((folder_ / "lock").string()));
}

}  // namespace
}  // namespace simplon::agent
