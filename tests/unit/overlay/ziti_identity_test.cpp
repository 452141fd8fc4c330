#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "overlay/embedded/identity.hpp"
#include "overlay/ziti/identity_file.hpp"
#include "support/certificates.hpp"
#include "support/temporary_folder.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using absl::StatusCode;
using nlohmann::json;
using simplon::test::Authority;
using testing::AllOf;
using testing::HasSubstr;

class ZitiIdentityTest : public testing::Test {
 protected:
  json sample() const {
    return {{"ztAPI", "https://ctrl.example:1280/edge/client/v1"},
            {"id",
             {{"key", "pem:" + own.private_key},
              {"cert", "pem:" + own.chain},
              {"ca", "pem:" + authority.root()}}}};
  }
  static absl::StatusOr<IdentityFile> parse(const json& object,
                                            const std::filesystem::path& folder = {}) {
    return parse_identity(object.dump(), folder);
  }
  void expect_refused(const json& object, StatusCode code, const std::string& words) {
    const auto parsed = parse(object);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.status().code(), code);
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(words));
  }

  Authority authority{"ziti root"};
  simplon::test::Credentials own = authority.issue("shop");
};

TEST_F(ZitiIdentityTest, WhatTheGoToolsWriteIsRead) {
  const auto identity = parse(sample());
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->controllers,
            std::vector<std::string>{"https://ctrl.example:1280/edge/client/v1"});
  EXPECT_EQ(identity->certificate, own.chain);
  EXPECT_EQ(parse_identity(to_json(*identity), {}).value(), *identity);
  EXPECT_EQ(identity_kind(to_json(*identity)).value(), IdentityKind::ziti);
}

TEST_F(ZitiIdentityTest, WhatTheSdkForCWritesIsRead) {
  auto object = sample();
  object["ztAPI"] = "https://ctrl.example:1280";
  object["ztAPIs"] = {"https://ctrl.example:1280/"};
  object["configTypes"] = nullptr;
  object["id"] = {{"key", own.private_key}, {"cert", own.chain}, {"ca", authority.root()}};
  const auto identity = parse(object);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->controllers,
            std::vector<std::string>{"https://ctrl.example:1280/edge/client/v1"});
}

TEST_F(ZitiIdentityTest, SeveralControllersSupersedeTheOne) {
  auto object = sample();
  object["ztAPIs"] = {"https://a.example:1/edge/client/v1", "https://[::1]", "HTTPS://b.example"};
  EXPECT_EQ(parse(object)->controllers,
            (std::vector<std::string>{"https://a.example:1/edge/client/v1",
                                      "https://[::1]:443/edge/client/v1",
                                      "https://b.example:443/edge/client/v1"}));
  object["ztAPIs"] = nullptr;
  EXPECT_EQ(parse(object)->controllers.size(), 1U);
}

TEST_F(ZitiIdentityTest, FilesBesideItAreRead) {
  const simplon::test::TemporaryFolder folder;
  std::ofstream(folder.path() / "key.pem") << own.private_key;
  std::ofstream(folder.path() / "cert.pem") << own.chain;
  std::ofstream(folder.path() / "ca.pem") << authority.root();
  auto object = sample();
  object["id"] = {{"key", "file:key.pem"},
                  {"cert", "cert.pem"},
                  {"ca", "file://" + (folder.path() / "ca.pem").string()}};
  std::ofstream(folder.path() / "id.json") << object.dump();
  const auto identity = load_identity(folder.path() / "id.json");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->key, own.private_key);
  EXPECT_EQ(identity->ca, authority.root());
  // Where nobody said what they are relative to, they are not read.
  expect_refused(object, StatusCode::kInvalidArgument, "refers to a file");
  std::filesystem::remove(folder.path() / "cert.pem");
  const auto gone = load_identity(folder.path() / "id.json");
  EXPECT_EQ(gone.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(gone.status().message()),
              AllOf(HasSubstr("id.cert"), HasSubstr("cert.pem")));
}

TEST_F(ZitiIdentityTest, KeysInHardwareAreRefusedInWords) {
  auto object = sample();
  object["id"]["key"] = "pkcs11:///usr/lib/softhsm.so?pin=1234";
  expect_refused(object, StatusCode::kUnimplemented, "hardware");
  object["id"]["key"] = "keychain://shop";
  expect_refused(object, StatusCode::kUnimplemented, "keychain");
}

TEST_F(ZitiIdentityTest, AKeyOfAnotherCertificateIsRefused) {
  auto object = sample();
  object["id"]["key"] = authority.issue("other").private_key;
  expect_refused(object, StatusCode::kInvalidArgument, "not the key of the first certificate");
}

TEST_F(ZitiIdentityTest, EveryPartIsNamedWhenItIsWrong) {
  for (const char* part : {"key", "cert", "ca"}) {
    auto object = sample();
    object["id"].erase(part);
    expect_refused(object, StatusCode::kInvalidArgument, std::string("id.") + part);
    object["id"][part] = 7;
    expect_refused(object, StatusCode::kInvalidArgument, std::string("id.") + part);
    object["id"][part] = "pem:-----BEGIN NONSENSE-----";
    expect_refused(object, StatusCode::kInvalidArgument, std::string("id.") + part);
  }
  auto object = sample();
  object.erase("id");
  expect_refused(object, StatusCode::kInvalidArgument, "id");
  object = sample();
  object.erase("ztAPI");
  expect_refused(object, StatusCode::kInvalidArgument, "ztAPI");
  for (const char* url : {"http://ctrl.example:1280", "ctrl.example:1280", "https://",
                          "https://a:0", "https://user@a:1", "https://a:1/?x", "https://a b:1"}) {
    object["ztAPI"] = url;
    expect_refused(object, StatusCode::kInvalidArgument, "ztAPI");
  }
  EXPECT_FALSE(parse_identity("[", {}).ok());
  EXPECT_FALSE(parse_identity("<html>", {}).ok());
  EXPECT_FALSE(parse_identity(std::string(kMaxIdentityBytes + 1, ' '), {}).ok());
}

TEST_F(ZitiIdentityTest, AChainWithoutIntermediatesIsNoticed) {
  IdentityFile identity = parse(sample()).value();
  EXPECT_FALSE(chain_gap(identity));
  const Authority intermediate(authority, "signer 9");
  const auto leaf = intermediate.issue("shop");
  identity.key = leaf.private_key;
  identity.certificate = leaf.chain;
  ASSERT_TRUE(chain_gap(identity));
  EXPECT_THAT(*chain_gap(identity), HasSubstr("signer 9"));
  identity.certificate = leaf.chain + intermediate.root();
  EXPECT_FALSE(chain_gap(identity));
  // Or the intermediate is in the bundle.
  identity.certificate = leaf.chain;
  identity.ca = authority.root() + intermediate.root();
  EXPECT_FALSE(chain_gap(identity));
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
