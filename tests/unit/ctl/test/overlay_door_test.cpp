// The tools over an overlay, on one in memory, and what they say of identity files.
#include "ctl/test/overlay_door.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/ids.hpp"
#include "ctl/test/endpoint.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/websocket_client.hpp"
#include "overlay/memory/memory_network.hpp"

namespace simplon::ctl {
namespace {

using namespace std::chrono_literals;

struct OverlayTools : testing::Test {
  NetworkPtr member(const std::string& name) {
    return overlay::make_memory_network(directory, name);
  }
  Serve echo() {
    return [this](Arrived arrived) {
      net::spawn(loop, "connection",
                 http::serve_locally(std::move(arrived.stream), std::make_shared<Endpoint>(loop),
                                     {}, std::make_shared<http::Drain>()));
    };
  }
  std::shared_ptr<Steps> steps() { return std::make_shared<Steps>(loop, lines, true); }

  net::Loop loop;
  std::shared_ptr<overlay::MemoryDirectory> directory = overlay::make_memory_directory();
  std::ostringstream lines;
};

net::awaitable<void> serve(net::Loop& loop, NetworkPtr network, std::string service, Serve serve,
                           Outcome* out) {
  *out =
      co_await serve_overlay(loop, std::move(network), std::move(service), true, std::move(serve));
  loop.stop();
}

net::awaitable<void> ask(net::Loop& loop, NetworkPtr network, std::string service,
                         std::shared_ptr<Steps> steps, Answer<std::string>* out) {
  const auto deadline = loop.now() + 5s;
  auto dialed = co_await dial(loop, network, service, "0123456789abcdef", deadline);
  if (!dialed) {
    *out = steps->failed(dialed.error().message());
  } else {
    const EchoOptions options{.authority = service, .path = "/echo", .message = "hi"};
    *out = co_await test_echo(std::move(dialed->stream), options, steps, deadline);
  }
  loop.stop();
}

TEST_F(OverlayTools, AWebsocketGoesStraightOverTheOverlay) {
  Outcome served;
  Answer<std::string> received;
  net::spawn(loop, "host", serve(loop, member("ws-host"), "ws", echo(), &served));
  net::spawn(loop, "client", ask(loop, member("ws-client"), "ws", steps(), &received));
  loop.run();
  ASSERT_TRUE(received) << received.error().what;
  EXPECT_EQ(*received, "hi");
}

TEST_F(OverlayTools, AServiceThatNobodyHostsIsNamedSo) {
  Answer<std::string> received;
  net::spawn(loop, "client", ask(loop, member("ws-client"), "ws", steps(), &received));
  loop.run();
  ASSERT_FALSE(received);
  EXPECT_NE(received.error().what.find("no such service"), std::string::npos)
      << received.error().what;
}

TEST_F(OverlayTools, AServiceOfSomebodyElseCannotBeHosted) {
  Outcome first;
  Outcome second;
  net::spawn(loop, "host", serve(loop, member("one"), "ws", echo(), &first));
  net::spawn(loop, "other", serve(loop, member("two"), "ws", echo(), &second));
  loop.run();
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().what.find("ws"), std::string::npos) << second.error().what;
}

struct IdentityFiles : testing::Test {
  Trouble read(const std::string& content) {
    std::ofstream(file) << content;
    const auto identity = read_identity(file);
    return identity ? Trouble{} : identity.error();
  }
  ~IdentityFiles() override { std::filesystem::remove(file); }
  std::string file =  // tests run beside each other
      testing::TempDir() + "ctl_identity_" + base::new_id() + ".json";
};

TEST_F(IdentityFiles, WhatIsNoneIsUsageAndTheFileIsNamed) {
  for (const auto* content : {"", "{}", "not json", R"({"kind":"simplon-identity","version":1})"}) {
    const auto trouble = read(content);
    EXPECT_EQ(trouble.exit, Exit::usage) << content;
    EXPECT_NE(trouble.what.find(file), std::string::npos) << trouble.what;
    EXPECT_EQ(trouble.what.find('\n'), std::string::npos) << trouble.what;
  }
  const auto missing = read_identity("/nonexistent/identity.json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().exit, Exit::usage);
  EXPECT_NE(missing.error().what.find("/nonexistent/identity.json"), std::string::npos);
}

TEST_F(IdentityFiles, AnOpenZitiIdentityIsReadAsOne) {
  const auto trouble =
      read(R"({"ztAPI":"https://localhost:1280","id":{"cert":"pem:x","key":"pem:y"}})");
  EXPECT_EQ(trouble.exit, Exit::usage);
  EXPECT_NE(trouble.what.find("id."), std::string::npos) << trouble.what;
}

}  // namespace
}  // namespace simplon::ctl
