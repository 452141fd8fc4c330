// What a spec says about HTTP, seen from outside: limits on connections, trust, the peer's name.
#include "harness.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class PolicyTest : public TunnelTest {
 protected:
  TunnelPtr make(Supervisor& at, const std::string& name, Spec spec) {
    return ready(at, create(at, Tunnel{.name = name, .spec = std::move(spec)}));
  }
  Share demo() {
    return {.service = "demo", .target = origin_.target("http"), .open_to_frontends = true};
  }
  static Access to_demo() { return {.service = "demo", .listen = {}}; }
  std::uint64_t refused(Supervisor& at, const std::string& name, int status) {
    const auto all = at.status(name)->counters.refused;
    const auto found = all.find(status);
    return found != all.end() ? found->second : 0;
  }

  Origin origin_{loop_, http_origin()};
};

TEST_F(PolicyTest, AClientTooManyIsToldSoAndTheNextOneIsServed) {
  make(host_, "demo", demo());
  Access spec = to_demo();
  spec.http.limits.connections = 1;
  const TunnelPtr entry = make(guest_, "demo-access", spec);
  {
    Client first(loop_, address(entry));
    EXPECT_THAT(first.get("/", "a"), StartsWith("HTTP/1.1 200"));
    Client second(loop_, address(entry));
    const std::string answer = second.get("/", "a", "Accept: application/json\r\n");
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1\r\n"),
                              HasSubstr("Simplon-Error: hop=access; reason=limit_exceeded\r\n"),
                              HasSubstr("Connection: close\r\n"),
                              HasSubstr("Content-Type: application/json\r\n")));
    EXPECT_TRUE(second.ended());
    const Counters counters = guest_.status("demo-access")->counters;
    EXPECT_EQ(counters.open_connections, 1U);
    EXPECT_EQ(counters.failures, 1U);
    EXPECT_THAT(counters.refused, UnorderedElementsAre(Pair(503, 1)));
    EXPECT_EQ(host_.status("demo")->counters.connections, 1U);
  }
  EXPECT_TRUE(until([&] { return guest_.status("demo-access")->counters.open_connections == 0; }));
  Client third(loop_, address(entry));
  EXPECT_THAT(third.get("/", "a"), StartsWith("HTTP/1.1 200"));
}

TEST_F(PolicyTest, AClientTooManyThatSaysNothingIsClosedSoon) {
  make(host_, "demo", demo());
  Access spec = to_demo();
  spec.http.limits.connections = 1;
  const TunnelPtr entry = make(guest_, "demo-access", spec);
  Client first(loop_, address(entry));
  first.get("/", "a");
  Client second(loop_, address(entry));
  EXPECT_TRUE(until([&] { return guest_.status("demo-access")->counters.failures == 1; }));
  clock_.advance(std::chrono::milliseconds(1001));
  EXPECT_TRUE(second.ended());
  EXPECT_EQ(refused(guest_, "demo-access", 503), 1U);
}

TEST_F(PolicyTest, OnlySoManyAreTurnedAwayAtOnceAndTheRestIsClosed) {
  make(host_, "demo", demo());
  Frontend spec{.listen = {}, .zone = "localhost"};
  spec.http.limits.connections = 1;
  const TunnelPtr entry = make(guest_, "front", spec);
  Client first(loop_, address(entry));
  first.get("/", "demo.localhost");
  std::vector<std::unique_ptr<Client>> waiting;
  waiting.reserve(kMaxTurnedAway);
  for (int i = 0; i < kMaxTurnedAway; ++i) {
    waiting.push_back(std::make_unique<Client>(loop_, address(entry)));
  }
  Client beyond(loop_, address(entry));
  EXPECT_FALSE(beyond.ended());  // reset
  EXPECT_EQ(guest_.status("front")->counters.failures, 1U + kMaxTurnedAway);
  EXPECT_THAT(waiting.front()->get("/", "demo.localhost"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("hop=frontend")));
  waiting.clear();
  EXPECT_TRUE(until([&] {
    Client next(loop_, address(entry));
    return next.get("/", "demo.localhost").starts_with("HTTP/1.1 503 ");
  }));
}

TEST_F(PolicyTest, AFullShareIsA503AtTheEntry) {
  Share spec = demo();
  spec.http.limits.connections = 1;
  make(host_, "demo", spec);
  const TunnelPtr entry = make(guest_, "demo-access", to_demo());
  Client first(loop_, address(entry));
  EXPECT_THAT(first.get("/", "a"), StartsWith("HTTP/1.1 200"));
  Client second(loop_, address(entry));
  EXPECT_THAT(second.get("/", "a"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1\r\n"),
                    HasSubstr("Simplon-Error: hop=share; reason=limit_exceeded\r\n")));
  EXPECT_EQ(refused(guest_, "demo-access", 503), 1U);
  EXPECT_EQ(host_.status("demo")->counters.failures, 1U);
  EXPECT_EQ(host_.status("demo")->counters.open_connections, 1U);
}

TEST_F(PolicyTest, OneAgentDoesNotTakeAllPlacesOfAShare) {
  Share spec = demo();
  spec.http.limits = {.connections = 3, .connections_per_client = 2};
  make(host_, "demo", spec);
  const TunnelPtr entry = make(guest_, "demo-access", to_demo());
  const TunnelPtr of_another = make(host_, "own-access", to_demo());
  auto first = std::make_unique<Client>(loop_, address(entry));
  Client second(loop_, address(entry));
  EXPECT_THAT(first->get("/", "a"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(second.get("/", "a"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Client(loop_, address(entry)).get("/", "a"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1\r\n"),
                    HasSubstr("Simplon-Error: hop=share; reason=limit_exceeded\r\n"),
                    HasSubstr("this agent has as many connections as it may")));
  EXPECT_EQ(refused(guest_, "demo-access", 503), 1U);
  EXPECT_EQ(host_.status("demo")->counters.failures, 1U);
  EXPECT_THAT(Client(loop_, address(of_another)).get("/", "a"), StartsWith("HTTP/1.1 200"));
  first.reset();
  EXPECT_TRUE(until(
      [&] { return Client(loop_, address(entry)).get("/", "a").starts_with("HTTP/1.1 200"); }));
}

TEST_F(PolicyTest, WhatAnHttpAccessBringsToATcpTargetIsHttp) {
  Share spec{.service = "demo", .target = origin_.target("tcp"), .host_header = "app.internal"};
  spec.request_headers = {{http::HeaderRule::Action::set, "X-Env", "test"}};
  spec.http.limits.request_body_bytes = 3;
  make(host_, "demo", spec);
  const TunnelPtr entry = make(guest_, "demo-access", to_demo());
  Client client(loop_, address(entry));
  client.get("/", "a");
  EXPECT_THAT(client.until("X-Env: "), HasSubstr("\nHost: app.internal\n"));
  EXPECT_THAT(Client(loop_, address(entry)).get("/", "a", "Content-Length: 4\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(PolicyTest, AFullAccessOfRawBytesClosesAtOnce) {
  Origin origin(loop_, greeter());
  make(host_, "raw", Share{.service = "raw", .target = origin.target("tcp")});
  Access spec{.service = "raw", .listen = {}, .protocol = Protocol::tcp};
  spec.http.limits.connections = 1;
  const TunnelPtr entry = make(guest_, "raw-access", spec);
  Client first(loop_, address(entry));
  EXPECT_THAT(first.until("hello"), HasSubstr("220 hello"));
  Client second(loop_, address(entry));
  EXPECT_FALSE(second.ended());
}

TEST_F(PolicyTest, AnswersOfOurOwnAreCountedByStatus) {
  make(host_, "demo", demo());
  Access spec = to_demo();
  spec.http.limits.head_bytes = 1024;
  spec.http.limits.request_body_bytes = 10;
  const TunnelPtr entry = make(guest_, "demo-access", spec);
  EXPECT_THAT(Client(loop_, address(entry)).get("/", "a", "X: " + std::string(2000, 'x') + "\r\n"),
              StartsWith("HTTP/1.1 431 "));
  Client large(loop_, address(entry));
  EXPECT_THAT(large.get("/", "a", "Content-Length: 11\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Client(loop_, address(entry)).get("/ok", "a"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(guest_.status("demo-access")->counters.refused,
              UnorderedElementsAre(Pair(431, 1), Pair(413, 1)));
}

TEST_F(PolicyTest, ATimeoutOfTheSpecIsKept) {
  make(host_, "demo", demo());
  Access spec = to_demo();
  spec.http.timeouts.head = std::chrono::milliseconds(250);
  const TunnelPtr entry = make(guest_, "demo-access", spec);
  Client client(loop_, address(entry));
  client.send("GET / HT");
  EXPECT_TRUE(until([&] { return guest_.status("demo-access")->counters.open_connections == 1; }));
  net::test::settle(loop_);
  clock_.advance(std::chrono::milliseconds(251));
  EXPECT_THAT(client.until("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(refused(guest_, "demo-access", 408), 1U);
}

TEST_F(PolicyTest, AnAccessContinuesWhatATrustedProxySays) {
  make(host_, "demo", demo());
  const std::string proxied = "X-Forwarded-For: 192.0.2.7\r\n";
  Client trusted(loop_, address(make(guest_, "one", to_demo())));
  trusted.get("/", "a", proxied);
  EXPECT_THAT(trusted.until("Forwarded: "), HasSubstr("X-Forwarded-For: 192.0.2.7, 127.0.0.1\n"));
  Access spec = to_demo();
  spec.trusted_proxies = {"none"};
  Client distrusted(loop_, address(make(guest_, "two", spec)));
  distrusted.get("/", "a", proxied);
  EXPECT_THAT(distrusted.until("Forwarded: "),
              AllOf(HasSubstr("X-Forwarded-For: 127.0.0.1\n"), Not(HasSubstr("192.0.2.7"))));
}

TEST_F(PolicyTest, AFrontendBelievesTheProxiesThatItIsToldToTrust) {
  make(host_, "demo", demo());
  Frontend spec{.listen = {}, .zone = "localhost", .trusted_proxies = {"127.0.0.0/8"}};
  Client client(loop_, address(make(guest_, "front", spec)));
  client.get("/", "demo.localhost", "X-Forwarded-For: 192.0.2.7\r\n");
  EXPECT_THAT(client.until("Forwarded: "), HasSubstr("X-Forwarded-For: 192.0.2.7, 127.0.0.1\n"));
}

}  // namespace
}  // namespace simplon::tunnel::test
