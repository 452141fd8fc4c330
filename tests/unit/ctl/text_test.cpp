#include "ctl/text.hpp"

#include <gtest/gtest.h>

namespace simplon::ctl {
namespace {

using namespace std::chrono_literals;

std::string listen(std::string_view typed) {
  const auto parsed = parse_listen(typed);
  return parsed ? *parsed : "error: " + parsed.error();
}

TEST(Target, ARelativeSocketPathBecomesAbsolute) {
  EXPECT_EQ(target_from("unix:app.sock", "/home/ada"), "unix:/home/ada/app.sock");
  EXPECT_EQ(target_from("unix:./app.sock", "/home/ada"), "unix:/home/ada/app.sock");
  EXPECT_EQ(target_from("unix:../app.sock", "/home/ada"), "unix:/home/app.sock");
}

TEST(Target, AllElseIsTheAgentsToRead) {
  for (const auto* typed :
       {"", "3000", "localhost:3000", "tcp://db:5432", "unix:", "unix:/run/app.sock",
        "unix:///run/app.sock", "http://unix:80", "nonsense"}) {
    EXPECT_EQ(target_from(typed, "/home/ada"), typed);
  }
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
