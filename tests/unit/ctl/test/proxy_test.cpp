// The test proxy between the websocket client and the endpoint, without a network.
#include "ctl/test/proxy.hpp"

#include <sstream>

#include <gtest/gtest.h>

#include "ctl/test/endpoint.hpp"
#include "ctl/test/websocket_client.hpp"
#include "net/memory.hpp"

namespace simplon::ctl {
namespace {

net::awaitable<std::expected<http::Upstream, base::Failure>> dial_memory(
    net::Loop& loop, std::shared_ptr<Endpoint> endpoint, int* dials) {
  ++*dials;
  auto [near, far] = net::make_memory_pair(loop);
  net::spawn(loop, "endpoint",
             http::serve_locally(std::move(far), endpoint, {}, std::make_shared<http::Drain>()));
  co_return http::Upstream{.stream = std::move(near)};
}

net::awaitable<std::expected<http::Upstream, base::Failure>> dial_nothing() {
  co_return std::unexpected(
      base::Failure{base::Hop::target, make_error_code(base::Errc::target_refused), {}});
}

net::awaitable<void> ask(net::StreamPtr stream, std::string request, std::string* out) {
  (void)co_await net::write_all(*stream, net::as_buffer(request));
  std::array<std::byte, 4096> chunk{};
  for (;;) {
    const auto size = co_await net::read_some(*stream, chunk);
    if (!size || *size == 0) {
      break;
    }
    out->append(reinterpret_cast<const char*>(chunk.data()), *size);
  }
  stream->loop().stop();
}

net::awaitable<void> echo(net::StreamPtr stream, std::shared_ptr<Steps> steps,
                          Answer<std::string>* out) {
  net::Loop& loop = stream->loop();
  EchoOptions options{.authority = "demo", .path = "/echo", .message = "hi"};
  *out = co_await test_echo(std::move(stream), options, steps, loop.now() + options.timeout);
  loop.stop();
}

struct TestProxy : testing::Test {
  net::StreamPtr through(Dial dial) {
    auto [client, server] = net::make_memory_pair(loop);
    net::spawn(loop, "proxy",
               http::serve(std::move(server), std::make_shared<FixedEnds>(loop, std::move(dial)),
                           std::make_shared<http::Policy>(), http::Client{}, "id",
                           std::make_shared<http::Drain>()));
    return client;
  }
  Dial to_endpoint() {
    return
        [this](const std::string&, net::TimePoint) { return dial_memory(loop, endpoint, &dials); };
  }

  net::Loop loop;
  std::shared_ptr<Endpoint> endpoint = std::make_shared<Endpoint>(loop);
  int dials = 0;
};

TEST_F(TestProxy, AWebsocketGoesThrough) {
  std::ostringstream lines;
  Answer<std::string> received;
  net::spawn(loop, "client",
             echo(through(to_endpoint()), std::make_shared<Steps>(loop, lines, true), &received));
  loop.run();
  ASSERT_TRUE(received) << received.error().what;
  EXPECT_EQ(*received, "hi");
}

TEST_F(TestProxy, TheUpstreamConnectionIsUsedAgain) {
  std::string out;
  net::spawn(loop, "client",
             ask(through(to_endpoint()),
                 "GET /status/201 HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /status/202 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 &out));
  loop.run();
  EXPECT_NE(out.find("201"), std::string::npos) << out;
  EXPECT_NE(out.find("202"), std::string::npos) << out;
  EXPECT_EQ(dials, 1);
}

TEST_F(TestProxy, ATargetThatRefusesIsABadGatewayOfThatHop) {
  std::string out;
  net::spawn(loop, "client",
             ask(through([](const std::string&, net::TimePoint) { return dial_nothing(); }),
                 "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out));
  loop.run();
  EXPECT_TRUE(out.starts_with("HTTP/1.1 502 ")) << out;
  EXPECT_NE(out.find("target_refused"), std::string::npos) << out;
}

}  // namespace
}  // namespace simplon::ctl
