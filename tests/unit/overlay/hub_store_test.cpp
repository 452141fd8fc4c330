#include "overlay/embedded/hub_store.hpp"

#include "support/temporary_folder.hpp"
#include "unit/overlay/hub_fixture.hpp"

namespace simplon::overlay::test {
namespace {

using absl::StatusCode;
using std::chrono::hours;
using std::chrono::system_clock;

class HubStoreTest : public testing::Test {
 protected:
  HubStoreTest() { reopen(); }

  void reopen() {
    store.reset();
    store = HubStore::open(folder / "state.db").value();
  }
  static std::string hash(char of) { return std::string(32, of); }

  absl::Status invite(char secret, const std::string& name, hours lifetime = hours(1)) {
    return store->add_invitation(
        {.secret_sha256 = hash(secret), .name = name, .frontend = false, .expires = now + lifetime},
        now);
  }
  absl::StatusOr<std::string> redeem(char secret, char key, hours later = hours(0)) {
    return store->redeem(hash(secret), hash(key), now + later,
                         [&](const std::string& name, bool) -> absl::StatusOr<std::string> {
                           return name + "/" + std::to_string(++issued);
                         });
  }

  simplon::test::TemporaryFolder folder;
  std::unique_ptr<HubStore> store;
  system_clock::time_point now = system_clock::now();
  int issued = 0;
};

TEST_F(HubStoreTest, TheRootIsMadeOnce) {
  const auto root = store->authority().certificate;
  reopen();
  EXPECT_EQ(store->authority().certificate, root);
}

TEST_F(HubStoreTest, AnInvitationMakesOneMember) {
  ASSERT_TRUE(invite('s', "shop").ok());
  EXPECT_EQ(redeem('s', 'k').value(), "shop/1");
  EXPECT_EQ(redeem('s', 'l').status().code(), StatusCode::kPermissionDenied);
  reopen();
  const auto member = store->member_by_key(hash('k')).value();
  ASSERT_TRUE(member);
  EXPECT_EQ(member->name, "shop");
  EXPECT_TRUE(store->has_members().value());
  EXPECT_EQ(invite('t', "shop").code(), StatusCode::kAlreadyExists);
}

TEST_F(HubStoreTest, TheSameKeyGetsTheSameCertificateUntilTheInvitationExpires) {
  ASSERT_TRUE(invite('s', "shop").ok());
  EXPECT_EQ(redeem('s', 'k').value(), "shop/1");
  EXPECT_EQ(redeem('s', 'k').value(), "shop/1");
  reopen();
  EXPECT_EQ(redeem('s', 'k').value(), "shop/1");
  EXPECT_EQ(redeem('s', 'k', hours(1)).status().code(), StatusCode::kPermissionDenied);
}

TEST_F(HubStoreTest, AnExpiredOrUnknownSecretIsWorthNothing) {
  ASSERT_TRUE(invite('s', "shop").ok());
  EXPECT_EQ(redeem('s', 'k', hours(2)).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(redeem('x', 'k').status().code(), StatusCode::kPermissionDenied);
  EXPECT_FALSE(store->has_members().value());
}

TEST_F(HubStoreTest, ANewInvitationReplacesTheUnusedOneOfTheName) {
  ASSERT_TRUE(invite('s', "shop").ok());
  ASSERT_TRUE(invite('t', "shop").ok());
  EXPECT_EQ(redeem('s', 'k').status().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(redeem('t', 'k').ok());
}

TEST_F(HubStoreTest, AFailedIssueUsesNothingUp) {
  ASSERT_TRUE(invite('s', "shop").ok());
  const auto failing = store->redeem(hash('s'), hash('k'), now, [](const std::string&, bool) {
    return absl::StatusOr<std::string>(absl::InvalidArgumentError("no"));
  });
  EXPECT_EQ(failing.status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(redeem('s', 'l').ok());
}

TEST_F(HubStoreTest, AKeyIsOneMembers) {
  ASSERT_TRUE(invite('s', "one").ok());
  ASSERT_TRUE(invite('t', "two").ok());
  ASSERT_TRUE(redeem('s', 'k').ok());
  EXPECT_EQ(redeem('t', 'k').status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(redeem('t', 'l').ok());
}

// No service is hosted now.
bool nobody(std::string_view) { return false; }

TEST_F(HubStoreTest, ANameIsClaimedOnceAndForLong) {
  EXPECT_TRUE(store->owners("web")->empty());
  EXPECT_TRUE(store->claim("web", hash('a'), now, nobody).ok());
  EXPECT_TRUE(store->claim("web", hash('a'), now, nobody).ok());
  EXPECT_EQ(store->claim("web", hash('b'), now, nobody).code(), StatusCode::kPermissionDenied);
  reopen();
  EXPECT_EQ(store->owners("web").value(), std::vector{hash('a')});
  EXPECT_EQ(store->claim("web", hash('b'), now, nobody).code(), StatusCode::kPermissionDenied);
}

TEST_F(HubStoreTest, AMemberClaimsABoundedNumberOfNames) {
  ASSERT_TRUE(store->claim("web-0", hash('a'), now, nobody).ok());
  // The rest in one commit.
  auto database = base::Database::open(folder / "state.db").value();
  auto rest = database->prepare(
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
      "INSERT INTO hub_claim SELECT 'web-' || i, ?, 0 FROM n");
  ASSERT_TRUE(rest.run(kMaxClaims, base::Blob{hash('a')}).ok());
  const auto all = [](std::string_view) { return true; };
  EXPECT_EQ(store->claim("one-more", hash('a'), now, all).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(store->claim("web-0", hash('a'), now, all).ok());
  EXPECT_TRUE(store->claim("one-more", hash('b'), now, nobody).ok());
}

TEST_F(HubStoreTest, AMemberWithEverNewNamesLosesItsOldestThatNobodyHosts) {
  auto database = base::Database::open(folder / "state.db").value();
  auto many = database->prepare(
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
      "INSERT INTO hub_claim SELECT 'web-' || i, ?, i FROM n");
  ASSERT_TRUE(many.run(kMaxClaims, base::Blob{hash('a')}).ok());
  const auto first = [](std::string_view service) { return service == "web-1"; };
  EXPECT_TRUE(store->claim("one-more", hash('a'), now, first).ok());
  EXPECT_EQ(store->owners("web-1").value(), std::vector{hash('a')});
  EXPECT_TRUE(store->owners("web-2")->empty());
  EXPECT_EQ(store->owners("web-3").value(), std::vector{hash('a')});
  EXPECT_EQ(store->owners("one-more").value(), std::vector{hash('a')});
}

TEST_F(HubStoreTest, ClaimsOfTheHubsOwnAgentFollowItsKey) {
  const auto own = [&](char key, const std::string& name) {
    return HubStore::Member{.name = name, .spki = hash(key), .certificate = "c", .own = true};
  };
  ASSERT_TRUE(store->put_own(own('a', "hub")).ok());
  ASSERT_TRUE(store->claim("web", hash('a'), now, nobody).ok());
  ASSERT_TRUE(store->put_own(own('b', "renamed")).ok());
  EXPECT_EQ(store->owners("web").value(), std::vector{hash('b')});
  EXPECT_FALSE(store->member_by_name("hub").value());
  EXPECT_FALSE(store->has_members().value());
  // Nobody becomes the hub by a request for its key or name.
  EXPECT_EQ(store->put_member({.name = "renamed", .spki = hash('b'), .certificate = "c"}).code(),
            StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace simplon::overlay::test
