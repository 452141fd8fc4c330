#include "tunnel/spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tunnel/names.hpp"
#include "tunnel/target.hpp"

namespace simplon::tunnel {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string text_of(std::string_view text) {
  const auto target = parse_target(text);
  return target.ok() ? target->text() : std::string(target.status().message());
}

TEST(TargetTest, PeopleMayAbbreviate) {
  EXPECT_EQ(text_of("3000"), "http://localhost:3000");
  EXPECT_EQ(text_of(":3000"), "http://localhost:3000");
  EXPECT_EQ(text_of("localhost:3000"), "http://localhost:3000");
  EXPECT_EQ(text_of("http://example.org"), "http://example.org:80");
  EXPECT_EQ(text_of("https://example.org/"), "https://example.org:443");
  EXPECT_EQ(text_of("http://[::1]:8080"), "http://[::1]:8080");
  EXPECT_EQ(text_of("http://[::1]"), "http://[::1]:80");
  EXPECT_EQ(text_of("tcp://db:5432"), "tcp://db:5432");
  EXPECT_EQ(text_of("h2c://[::1]:50051/"), "h2c://[::1]:50051");
  EXPECT_EQ(text_of("unix:/run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(text_of("unix:///run/app.sock"), "unix:/run/app.sock");
}

TEST(TargetTest, NonsenseIsRefusedWithAReason) {
  for (const std::string text : {"",
                                 "0",
                                 "65536",
                                 "99999999999999999999",
                                 "localhost",
                                 "localhost:",
                                 "localhost:x",
                                 "ftp://a:1",
                                 "tcp://db",
                                 "http://",
                                 "http://a/b",
                                 "http://u@a",
                                 "http://a b",
                                 "a\n:1",
                                 "unix:",
                                 "unix:/",
                                 "unix:relative",
                                 "http://[::1",
                                 "http://a:1:2:3x",
                                 "http://x:0",
                                 "http://x:y",
                                 "http://::1",
                                 "x y:1",
                                 "http://x:1\r\nHost: y",
                                 "-1",
                                 "[::1:3000",
                                 "http://x?y",
                                 "unix:/a\nb"}) {
    EXPECT_FALSE(parse_target(text).ok()) << text;
  }
  EXPECT_FALSE(parse_target("h2c://rpc").ok()) << "HTTP/2 has no usual port without TLS";
  EXPECT_FALSE(parse_target("unix:/" + std::string(200, 'x')).ok());
  EXPECT_FALSE(parse_target("http://" + std::string(300, 'x')).ok());
  EXPECT_FALSE(parse_target(std::string_view("unix:/a\0b", 9)).ok());
}

TEST(TargetTest, ARefusalSaysWhatToWrite) {
  EXPECT_THAT(text_of("localhost"), HasSubstr("write 3000, localhost:3000, http://host:port"));
  EXPECT_THAT(text_of("ftp://x:1"), HasSubstr("there are http, https, h2c, tcp and unix"));
  EXPECT_EQ(text_of("tcp://db"), "\"tcp://db\" has no port; write host:port");
  EXPECT_THAT(text_of("\x1b[31m"), StartsWith("\"?[31m\" contains"));
}

std::string refusal(Tunnel tunnel) { return std::string(normalize(tunnel).message()); }

TEST(SpecTest, AnErrorBeginsWithItsField) {
  Tunnel tunnel;
  tunnel.spec = Share{.service = {}, .overlay = {}, .target = "ftp://x", .host_header = {}};
  EXPECT_THAT(refusal(tunnel), StartsWith("share.target: \"ftp://x\""));
  tunnel.name = "Upper";
  EXPECT_THAT(refusal(tunnel), StartsWith("name: \"Upper\""));
  tunnel.name = {};
  tunnel.spec = Share{.service = "a\nb", .overlay = {}, .target = "80", .host_header = {}};
  EXPECT_THAT(refusal(tunnel), StartsWith("share.service: "));
  tunnel.spec = Share{.service = {}, .overlay = {}, .target = "80", .host_header = "a\r\nb"};
  EXPECT_EQ(refusal(tunnel), "share.host_header: \"a??b\" is not a Host header's value");
  for (const std::string host : {"a b", "a/b", "u@a", "a,b", "a\x1b[0m", "\x7f", "\xff"}) {
    tunnel.spec = Share{.service = {}, .overlay = {}, .target = "80", .host_header = host};
    EXPECT_THAT(refusal(tunnel), StartsWith("share.host_header: ")) << host;
  }
  for (const std::string host : {"app.internal", "my_app:8080", "[::1]:80", ""}) {
    tunnel.spec = Share{.service = {}, .overlay = {}, .target = "80", .host_header = host};
    EXPECT_EQ(refusal(tunnel), "") << host;
  }
  tunnel.spec = Access{.service = {}, .overlay = {}, .listen = {}};
  EXPECT_THAT(refusal(tunnel), StartsWith("access.service: "));
  tunnel.spec = Access{.service = "a", .overlay = {}, .listen = "example.org:80"};
  EXPECT_THAT(refusal(tunnel), StartsWith("access.listen: "));
  tunnel.spec = Access{.service = "a", .overlay = "no overlay", .listen = {}};
  EXPECT_THAT(refusal(tunnel), StartsWith("access.overlay: "));
  for (const std::string zone : {"", ".", "a..b", ".a", "a.", "a b", "-a"}) {
    tunnel.spec = Frontend{.overlay = {}, .listen = {}, .zone = zone};
    EXPECT_THAT(refusal(tunnel), StartsWith("frontend.zone: ")) << zone;
  }
  tunnel.spec = Frontend{.overlay = {}, .listen = "8080", .zone = "localhost"};
  EXPECT_THAT(refusal(tunnel), StartsWith("frontend.listen: "));
  tunnel.spec = Share{.service = {}, .overlay = {}, .target = "80", .host_header = {}};
  tunnel.labels = {{"key", std::string(200, 'x')}};
  EXPECT_THAT(refusal(tunnel), StartsWith("labels: "));
}

TEST(SpecTest, TheUrlIsWhatPeopleType) {
  Tunnel tunnel;
  tunnel.spec = Access{.service = "a", .overlay = {}, .listen = "0.0.0.0:9191"};
  EXPECT_EQ(url_of(tunnel), "http://localhost:9191");
  tunnel.spec =
      Access{.service = "a", .overlay = {}, .listen = "[::1]:1", .protocol = Protocol::tcp};
  EXPECT_EQ(url_of(tunnel), "tcp://[::1]:1");
  tunnel.spec = Frontend{.overlay = {}, .listen = "127.0.0.1:8080", .zone = "localhost"};
  EXPECT_EQ(url_of(tunnel), "http://*.localhost:8080");
  tunnel.spec = Frontend{.overlay = {}, .listen = ":80", .zone = "example.org"};
  EXPECT_EQ(url_of(tunnel), "http://*.example.org");
}

TEST(NamesTest, AChosenNameIsFreeAndValid) {
  const Access access{.service = std::string(63, 'a'), .overlay = {}, .listen = {}};
  const Access foreign{.service = "My Service: ÄÖ", .overlay = {}, .listen = {}};
  EXPECT_EQ(choose_name(foreign, [](auto) { return false; }), "my-service-access");
  const std::string first = choose_name(access, [](auto) { return false; });
  EXPECT_EQ(first, std::string(56, 'a') + "-access");
  EXPECT_EQ(choose_name(access, [&](auto name) { return name == first; }).size(), 63U);
  int tries = 0;
  const std::string name = choose_name(Share{}, [&](auto) { return ++tries < 100; });
  Tunnel tunnel;
  tunnel.name = name;
  tunnel.spec = Share{.service = {}, .overlay = {}, .target = "80", .host_header = {}};
  EXPECT_TRUE(normalize(tunnel).ok()) << name;
}

}  // namespace
}  // namespace simplon::tunnel
