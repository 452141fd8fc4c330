// Behaviours 20 and 62 through access, overlay and share.
#include "harness.hpp"

namespace simplon::tunnel::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

using Behaviour20 = TunnelTest;
using Behaviour62 = TunnelTest;

/// "/poll" answers when the test says so, everything else as EchoHandler.
class PollHandler final : public http::Handler {
 public:
  explicit PollHandler(net::Loop& loop) : gate(loop) {}
  net::awaitable<void> handle(http::Request& request, http::Responder& responder) override {
    (void)request;
    ++asked;
    co_await gate.wait_until();
    (void)co_await responder.respond(200, {}, "at last");
  }
  net::Gate gate;
  int asked = 0;
};

TEST_F(Behaviour20, OneClientAddressHasOnlySoManyConnections) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Access spec{.service = "demo", .overlay = {}, .listen = {}};
  spec.http.limits.connections_per_client = 2;
  spec.trusted_proxies = {std::string(kNobody)};
  const TunnelPtr entry = ready(guest_, create(guest_, {.name = "entry", .spec = spec}));
  const auto first = std::make_unique<Client>(loop_, address(entry));
  EXPECT_THAT(first->get("/", "a"), StartsWith("HTTP/1.1 200"));
  {
    Client second(loop_, address(entry));
    EXPECT_THAT(second.get("/", "a"), StartsWith("HTTP/1.1 200"));
    Client third(loop_, address(entry));
    const std::string answer = third.get("/", "a") + third.until("soon");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(answer, HasSubstr("\r\nRetry-After: 1\r\n"));
    EXPECT_THAT(answer, HasSubstr("your address has as many connections as it may"));
    EXPECT_TRUE(third.ended());
  }
  EXPECT_EQ(guest_.status("entry")->counters.refused[503], 1U);
  EXPECT_TRUE(until([&] { return guest_.status("entry")->counters.open_connections == 1; }));
  Client fourth(loop_, address(entry));
  EXPECT_THAT(fourth.get("/", "a"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Behaviour20, ATrustedProxyMaySpeakForAnyNumber) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Access spec{.service = "demo", .overlay = {}, .listen = {}};
  spec.http.limits.connections_per_client = 1;
  const TunnelPtr entry = ready(guest_, create(guest_, {.name = "entry", .spec = spec}));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<Client>(loop_, address(entry)));
    EXPECT_THAT(clients.back()->get("/", "a"), StartsWith("HTTP/1.1 200"));
  }
}

TEST_F(Behaviour20, NoAgentHasTheLastPlaceOfAShareThatHasTwo) {
  Origin origin(loop_, http_origin());
  Share spec{.service = "demo", .overlay = {}, .target = origin.target("http")};
  spec.http.limits.connections = 2;
  ready(host_, create(host_, {.name = "demo", .spec = spec}));
  const TunnelPtr entry = access("demo");
  const TunnelPtr of_another =
      ready(host_, create(host_, {.name = "own",
                                  .spec = Access{.service = "demo", .overlay = {}, .listen = {}}}));
  Client first(loop_, address(entry));
  EXPECT_THAT(first.get("/", "a"), StartsWith("HTTP/1.1 200"));
  Client second(loop_, address(entry));
  const std::string answer = second.get("/", "a") + second.until("soon");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("this agent has as many connections as it may"));
  EXPECT_THAT(Client(loop_, address(of_another)).get("/", "a"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Behaviour20, AConnectionTooManyIsCountedWhetherOrNotItIsTold) {
  Origin origin(loop_, greeter());
  Share spec{.service = "demo", .overlay = {}, .target = origin.target("tcp")};
  spec.http.limits = {.connections = 3, .connections_per_client = 2};
  ready(host_, create(host_, {.name = "demo", .spec = spec}));
  const auto refused = [](Supervisor& at, const std::string& name) {
    return at.status(name)->counters.refused[503];
  };
  const auto entry = [&](const std::string& name, Protocol protocol) {
    Access access{.service = "demo", .overlay = {}, .listen = {}, .protocol = protocol};
    access.http.limits.connections = 1;
    return ready(guest_, create(guest_, {.name = name, .spec = access}));
  };
  const TunnelPtr raw = entry("raw", Protocol::tcp);
  Client first(loop_, address(raw));
  EXPECT_THAT(first.until("hello"), HasSubstr("hello"));
  EXPECT_FALSE(Client(loop_, address(raw)).ended()) << "reset: raw bytes have no words for it";
  EXPECT_EQ(refused(guest_, "raw"), 1U);
  // 64 are told, if they ask; the rest is closed.
  const TunnelPtr told = entry("told", Protocol::http);
  Client second(loop_, address(told));
  second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until([&] { return host_.status("demo")->counters.open_connections == 2; }));
  std::vector<std::unique_ptr<Client>> more;
  for (int i = 0; i < 66; ++i) {
    more.push_back(std::make_unique<Client>(loop_, address(told)));
  }
  EXPECT_TRUE(until([&] { return refused(guest_, "told") == 66; }));
  EXPECT_THAT(more.front()->get("/", "a"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(refused(guest_, "told"), 66U) << "once";
  // And at the share, whose entry tells it.
  const TunnelPtr third = access("demo");
  EXPECT_THAT(Client(loop_, address(third)).get("/", "a"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(refused(guest_, "demo-access"), 1U);
  EXPECT_EQ(refused(host_, "demo"), 1U);
}

TEST_F(Behaviour62, AWebsocketThatIsIdleForAnHourIsAlive) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Client client(loop_, address(access("demo")));
  EXPECT_THAT(client.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  for (int i = 0; i < 60; ++i) {
    clock_.advance(minutes(1));
    net::test::settle(loop_);
  }
  client.clear();
  client.send("still here");
  EXPECT_EQ(client.until("here"), "still here");
}

TEST_F(Behaviour62, AnAnswerMayComeAfterADay) {
  const auto handler = std::make_shared<PollHandler>(loop_);
  Origin origin(loop_, [&](net::StreamPtr stream) {
    net::spawn(loop_, "origin", http::serve_locally(std::move(stream), handler, {}, origin_drain_));
  });
  share("demo", origin.target("http"));
  Client client(loop_, address(access("demo")));
  client.send("GET /poll HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until([&] { return handler->asked == 1; }));
  for (int i = 0; i < 24; ++i) {
    clock_.advance(hours(1));
    net::test::settle(loop_);
  }
  handler->gate.open();
  EXPECT_THAT(client.until("at last"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Behaviour62, TheLimitOfEitherEndResetsBothWhereItWasChosen) {
  std::vector<net::StreamPtr> targets;
  Origin origin(loop_, [&](net::StreamPtr stream) {
    (void)stream->try_write(
        net::as_buffer("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
                       "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    targets.push_back(std::move(stream));
  });
  for (const bool at_share : {true, false}) {
    const std::string name = at_share ? "one" : "two";
    HttpSettings limited;
    limited.timeouts.websocket_idle = seconds(60);
    Share share{.service = name, .overlay = {}, .target = origin.target("http")};
    Access access{.service = name, .overlay = {}, .listen = {}};
    (at_share ? share.http : access.http) = limited;
    ready(host_, create(host_, {.name = name, .spec = share}));
    const TunnelPtr entry = ready(guest_, create(guest_, {.name = name + "-a", .spec = access}));
    targets.clear();
    Client client(loop_, address(entry));
    EXPECT_THAT(client.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
    ASSERT_FALSE(targets.empty());
    const net::StreamPtr target = targets.back();  // later ones are the share's checks
    clock_.advance(seconds(59));
    net::test::settle(loop_);
    client.send("x");
    net::test::settle(loop_);
    clock_.advance(seconds(59));
    net::test::settle(loop_);
    (void)target->try_write(net::as_buffer("y"));
    EXPECT_THAT(client.until("\r\n\r\ny"), HasSubstr("\r\n\r\ny"));
    clock_.advance(seconds(61));
    EXPECT_FALSE(client.ended()) << "reset, not ended";
    EXPECT_FALSE(net::test::run(loop_, net::test::read_to_end(target)));
  }
}

}  // namespace
}  // namespace simplon::tunnel::test
