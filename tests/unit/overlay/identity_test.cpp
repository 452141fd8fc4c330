#include "overlay/embedded/identity.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "overlay/embedded/certificate.hpp"
#include "support/temporary_folder.hpp"

namespace simplon::overlay {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;
using testing::HasSubstr;

IdentityFile make_identity(const Authority& authority, const std::string& name) {
  const auto key = make_private_key().value();
  const Grant grant{.name = name,
                    .not_before = system_clock::now() - hours(1),
                    .not_after = system_clock::now() + hours(1)};
  return {.name = name,
          .certificate = sign_request(authority, make_request(key, name).value(), grant).value(),
          .private_key = key,
          .trust_bundle = authority.certificate,
          .addresses = {"hub.example:7700", "[::1]:7700"}};
}

class IdentityTest : public testing::Test {
 protected:
  void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file) << text;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }

  simplon::test::TemporaryFolder folder;
  Authority authority = make_authority().value();
  IdentityFile identity = make_identity(authority, "shop");
};

TEST_F(IdentityTest, WhatIsSavedIsLoadedAndPrivate) {
  const auto file = folder / "shop.json";
  ::umask(0);
  ASSERT_TRUE(save_identity(identity, file).ok());
  ::umask(022);
  EXPECT_EQ(load_identity(file).value(), identity);
  struct stat about{};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(IdentityTest, AnExistingFileIsReplacedOnlyWhenToldSo) {
  const auto file = folder / "shop.json";
  ASSERT_TRUE(save_identity(identity, file).ok());
  const auto other = make_identity(authority, "other");
  EXPECT_EQ(save_identity(other, file).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(load_identity(file)->name, "shop");
  EXPECT_TRUE(save_identity(other, file, /*replace=*/true).ok());
  EXPECT_EQ(load_identity(file)->name, "other");
  EXPECT_EQ(files(), 1U);
}

TEST_F(IdentityTest, AFolderThatDoesNotExistIsNotFound) {
  EXPECT_EQ(save_identity(identity, folder / "no" / "x.json").code(), absl::StatusCode::kNotFound);
}

TEST_F(IdentityTest, ErrorsNameTheFile) {
  const auto missing = load_identity(folder / "missing.json");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("missing.json"));
  write(folder / "bad.json", "{}");
  const auto bad = load_identity(folder / "bad.json");
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("bad.json"));
  EXPECT_EQ(load_identity(folder).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(IdentityTest, AZitiFileIsToldApartByItsContent) {
  const std::string ziti = R"({"ztAPI":"https://ctrl:1280/edge/client/v1","id":{"key":"pem:x"}})";
  EXPECT_EQ(identity_kind(ziti).value(), IdentityKind::ziti);
  EXPECT_EQ(parse_identity(ziti).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(identity_kind(to_json(identity)).value(), IdentityKind::embedded);
  for (const std::string neither : {"", "[]", "{", "{\"kind\":1}", "null"}) {
    EXPECT_EQ(identity_kind(neither).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(IdentityTest, PartsThatDoNotBelongTogetherAreNamed) {
  const auto refusal = [](const IdentityFile& broken) {
    const auto parsed = parse_identity(to_json(broken));
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(parsed.status().message());
  };
  auto broken = identity;
  broken.private_key = make_private_key().value();
  EXPECT_THAT(refusal(broken), HasSubstr("private_key"));
  broken = identity;
  broken.trust_bundle = make_authority()->certificate;
  EXPECT_THAT(refusal(broken), HasSubstr("trust_bundle"));
  broken = identity;
  broken.name = "other";
  EXPECT_THAT(refusal(broken), HasSubstr("name"));
  broken = identity;
  broken.certificate = "x";
  EXPECT_THAT(refusal(broken), HasSubstr("certificate"));
  broken = identity;
  broken.addresses = {};
  EXPECT_THAT(refusal(broken), HasSubstr("addresses"));
  broken.addresses = {"no-port"};
  EXPECT_THAT(refusal(broken), HasSubstr("addresses"));
}

TEST_F(IdentityTest, AFileThatIsTooLargeIsRefused) {
  write(folder / "large.json", to_json(identity) + std::string(kMaxIdentityBytes, ' '));
  EXPECT_EQ(load_identity(folder / "large.json").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace simplon::overlay
