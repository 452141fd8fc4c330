#include <gmock/gmock.h>

#include "overlay/embedded/enroll.hpp"

namespace simplon::overlay {
namespace {

using testing::HasSubstr;

Token example() {
  return {.name = "shop",
          .addresses = {"hub.example:7700", "[2001:db8::1]:7700"},
          .root_spki = std::string(32, '\xfe'),
          .secret = std::string(31, '\x01') + '\0',
          .expires = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000))};
}

TEST(TokenTest, ATokenIsOneWordThatReadsBackAsItself) {
  const auto text = encode_token(example());
  EXPECT_TRUE(text.starts_with("simplon-join-1."));
  EXPECT_EQ(text.find_first_of(" \n\t+/="), std::string::npos);
  EXPECT_EQ(parse_token(text).value(), example());
  EXPECT_EQ(parse_token("  " + text + "\r\n").value(), example());
}

TEST(TokenTest, ATokenThatWasCutIsRefused) {
  const auto text = encode_token(example());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto parsed = parse_token(text.substr(0, size));
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(TokenTest, FieldsThatMakeNoSenseAreRefused) {
  const auto refused = [](auto change) {
    Token token = example();
    change(token);
    return parse_token(encode_token(token)).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](Token& token) { token.name = "Not A Label"; }));
  EXPECT_TRUE(refused([](Token& token) { token.addresses = {}; }));
  EXPECT_TRUE(refused([](Token& token) { token.addresses = {":7700"}; }));
  EXPECT_TRUE(refused([](Token& token) { token.addresses = {"hub:0"}; }));
  EXPECT_TRUE(refused([](Token& token) { token.addresses.assign(17, "hub:1"); }));
  EXPECT_TRUE(refused([](Token& token) { token.root_spki.pop_back(); }));
  EXPECT_TRUE(refused([](Token& token) { token.secret += 'x'; }));
  EXPECT_TRUE(refused([](Token& token) { token.expires -= std::chrono::years(100); }));
}

TEST(TokenTest, TheErrorSaysWhatIsWrong) {
  const auto why = [](std::string_view text) {
    return std::string(parse_token(text).status().message());
  };
  EXPECT_THAT(why("hello"), HasSubstr("simplon-join-1."));
  EXPECT_THAT(why("simplon-join-2.AAAA"), HasSubstr("newer"));
  EXPECT_THAT(why("simplon-join-1.!"), HasSubstr("base64url"));
  EXPECT_THAT(why(std::string(5000, 'x')), HasSubstr("4096"));
}

}  // namespace
}  // namespace simplon::overlay
