// The two ends of the websocket test, wired together without a network.
#include "ctl/test/websocket_client.hpp"

#include <sstream>

#include <gtest/gtest.h>

#include "ctl/test/endpoint.hpp"
#include "net/memory.hpp"

namespace simplon::ctl {
namespace {

using namespace std::chrono_literals;

net::awaitable<void> serve(net::StreamPtr stream) {
  const auto endpoint = std::make_shared<Endpoint>(stream->loop());
  co_await http::serve_locally(std::move(stream), endpoint, {}, std::make_shared<http::Drain>());
}

net::awaitable<void> answer(net::StreamPtr stream, std::string text) {
  std::array<std::byte, 4096> chunk{};
  (void)co_await net::read_some(*stream, chunk);
  (void)co_await net::write_all(*stream, net::as_buffer(text));
  for (bool open = true; open;) {
    const auto size = co_await net::read_some(*stream, chunk);
    open = size && *size > 0;
  }
}

net::awaitable<void> ask(net::StreamPtr stream, EchoOptions options, std::shared_ptr<Steps> steps,
                         Answer<std::string>* out) {
  net::Loop& loop = stream->loop();
  const auto deadline = loop.now() + options.timeout;
  *out = co_await test_echo(std::move(stream), options, steps, deadline);
  loop.stop();
}

struct Fixture : testing::Test {
  Answer<std::string> run(EchoOptions options) {
    Answer<std::string> out;
    options.authority = "localhost";
    options.path = "/echo";
    net::spawn(loop, "client", ask(std::move(client), options, steps, &out));
    loop.run();
    return out;
  }

  net::Loop loop;
  net::StreamPtr client;
  net::StreamPtr server;
  std::ostringstream lines;
  std::shared_ptr<Steps> steps = std::make_shared<Steps>(loop, lines, false);

  Fixture() { std::tie(client, server) = net::make_memory_pair(loop, 4096); }
};
using WebsocketEcho = Fixture;

TEST_F(WebsocketEcho, AMessageComesBack) {
  net::spawn(loop, "server", serve(std::move(server)));
  const auto received = run({.message = "hi"});
  ASSERT_TRUE(received) << received.error().what;
  EXPECT_EQ(*received, "hi");
  EXPECT_NE(lines.str().find("handshake  websocket at /echo"), std::string::npos) << lines.str();
  EXPECT_NE(lines.str().find("echo       round trip"), std::string::npos) << lines.str();
}

TEST_F(WebsocketEcho, AMessageLongerThanEveryBufferOnTheWayComesBack) {
  net::spawn(loop, "server", serve(std::move(server)));
  const std::string message(1'000'000, 'x');
  const auto received = run({.message = message});
  ASSERT_TRUE(received) << received.error().what;
  EXPECT_EQ(*received, message);
}

TEST_F(WebsocketEcho, SeveralMessagesGoOneAfterTheOther) {
  net::spawn(loop, "server", serve(std::move(server)));
  const auto received = run({.message = "hi", .count = 3, .interval = 1ms});
  ASSERT_TRUE(received) << received.error().what;
  EXPECT_NE(lines.str().find("#3 round trip"), std::string::npos) << lines.str();
}

TEST_F(WebsocketEcho, ASilentServerIsATimeoutOfTheHandshake) {
  const auto received = run({.message = "hi", .timeout = 20ms});
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().what, "handshake: timed out after 20 ms");
}

TEST_F(WebsocketEcho, AnAnswerThatIsNoWebsocketIsShownWithItsStatusAndHop) {
  net::spawn(loop, "server",
             answer(std::move(server),
                    "HTTP/1.1 404 Not Found\r\nSimplon-Error: hop=frontend; "
                    "reason=no_such_service\r\nContent-Length: 0\r\n\r\n"));
  const auto received = run({.message = "hi"});
  ASSERT_FALSE(received);
  EXPECT_NE(received.error().what.find("404"), std::string::npos) << received.error().what;
  EXPECT_NE(received.error().what.find("hop=frontend"), std::string::npos);
}

TEST_F(WebsocketEcho, AServerThatHangsUpEndsTheStepItIsIn) {
  server->close();
  const auto received = run({.message = "hi"});
  ASSERT_FALSE(received);
  EXPECT_TRUE(received.error().what.starts_with("handshake: ")) << received.error().what;
}

TEST_F(WebsocketEcho, GarbageInsteadOfAnAnswerIsAnErrorOfTheHandshake) {
  net::spawn(loop, "server", answer(std::move(server), std::string(5000, '\0')));
  const auto received = run({.message = "hi"});
  ASSERT_FALSE(received);
  EXPECT_TRUE(received.error().what.starts_with("handshake: ")) << received.error().what;
}

}  // namespace
}  // namespace simplon::ctl
