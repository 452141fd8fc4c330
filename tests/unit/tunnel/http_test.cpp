#include <optional>

#include "harness.hpp"
#include "net/unix.hpp"
#include "support/certificates.hpp"
#include "support/temporary_folder.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(TunnelTest, RequestsOfOneClientShareOneStreamAndOneTargetConnection) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const int probes = origin.connections;
  Client client(loop_, address(access("demo")));
  EXPECT_THAT(client.get("/one", "example.org"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.until("path /one"), HasSubstr("Host: example.org\n"));
  EXPECT_THAT(client.until("X-Forwarded"), HasSubstr("127.0.0.1"));
  client.get("/two", "example.org");
  EXPECT_THAT(client.until("path /two"), HasSubstr("path /two"));
  EXPECT_EQ(guest_network_.dials(), 1);
  EXPECT_LE(origin.connections, probes + 2);
  const Counters counters = host_.status("demo")->counters;
  EXPECT_EQ(counters.connections, 1U);
  EXPECT_EQ(counters.open_connections, 1U);
  EXPECT_GE(counters.requests, 1U);
  EXPECT_EQ(hop(*guest_.status("demo-access"), kFarEndHop).state, HopState::up);
  EXPECT_EQ(hop(*host_.status("demo"), kTargetHop).state, HopState::up);
}

TEST_F(TunnelTest, AnotherClientReusesTheTargetConnection) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const TunnelPtr entry = access("demo");
  {
    Client first(loop_, address(entry));
    first.get("/", "a");
    first.until("path /");
  }
  const int connections = origin.connections;
  Client second(loop_, address(entry));
  second.get("/", "a");
  EXPECT_THAT(second.until("path /"), HasSubstr("path /"));
  EXPECT_EQ(origin.connections, connections);
}

TEST_F(TunnelTest, ARequestWithoutAHostIsOneForTheService) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Client client(loop_, address(access("demo")));
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.until("\nHost: "), HasSubstr("Host: demo\n"));
}

TEST_F(TunnelTest, AnUpgradeBecomesAPathOfBytes) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Client client(loop_, address(access("demo")));
  EXPECT_THAT(client.get("/ws", "a", kUpgrade), StartsWith("HTTP/1.1 101"));
  client.clear();
  client.send("no websocket frame");
  EXPECT_EQ(client.until("frame"), "no websocket frame");
  client.stream().shutdown_send();
  EXPECT_TRUE(client.ended());
}

TEST_F(TunnelTest, AShareMayRewriteTheHost) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"), false, "app.internal");
  Client client(loop_, address(access("demo")));
  client.get("/", "example.org");
  EXPECT_THAT(client.until("\nHost: "), HasSubstr("Host: app.internal\n"));
}

TEST_F(TunnelTest, AFrontendRoutesByHost) {
  Origin origin(loop_, http_origin());
  Origin other(loop_, http_origin());
  share("one", origin.target("http"), true);
  share("two", other.target("http"), true);
  Client client(loop_, address(frontend("example.org")));
  EXPECT_THAT(client.get("/", "one.example.org:8080", "X-Forwarded-For: 6.6.6.6\r\n"),
              StartsWith("HTTP/1.1 200"));
  const std::string seen = client.until("X-Forwarded-For: ");
  EXPECT_THAT(seen, HasSubstr("Host: one.example.org:8080\n"));
  EXPECT_THAT(seen, Not(HasSubstr("6.6.6.6")));
  // The same connection, another service: another stream.
  EXPECT_THAT(client.get("/", "TWO.example.org."), StartsWith("HTTP/1.1 200"));
  client.until("path /");
  EXPECT_EQ(guest_network_.dials(), 2);
  EXPECT_GE(other.connections, 1);
}

TEST_F(TunnelTest, AFrontendSaysWhatItServes) {
  const TunnelPtr front = frontend("example.org");
  for (const std::string host : {"example.org", "a.b.example.org", "127.0.0.1", "other.org",
                                 "notexample.org", ".example.org"}) {
    Client client(loop_, address(front));
    const std::string answer = client.get("/", host) + client.until("<service>");
    if (host == ".example.org") {
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 40")) << host;
      continue;
    }
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404")) << host;
    EXPECT_THAT(answer, HasSubstr("Simplon-Error: hop=frontend; reason=not_found")) << host;
    EXPECT_THAT(answer, HasSubstr("<service>.example.org")) << host;
  }
  EXPECT_EQ(guest_network_.dials(), 0);
}

TEST_F(TunnelTest, AFrontendDoesNotReachAShareThatIsNotPublic) {
  Origin origin(loop_, http_origin());
  share("private", origin.target("http"), false);
  Client client(loop_, address(frontend("example.org")));
  EXPECT_THAT(client.get("/", "private.example.org"), StartsWith("HTTP/1.1 403"));
  // What somebody on the internet asked for says nothing about the far end.
  EXPECT_EQ(hop(*guest_.status("front"), kFarEndHop).state, HopState::starting);
}

TEST_F(TunnelTest, ATargetMayBeAUnixSocket) {
  const simplon::test::TemporaryFolder folder;
  const std::string socket = (folder / "app.sock").string();
  {
    Origin origin(loop_, http_origin(), net::listen_unix(loop_, socket, 0600));
    share("demo", "unix:" + socket);
    Client client(loop_, address(access("demo")));
    client.get("/", "example.org");
    EXPECT_THAT(client.until("\nHost: "), HasSubstr("Host: example.org\n"));
  }
}

TEST_F(TunnelTest, ATargetThatDoesNotSpeakTlsIsA502) {
  Origin origin(loop_, greeter());
  share("demo", origin.target("https"));
  Client client(loop_, address(access("demo")));
  const std::string answer = client.get("/", "a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("hop=target; reason=handshake_failed"));
  EXPECT_TRUE(until([&] { return !host_.status("demo")->message.empty(); }));
}

// An https server whose certificate is for localhost.
class HttpsTarget : public TunnelTest {
 protected:
  void SetUp() override {
    TunnelTest::SetUp();
    const auto served = authority_.issue("origin", {.subject_alternative = "DNS:localhost"});
    tls_ = *net::TlsContext::make({.role = net::TlsRole::server,
                                   .certificate_chain = served.chain,
                                   .private_key = served.private_key});
    origin_.emplace(loop_, [this](net::StreamPtr stream) {
      net::spawn(loop_, "tls origin", serve(std::move(stream), tls_, echo_, origin_drain_));
    });
  }
  static net::awaitable<void> serve(net::StreamPtr stream,
                                    std::shared_ptr<const net::TlsContext> tls,
                                    std::shared_ptr<http::Handler> handler,
                                    std::shared_ptr<http::Drain> drain) {
    auto secured = co_await net::tls_accept(stream, tls, stream->loop().now() + kOpen);
    if (secured) {
      co_await http::serve_locally(*secured, handler, {}, drain);
    }
  }
  std::string answer_of(const std::string& host, const std::string& roots) {
    Settings settings;
    settings.target_trust_roots = roots;
    Supervisor agent(loop_, {&loop_}, settings);
    agent.add_overlay("default", host_network_);
    Tunnel tunnel{.name = "demo",
                  .spec = Share{.service = "demo",
                                .target = "https://" + host + ":" + std::to_string(origin_->port()),
                                .host_header = {}}};
    ready(agent, create(agent, tunnel));
    Client client(loop_, address(access("demo")));
    std::string answer = client.get("/", "a");
    bool drained = false;
    agent.drain_all(std::chrono::seconds(0), [&] { drained = true; });
    clock_.advance(std::chrono::seconds(1));
    EXPECT_TRUE(until([&] { return drained; }));
    return answer;
  }

  static constexpr std::chrono::seconds kOpen{10};
  simplon::test::Authority authority_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::optional<Origin> origin_;
};

TEST_F(HttpsTarget, IsReachedUnderItsName) {
  EXPECT_THAT(answer_of("localhost", authority_.root()), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpsTarget, IsRefusedUnderAnotherName) {
  const std::string answer = answer_of("127.0.0.1", authority_.root());
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("hop=target; reason=bad_certificate"));
}

TEST_F(HttpsTarget, IsRefusedWithACertificateThatNobodyTrusts) {
  const std::string answer =
      answer_of("localhost", simplon::test::Authority("another root").root());
  EXPECT_THAT(answer, HasSubstr("hop=target; reason=bad_certificate"));
}

}  // namespace
}  // namespace simplon::tunnel::test
