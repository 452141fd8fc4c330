#include "agent/options.hpp"

#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

using testing::HasSubstr;

class OptionsTest : public testing::Test {
 protected:
  void SetUp() override { environment_["HOME"] = "/home/someone"; }

  std::expected<Options, Ended> parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "simplon-agent");
    std::vector<const char*> raw;
    for (const auto& argument : arguments) {
      raw.push_back(argument.c_str());
    }
    return parse_options(static_cast<int>(raw.size()), raw.data(),
                         [this](const char* name) -> std::optional<std::string> {
                           const auto found = environment_.find(name);
                           return found == environment_.end() ? std::nullopt
                                                              : std::optional(found->second);
                         });
  }

  std::string file(const std::string& text) {
    const auto path = folder_ / "agent.conf";
    std::ofstream(path) << text;
    return path.string();
  }

  std::string refusal(const std::vector<std::string>& arguments) {
    const auto options = parse(arguments);
    EXPECT_FALSE(options.has_value());
    if (options) {
      return {};
    }
    EXPECT_EQ(options.error().code, 2);
    return options.error().text;
  }

  simplon::test::TemporaryFolder folder_;
  std::map<std::string, std::string, std::less<>> environment_;
};

TEST_F(OptionsTest, WithoutAnyTheDefaultsHold) {
  const auto options = parse({});
  ASSERT_TRUE(options.has_value());
  EXPECT_FALSE(options->agent_name.empty());
  EXPECT_FALSE(options->hub_listen.none);
  EXPECT_FALSE(options->hub_listen.chosen);
  EXPECT_EQ(net::to_string(options->hub_listen.endpoint), "127.0.0.1:7443");
  EXPECT_EQ(options->log_level, "info");
  EXPECT_EQ(options->log_format, base::LogFormat::text);
  EXPECT_EQ(options->drain, std::chrono::seconds(30));
}

TEST_F(OptionsTest, AFlagBeatsTheEnvironmentAndThatBeatsTheFile) {
  const auto config = file("agent-name = \"file\"\nlog-level = warn # loud\nhub-listen='none'\n");
  environment_["SIMPLON_AGENT_NAME"] = "environment";
  environment_["SIMPLON_LOG_LEVEL"] = "error";
  auto options = parse({"--config", config, "--agent-name", "flag"});
  ASSERT_TRUE(options.has_value()) << options.error().text;
  EXPECT_EQ(options->agent_name, "flag");
  EXPECT_EQ(options->log_level, "error");
  EXPECT_TRUE(options->hub_listen.none);
  environment_.clear();
  environment_["SIMPLON_CONFIG"] = config;
  options = parse({});
  ASSERT_TRUE(options.has_value()) << options.error().text;
  EXPECT_EQ(options->agent_name, "file");
  EXPECT_EQ(options->log_level, "warn");
}

TEST_F(OptionsTest, TheSocketFollowsTheStrongestSourceThatSaysWhereTheStateIs) {
  const auto config = file("state-dir = /file/state\nsocket = /file/socket\n");
  EXPECT_EQ(parse({"--config", config})->paths.socket, "/file/socket");
  EXPECT_EQ(parse({"--config", config})->paths.state_dir, "/file/state");
  environment_["SIMPLON_STATE_DIR"] = "/environment/state";
  EXPECT_EQ(parse({"--config", config})->paths.socket, "/environment/state/agent.sock");
  environment_["SIMPLON_SOCKET"] = "/environment/socket";
  EXPECT_EQ(parse({"--config", config})->paths.socket, "/environment/socket");
  const auto flag = parse({"--config", config, "--state-dir", "/flag/state"});
  EXPECT_EQ(flag->paths.socket, "/flag/state/agent.sock");
  EXPECT_EQ(flag->paths.state_dir, "/flag/state");
}

TEST_F(OptionsTest, WhatMakesNoSenseIsNamedWithItsSource) {
  EXPECT_THAT(refusal({"--hub-listen", "nowhere"}), HasSubstr("--hub-listen: \"nowhere\""));
  EXPECT_THAT(refusal({"--agent-name", "Not A Label"}), HasSubstr("--agent-name"));
  EXPECT_THAT(refusal({"--log-level", "loud"}), HasSubstr("--log-level"));
  EXPECT_THAT(refusal({"--log-format", "xml"}), HasSubstr("--log-format"));
  EXPECT_THAT(refusal({"--drain", "soon"}), HasSubstr("--drain"));
  EXPECT_THAT(refusal({"--drain", "25h"}), HasSubstr("--drain"));
  EXPECT_THAT(refusal({"--hub-advertise", "a,,b"}), HasSubstr("--hub-advertise"));
  EXPECT_THAT(refusal({"--hub-advertise", "a b:7"}), HasSubstr("--hub-advertise: \"a b:7\""));
  EXPECT_THAT(refusal({"--nonsense"}), HasSubstr("--nonsense"));
  EXPECT_THAT(refusal({"--config", "/missing/file"}), HasSubstr("/missing/file"));
  environment_["SIMPLON_LOG_LEVEL"] = "loud";
  EXPECT_THAT(refusal({}), HasSubstr("SIMPLON_LOG_LEVEL: \"loud\""));
}

TEST_F(OptionsTest, AHubThatListensOnAPortAloneStaysOnThisHost) {
  const auto options = parse({"--hub-listen", "7500"});
  ASSERT_TRUE(options.has_value()) << options.error().text;
  EXPECT_EQ(net::to_string(options->hub_listen.endpoint), "127.0.0.1:7500");
  EXPECT_THAT(refusal({"--hub-listen", "70000"}), HasSubstr("--hub-listen: \"70000\""));
  EXPECT_THAT(refusal({"--hub-listen", ":7443"}),
              HasSubstr("name the address, too: 0.0.0.0:7443 for every interface"));
}

TEST_F(OptionsTest, ALineOfTheFileThatMakesNoSenseIsNamedByItsNumber) {
  EXPECT_THAT(refusal({"--config", file("\n# fine\nhub-lisen = x\n")}),
              HasSubstr("agent.conf:3: there is no option \"hub-lisen\""));
  EXPECT_THAT(refusal({"--config", file("gibberish\n")}), HasSubstr("agent.conf:1"));
  EXPECT_THAT(refusal({"--config", file("drain = \"10s\n")}), HasSubstr("quotes"));
  EXPECT_THAT(refusal({"--config", file("drain = never\n")}),
              HasSubstr("agent.conf:1: drain: \"never\""));
  EXPECT_THAT(refusal({"--config", file("config = other\n")}), HasSubstr("no option"));
}

TEST_F(OptionsTest, AdvertisedAddressesMayLackAPort) {
  const auto options = parse({"--hub-advertise", "hub.example:7443, 10.0.0.1,[fd00::1]:1"});
  ASSERT_TRUE(options.has_value()) << options.error().text;
  EXPECT_THAT(options->hub_advertise,
              testing::ElementsAre("hub.example:7443", "10.0.0.1", "[fd00::1]:1"));
}

TEST_F(OptionsTest, HelpAndVersionAreNoErrors) {
  for (const auto* flag : {"--help", "--version"}) {
    const auto ended = parse({flag});
    ASSERT_FALSE(ended.has_value());
    EXPECT_EQ(ended.error().code, 0);
    EXPECT_THAT(ended.error().text, HasSubstr("simplon-agent"));
  }
}

TEST(DnsLabel, IsMadeOfAnyHostName) {
  EXPECT_EQ(dns_label("alpha"), "alpha");
  EXPECT_EQ(dns_label("Build-7.example.net"), "build-7");
  EXPECT_EQ(dns_label("my_host"), "my-host");
  EXPECT_EQ(dns_label("-x-"), "x");
  EXPECT_EQ(dns_label("___"), "agent");
  EXPECT_EQ(dns_label(""), "agent");
  EXPECT_EQ(dns_label(std::string(62, 'a') + "-b"), std::string(62, 'a'));
}

}  // namespace
}  // namespace simplon::agent
