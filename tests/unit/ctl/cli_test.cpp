// The command line from the outside: exit codes, one clear line, and no agent needed to refuse.
#include "ctl/cli.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "ctl/agent_link.hpp"

namespace simplon::ctl {
namespace {

struct Ran {
  int exit = 0;
  std::string out;
  std::string err;
};

Ran run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"simplonctl", "--socket", "/nonexistent/agent.sock"});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  ran.exit = main(static_cast<int>(arguments.size()), arguments.data());
  ran.out = testing::internal::GetCapturedStdout();
  ran.err = testing::internal::GetCapturedStderr();
  return ran;
}

TEST(CommandLine, HelpIsDone) {
  for (const auto* command : {"share", "access", "frontend", "list", "get", "delete", "doctor",
                              "status", "version", "log-level", "join", "hub"}) {
    const auto ran = run({command, "--help"});
    EXPECT_EQ(ran.exit, 0) << command;
    EXPECT_NE(ran.out.find("Usage: simplonctl"), std::string::npos) << command << ran.out;
    EXPECT_EQ(ran.err, "") << command;
  }
}

TEST(CommandLine, ErrorsAreJsonWhereJsonWasAskedFor) {
  EXPECT_EQ(run({"-o", "json", "frobnicate"}).err,
            "{\"error\":{\"advice\":\"see simplonctl --help\",\"code\":\"USAGE\",\"exit_code\":2,"
            "\"message\":\"there is no command \\\"frobnicate\\\"\"}}\n");
  const auto ran = run({"list", "--output=json"});
  EXPECT_EQ(ran.exit, 3);
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ran.err.starts_with("{\"error\":{\"advice\":\"start one with: simplon-agent"))
      << ran.err;
  EXPECT_NE(ran.err.find("\"code\":\"UNREACHABLE\",\"exit_code\":3"), std::string::npos);
  EXPECT_TRUE(run({"-o", "table", "frobnicate"}).err.starts_with("simplonctl: "));
}

TEST(CommandLine, WhatMakesNoSenseIsUsageAndOneLineSaysWhy) {
  const std::vector<std::vector<const char*>> wrong{
      {},
      {"frobnicate"},
      {"share"},
      {"share", "3000", "4000"},
      {"share", "3000", "--label", "x"},
      {"share", "3000", "--bogus"},
      {"share", "3000", "--ziti-cost", "65536"},
      {"share", "3000", "--ziti-cost", "-1"},
      {"share", "3000", "--ziti-precedence", "high"},
      {"access"},
      {"access", "demo", "--listen", "nonsense"},
      {"frontend"},
      {"frontend", "--zone", "localhost", "--listen", ":80"},
      {"get"},
      {"doctor"},
      {"doctor", "demo", "other"},
      {"delete"},
      {"delete", "demo", "--drain", "soon"},
      {"status", "--wait", "ever"},
      {"log-level", "loud"},
      {"hub"},
      {"hub", "invite"},
      {"hub", "invite", "beta", "--expires", "31d"},
      {"join", "token", "--token-file", "file"},
      {"join", "--token-file", "/nonexistent/token"},
      {"list", "-o", "yaml"},
      {"identity"},
      {"identity", "create"},
      {"identity", "create", "ws-host"},
      {"test"},
      {"test", "endpoint"},
      {"test", "endpoint", "--listen", "nonsense"},
      {"test", "endpoint", "--service", "ws"},
      {"test", "endpoint", "--listen", "0", "--service", "ws"},
      {"test", "endpoint", "--identity", "/nonexistent/id", "--service", "ws"},
      {"test", "endpoint", "--identity", "/nonexistent/id", "--service", "No Name"},
      {"test", "websocket"},
      {"test", "websocket", "ftp://x"},
      {"test", "websocket", "x", "--timeout", "soon"},
      {"test", "websocket", "x", "--timeout", "0s"},
      {"test", "websocket", "x", "--interval", "often"},
      {"test", "websocket", "x", "--count", "-1"},
      {"test", "websocket", "--service", "ws"},
      {"test", "websocket", "x", "--identity", "f", "--service", "ws"},
      {"test", "proxy", "--listen", "0"},
      {"test", "proxy", "--listen", "0", "--to", "tcp://x:1"},
      {"test", "proxy", "--listen", "0", "--to", "http://x", "--to-service", "ws"},
      {"test", "proxy", "--listen", "0", "--to-service", "ws"},
      {"test", "proxy", "--to", "http://x"},
  };
  for (const auto& arguments : wrong) {
    const auto ran = run(arguments);
    EXPECT_EQ(ran.exit, 2) << testing::PrintToString(arguments) << ran.err;
    EXPECT_TRUE(ran.err.starts_with("simplonctl: ")) << ran.err;
    EXPECT_LE(std::ranges::count(ran.err, '\n'), 2) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
}

TEST(CommandLine, WithoutAnAgentTheCommandThatStartsOneIsPrinted) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {"list"},
           {"status"},
           {"share", "3000"},
           {"hub", "invite", "beta"},
           {"join", "token"},
           {"identity", "create", "x", "--out", "/tmp/simplon-not-written.json"}}) {
    const auto ran = run(arguments);
    EXPECT_EQ(ran.exit, 3);
    EXPECT_NE(ran.err.find("/nonexistent/agent.sock"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("simplon-agent --socket /nonexistent/agent.sock"), std::string::npos)
        << ran.err;
  }
}

TEST(CommandLine, TheCommandThatStartsAnAgentCanBePastedIntoAShell) {
  const auto ran = run({"list", "--state-dir", "/nonexistent/my agent's"});
  EXPECT_NE(ran.err.find("simplon-agent --state-dir '/nonexistent/my agent'\\''s' --socket /none"),
            std::string::npos)
      << ran.err;
  const grpc::Status gone(grpc::StatusCode::UNAVAILABLE, "gone");
  EXPECT_EQ(trouble_of(gone, "/a.sock", false, "simplon-agent --socket /a.sock").next,
            "start it again with: simplon-agent --socket /a.sock");
}

TEST(CommandLine, ARefusedFieldIsCalledByItsOption) {
  const auto next_of = [](const char* message) {
    return trouble_of({grpc::StatusCode::INVALID_ARGUMENT, message}, "/a.sock", true, "").next;
  };
  EXPECT_EQ(next_of("access.http.timeouts.head: is not between …"), "that is --timeout-head");
  EXPECT_EQ(next_of("share.http.limits.request_body_bytes: …"), "that is --max-body");
  EXPECT_EQ(next_of("share.request_headers[3].name: \"Host\" …"), "that is --request-header");
  EXPECT_EQ(next_of("frontend.trusted_proxies[0]: …"), "that is --trust-proxy");
  EXPECT_EQ(next_of("share.target: …"), "");
  EXPECT_EQ(next_of("…"), "");
}

TEST(CommandLine, ForATakenNameTheAdviceIsAnother) {
  const auto next = [](const char* message) {
    return trouble_of({grpc::StatusCode::ALREADY_EXISTS, message}, "/a.sock", true, "").next;
  };
  EXPECT_EQ(next("the hub has a member called \"one\" already"), "choose another name");
  EXPECT_EQ(next("share.service: the share \"a\" offers the service \"b\" already"),
            "choose another name with --service, or delete that share");
  EXPECT_EQ(next("name: there is one already; delete it or choose another name"), "");
}

TEST(CommandLine, AMistypedCommandIsNamed) {
  EXPECT_EQ(run({"lsit"}).err,
            "simplonctl: there is no command \"lsit\"\n  see simplonctl --help\n");
  EXPECT_EQ(run({"lsit"}).exit, 2);
  EXPECT_EQ(run({"lsit", "demo", "--x"}).err, run({"lsit"}).err);
  EXPECT_EQ(run({"hub", "foo"}).err,
            "simplonctl: there is no command \"hub foo\"\n  see simplonctl --help\n");
  EXPECT_EQ(run({"hub", "foo"}).exit, 2);
  EXPECT_EQ(run({"--bogus"}).err,
            "simplonctl: there is no option \"--bogus\"\n  see simplonctl --help\n");
}

TEST(CommandLine, HelpIsACommand) {
  EXPECT_EQ(run({"help"}).exit, 0);
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
  EXPECT_EQ(run({"help", "share"}).out, run({"share", "--help"}).out);
  EXPECT_EQ(run({"help", "hub", "invite"}).out, run({"hub", "invite", "--help"}).out);
  EXPECT_EQ(run({"help", "lsit"}).err, run({"lsit"}).err);
  EXPECT_EQ(run({"help", "lsit"}).exit, 2);
}

TEST(CommandLine, ATokenFileThatIsAFolderCannotBeRead) {
  EXPECT_NE(run({"join", "--token-file", "/"}).err.find("--token-file: cannot read /"),
            std::string::npos);
}

TEST(CommandLine, TheVersionNeedsNoAgent) {
  const auto ran = run({"version"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_TRUE(ran.out.starts_with("simplonctl ")) << ran.out;
  EXPECT_EQ(run({"--version"}).exit, 0);
}

TEST(CommandLine, ATunnelMayHaveTheNameOfACommand) {
  EXPECT_EQ(run({"get", "list"}).exit, 3);
  EXPECT_EQ(run({"access", "test", "--name", "status"}).exit, 3);
  EXPECT_EQ(run({"delete", "share", "get"}).exit, 3);
}

TEST(CommandLine, EveryCodeOfTheApiHasItsExitCode) {
  const auto exit = [](grpc::StatusCode code, bool answers = true) {
    return trouble_of(grpc::Status(code, "why"), "/a.sock", answers, "simplon-agent").exit;
  };
  EXPECT_EQ(exit(grpc::StatusCode::NOT_FOUND), Exit::not_found);
  EXPECT_EQ(exit(grpc::StatusCode::INVALID_ARGUMENT), Exit::usage);
  EXPECT_EQ(exit(grpc::StatusCode::ALREADY_EXISTS), Exit::failed);
  EXPECT_EQ(exit(grpc::StatusCode::FAILED_PRECONDITION), Exit::failed);
  EXPECT_EQ(exit(grpc::StatusCode::DEADLINE_EXCEEDED), Exit::unreachable);
  EXPECT_EQ(exit(grpc::StatusCode::UNAVAILABLE), Exit::failed);
  EXPECT_EQ(exit(grpc::StatusCode::UNAVAILABLE, false), Exit::unreachable);
}

}  // namespace
}  // namespace simplon::ctl
