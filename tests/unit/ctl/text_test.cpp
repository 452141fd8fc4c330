#include "ctl/text.hpp"

#include <gtest/gtest.h>

namespace simplon::ctl {
namespace {

using namespace std::chrono_literals;

std::string target(std::string_view typed) {
  const auto parsed = parse_target(typed, "/home/ada");
  return parsed ? *parsed : "error: " + parsed.error();
}

std::string listen(std::string_view typed) {
  const auto parsed = parse_listen(typed);
  return parsed ? *parsed : "error: " + parsed.error();
}

TEST(Target, APortAloneIsHttpOnThisHost) { EXPECT_EQ(target("3000"), "http://localhost:3000"); }

TEST(Target, AHostAndPortIsHttp) {
  EXPECT_EQ(target("localhost:3000"), "http://localhost:3000");
  EXPECT_EQ(target("[::1]:3000"), "http://[::1]:3000");
}

TEST(Target, AUrlGetsTheDefaultPortOfItsScheme) {
  EXPECT_EQ(target("http://intranet"), "http://intranet:80");
  EXPECT_EQ(target("https://intranet/"), "https://intranet:443");
  EXPECT_EQ(target("https://[fe80::1]"), "https://[fe80::1]:443");
  EXPECT_EQ(target("https://intranet:8443"), "https://intranet:8443");
}

TEST(Target, RawBytesNeedAPort) {
  EXPECT_EQ(target("tcp://localhost:5432"), "tcp://localhost:5432");
  EXPECT_TRUE(target("tcp://localhost").starts_with("error: "));
}

TEST(Target, Http2NeedsAPort) {
  EXPECT_EQ(target("h2c://localhost:50051"), "h2c://localhost:50051");
  EXPECT_EQ(target("h2c://[::1]:50051/"), "h2c://[::1]:50051");
  EXPECT_TRUE(target("h2c://localhost").starts_with("error: "));
}

TEST(Target, ARelativeSocketPathBecomesAbsolute) {
  EXPECT_EQ(target("unix:/run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(target("unix:///run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(target("unix:app.sock"), "unix:/home/ada/app.sock");
  EXPECT_EQ(target("unix:../app.sock"), "unix:/home/app.sock");
}

TEST(Target, ASocketPathThatTheKernelCannotHoldIsRefused) {
  EXPECT_TRUE(target("unix:/" + std::string(107, 'a')).starts_with("error: "));
  EXPECT_EQ(target("unix:/" + std::string(106, 'a')), "unix:/" + std::string(106, 'a'));
}

TEST(Target, WhatIsNoTargetIsRefused) {
  for (const auto* typed :
       {"", "localhost", "0", "65536", "99999999999999999999", "ftp://x:1", "http://", "http://x:0",
        "http://x:y", "http://x/path", "http://a@b:1", "http://::1", "x y:1", ":3000",
        "unix:", "http://x:1\r\nHost: y", "-1", "[::1:3000", "http://x?y"}) {
    EXPECT_TRUE(target(typed).starts_with("error: ")) << typed << " became " << target(typed);
  }
}

TEST(Target, AnUnknownSchemeIsNamed) {
  EXPECT_NE(target("ftp://x:1").find("\"ftp\""), std::string::npos);
}

TEST(Listen, APortAloneMeansTheLoopback) {
  EXPECT_EQ(listen("9191"), "127.0.0.1:9191");
  EXPECT_EQ(listen("localhost:9191"), "127.0.0.1:9191");
  EXPECT_EQ(listen("0.0.0.0:0"), "0.0.0.0:0");
  EXPECT_EQ(listen("[::]:80"), "[::]:80");
}

TEST(Listen, EveryAddressIsNeverMeantByOmission) {
  EXPECT_NE(listen(":8080").find("0.0.0.0:8080"), std::string::npos);
  EXPECT_TRUE(listen(":8080").starts_with("error: "));
}

TEST(Listen, WhatIsNoAddressIsRefused) {
  for (const auto* typed : {"", "x", "127.0.0.1", "127.0.0.1:", "1:2:3", "127.0.0.1:70000"}) {
    EXPECT_TRUE(listen(typed).starts_with("error: ")) << typed;
  }
}

TEST(Duration, HasAUnit) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("10s"), 10s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("2d"), 48h);
}

TEST(Duration, WhatIsNoDurationIsRefused) {
  for (const auto* typed : {"", "10", "s", "-1s", "1.5s", "10 s", "10x", "9223372036854775807d",
                            "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(typed)) << typed;
  }
}

TEST(Duration, IsToldAsPeopleWouldWriteIt) {
  EXPECT_EQ(duration_text(0ms), "none");
  EXPECT_EQ(duration_text(1500ms), "1500ms");
  EXPECT_EQ(duration_text(60s), "60s");
  EXPECT_EQ(duration_text(120s), "120s");
  EXPECT_EQ(duration_text(5min), "5m");
  EXPECT_EQ(duration_text(36h), "36h");
  EXPECT_EQ(duration_text(365 * 24h), "365d");
  for (const auto duration : {1ms, 999ms, 60'000ms, 7'200'000ms, 86'400'000ms}) {
    EXPECT_EQ(parse_duration(duration_text(duration)), duration);
  }
}

TEST(Size, IsBytesOrHasABinaryUnit) {
  EXPECT_EQ(parse_size("1000", true), 1000U);
  EXPECT_EQ(parse_size("64KiB", true), 65536U);
  EXPECT_EQ(parse_size("10MiB", true), 10U << 20);
  EXPECT_EQ(parse_size("1TiB", true), 1ULL << 40);
  EXPECT_EQ(parse_size("9223372036854775807", true), INT64_MAX);
  EXPECT_EQ(size_text(65536), "64KiB");
  EXPECT_EQ(size_text(1000), "1000");
  EXPECT_EQ(size_text(10 << 20), "10MiB");
}

TEST(Size, WhatIsNoSizeIsRefused) {
  for (const auto* typed : {"", "0", "-1", "KiB", "10MB", "10mib", "10 MiB", "1.5MiB",
                            "9223372036854775808", "99999999999TiB", "0x10"}) {
    EXPECT_FALSE(parse_size(typed, true)) << typed;
  }
  EXPECT_FALSE(parse_size("1KiB", false));
}

std::string rule(std::string_view typed) {
  const auto parsed = parse_header_rule(typed);
  return parsed ? std::string(1, parsed->action) + "|" + parsed->name + "|" + parsed->value
                : "error: " + parsed.error();
}

TEST(HeaderRule, SetsAddsOrRemoves) {
  EXPECT_EQ(rule("X-A: 1"), "=|X-A|1");
  EXPECT_EQ(rule("X-A:1: 2"), "=|X-A|1: 2");
  EXPECT_EQ(rule("X-A: "), "=|X-A|");
  EXPECT_EQ(rule("X-A:"), "=|X-A|");
  EXPECT_EQ(rule("+X-A: a b"), "+|X-A|a b");
  EXPECT_EQ(rule("-X-A"), "-|X-A|");
}

TEST(HeaderRule, WhatIsNoRuleIsRefused) {
  for (const auto* typed : {"", "X-A", ": 1", "+X-A", "+: 1", "-", "-X-A: 1"}) {
    EXPECT_TRUE(rule(typed).starts_with("error: ")) << typed;
  }
}

}  // namespace
}  // namespace simplon::ctl
