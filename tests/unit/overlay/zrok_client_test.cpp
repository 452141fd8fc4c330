#include "overlay/zrok/zrok_client.hpp"

#include <gmock/gmock.h>

#include "overlay/embedded/identity.hpp"
#include "unit/overlay/zrok_scripted_instance.hpp"

namespace simplon::overlay::zrok::test {
namespace {

using absl::StatusCode;
using net::test::run;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class ZrokClientTest : public testing::Test {
 protected:
  absl::StatusOr<Membership> enabled(Account account) {
    return run(loop, enable(&loop, std::move(account), "test", loop.now() + seconds(10),
                            instance.authority.root()));
  }
  void expect_failure(const absl::StatusOr<Membership>& result, StatusCode code,
                      const std::string& words) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(words));
    EXPECT_THAT(std::string(result.status().message()), Not(HasSubstr(kToken)));
  }

  net::Loop loop;
  ScriptedInstance instance{loop};
};

TEST_F(ZrokClientTest, AnAccountBecomesAnEnvironment) {
  auto account = instance.account();
  account.token = "  " + account.token + "\n";
  account.endpoint += "/";
  const auto membership = enabled(std::move(account));
  ASSERT_TRUE(membership.ok()) << membership.status();
  EXPECT_EQ(membership->environment, "env1");
  EXPECT_EQ(membership->account, instance.account());
  // As a file it is an identity of OpenZiti with more in it.
  const std::string text = to_json(*membership);
  EXPECT_EQ(identity_kind(text).value(), IdentityKind::ziti);
  EXPECT_TRUE(is_membership(text));
  EXPECT_FALSE(is_membership(ziti::to_json(membership->identity)));
  EXPECT_EQ(parse_membership(text, {}).value(), *membership);

  // A token that is not valid any more is not the end of the environment.
  auto revoked = *membership;
  revoked.account.token = "Revoked";
  EXPECT_EQ(run(loop, disable(&loop, revoked, loop.now() + seconds(10), instance.authority.root()))
                .code(),
            StatusCode::kPermissionDenied);
  EXPECT_FALSE(instance.environments.empty());
  EXPECT_TRUE(
      run(loop, disable(&loop, *membership, loop.now() + seconds(10), instance.authority.root()))
          .ok());
  EXPECT_TRUE(instance.environments.empty());
  // Once more does no harm.
  EXPECT_TRUE(
      run(loop, disable(&loop, *membership, loop.now() + seconds(10), instance.authority.root()))
          .ok());
}

TEST_F(ZrokClientTest, AWrongTokenIsToldWithoutShowingIt) {
  expect_failure(enabled({.endpoint = instance.account().endpoint, .token = "WrongToken99"}),
                 StatusCode::kPermissionDenied, "does not accept the account's token");
}

TEST_F(ZrokClientTest, AccountsThatCannotBeAreRefused) {
  for (const char* endpoint :
       {"zrok.example", "http://zrok.example", "ftp://127.0.0.1", "https://"}) {
    expect_failure(enabled({.endpoint = endpoint, .token = kToken}), StatusCode::kInvalidArgument,
                   "address of an instance");
  }
  for (const char* token : {"", "two words", "a\r\nX-Other: b"}) {
    expect_failure(enabled({.endpoint = "https://zrok.example", .token = token}),
                   StatusCode::kInvalidArgument, "not an account's token");
  }
  EXPECT_TRUE(check_account({.endpoint = "http://127.0.0.1:18080", .token = kToken}).ok());
  EXPECT_TRUE(check_account({.endpoint = "http://localhost", .token = kToken}).ok());
}

TEST_F(ZrokClientTest, WhatIsNoInstanceIsNamed) {
  instance.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.status = 404, .body = "<html>", .content_type = "text/html"};
  };
  expect_failure(enabled(instance.account()), StatusCode::kNotFound, "no zrok instance");
  instance.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.status = 200, .body = "<html>", .content_type = "text/html"};
  };
  expect_failure(enabled(instance.account()), StatusCode::kUnavailable, "makes no sense");
}

TEST_F(ZrokClientTest, AnIdentityThatDoesNotWorkIsNotKept) {
  instance.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path() != "/api/v2/enable") {
      return std::nullopt;
    }
    instance.environments.push_back("env1");
    return RestReply{.status = 201, .body = R"({"identity":"env1","cfg":"{}"})"};
  };
  expect_failure(enabled(instance.account()), StatusCode::kUnavailable, "does not work");
  EXPECT_TRUE(instance.environments.empty());
}

TEST_F(ZrokClientTest, DamagedMembershipsAreRefused) {
  const std::string text = to_json(instance.membership());
  for (const char* part : {"endpoint", "token", "environment"}) {
    auto object = json::parse(text);
    object["zrok"].erase(part);
    EXPECT_FALSE(parse_membership(object.dump(), {}).ok()) << part;
    object["zrok"][part] = 7;
    EXPECT_FALSE(parse_membership(object.dump(), {}).ok()) << part;
  }
  auto object = json::parse(text);
  object["zrok"] = "x";
  EXPECT_FALSE(parse_membership(object.dump(), {}).ok());
}

}  // namespace
}  // namespace simplon::overlay::zrok::test
