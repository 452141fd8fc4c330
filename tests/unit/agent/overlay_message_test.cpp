#include "agent/overlay_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace simplon::agent {
namespace {

using std::chrono::system_clock;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string refusal(const v1::AddOverlayRequest& request) {
  const auto source = from_message(request);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(source.status().message());
}

TEST(OverlayMessage, AnAddWithoutASourceOrWithABadOneNamesTheField) {
  v1::AddOverlayRequest request;
  EXPECT_THAT(refusal(request), StartsWith("source: "));
  for (const auto* text : {"", "{}", "not json", R"({"ztAPI":"https://c:1","id":{}})"}) {
    request.set_identity_json(text);
    EXPECT_THAT(refusal(request), StartsWith("identity_json: ")) << text;
  }
}

TEST(OverlayMessage, AZrokAccountNeedsASafeAddressAndAToken) {
  v1::AddOverlayRequest request;
  for (const auto& [endpoint, token] :
       {std::pair{"", "t0ken"}, std::pair{"ftp://x", "t0ken"},
        std::pair{"http://zrok.example", "t0ken"}, std::pair{"https://zrok.example", ""}}) {
    request.mutable_zrok()->set_endpoint(endpoint);
    request.mutable_zrok()->set_account_token(token);
    const auto said = refusal(request);
    EXPECT_THAT(said, StartsWith("zrok"));
    EXPECT_THAT(said, Not(HasSubstr("t0ken")));
  }
  request.mutable_zrok()->set_account_token("t0ken");
  EXPECT_TRUE(from_message(request).ok());
}

TEST(OverlayMessage, AnIdentityThatRefersToFilesOfTheAgentIsRefused) {
  v1::AddOverlayRequest request;
  request.set_identity_json(
      R"({"ztAPI":"https://c:1280","id":{"key":"file:///etc/passwd","cert":"file:c","ca":"file:a"}})");
  EXPECT_THAT(refusal(request), HasSubstr("file"));
}

TEST(OverlayMessage, ALinkToOpenZitiSaysControllerSessionRoutersAndCounts) {
  OverlayInfo info{.name = "prod", .kind = "ziti", .identity = "web"};
  info.addresses = {"https://c:1280"};
  EXPECT_FALSE(to_message(info).has_ziti());
  info.ziti.emplace();
  EXPECT_EQ(to_message(info).ziti().session(), "");  // not logged in
  info.ziti->controller = "https://c:1280";
  info.ziti->controller_version = "v2.0.3";
  info.ziti->oidc = true;
  info.ziti->since = system_clock::from_time_t(1000);
  info.ziti->expires = system_clock::from_time_t(2000);
  info.ziti->terminators = 2;
  info.ziti->circuits = 3;
  info.ziti->routers = {{.name = "edge", .address = "r:3022", .up = true, .circuits = 3}};
  info.ziti->routers[0].latency = std::chrono::nanoseconds(1'500'001);
  const auto message = to_message(info);
  EXPECT_EQ(message.ziti().session(), "oidc");
  EXPECT_EQ(message.ziti().session_since().seconds(), 1000);
  EXPECT_EQ(message.ziti().session_expire_time().seconds(), 2000);
  EXPECT_EQ(message.ziti().terminators(), 2U);
  EXPECT_EQ(message.ziti().circuits(), 3U);
  ASSERT_EQ(message.ziti().routers_size(), 1);
  EXPECT_EQ(message.ziti().routers(0).latency_microseconds(), 1501U);
}

}  // namespace
}  // namespace simplon::agent
