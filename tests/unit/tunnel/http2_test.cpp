// HTTP/2 of prior knowledge through access and share: to targets that speak it, and to all others.
#include "harness.hpp"
#include "http/http2_preface.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The preface, an empty SETTINGS frame, and HEADERS of stream 1.
const std::string kOpening =
    std::string(http::kHttp2Preface) + std::string("\0\0\0\4\0\0\0\0\0\0\0\0\1\5\0\0\0\1", 18);
// SETTINGS, then the length-less head of a GOAWAY of stream 0 for no stream, with the code.
const std::string kSettings("\0\0\0\4\0\0\0\0\0", 9);
std::string goaway(char code) {
  return std::string("\7\0\0\0\0\0\0\0\0\0\0\0\0", 13) + code + "Simplon-Error: hop=";
}

class Http2Tunnel : public TunnelTest {
 protected:
  /// Echoes every byte: no parser would be fooled by it, and none is there.
  Origin::Serve echo_bytes() {
    return [this](net::StreamPtr stream) {
      net::spawn(loop_, "echo", EchoHandler::echo(std::move(stream)));
    };
  }
  /// What a client of HTTP/2 gets at this entry, up to `text`.
  std::string told(const TunnelPtr& entry, const std::string& text) {
    Client client(loop_, address(entry));
    client.send(kOpening);
    return client.until(text);
  }
};

TEST_F(Http2Tunnel, ReachesATargetThatSpeaksIt) {
  Origin origin(loop_, echo_bytes());
  share("rpc", origin.target("h2c"));
  {
    Client client(loop_, address(access("rpc")));
    client.send(kOpening + "frames");
    EXPECT_EQ(client.until("frames"), kOpening + "frames");
    client.send("more");
    EXPECT_THAT(client.until("more"), HasSubstr("framesmore"));
    const Counters counters = host_.status("rpc")->counters;
    EXPECT_EQ(counters.connections, 1U);
    EXPECT_EQ(counters.requests, 0U) << "nobody looks inside";
    EXPECT_EQ(counters.bytes_in, kOpening.size() + 10);
    client.stream().shutdown_send();
    EXPECT_TRUE(client.ended());
  }
  ASSERT_TRUE(until([&] { return host_.status("rpc")->counters.open_connections == 0; }));
  EXPECT_EQ(host_.status("rpc")->counters.bytes_out, kOpening.size() + 10);
  EXPECT_EQ(guest_.status("rpc-access")->counters.bytes_in, kOpening.size() + 10);
  EXPECT_EQ(guest_.status("rpc-access")->counters.failures, 0U);
}

TEST_F(Http2Tunnel, MayBeQuietForDays) {
  Origin origin(loop_, echo_bytes());
  share("rpc", origin.target("h2c"));
  Client client(loop_, address(access("rpc")));
  client.send(kOpening);
  client.until(kOpening);
  clock_.advance(std::chrono::hours(48));
  client.send("still there");
  EXPECT_THAT(client.until("there"), HasSubstr("still there"));
}

TEST_F(Http2Tunnel, AnHttp1TargetIsRefusedThroughTheWholePath) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  const std::string answer = told(access("demo"), "knowledge");
  EXPECT_THAT(answer, StartsWith(kSettings));
  EXPECT_THAT(answer, HasSubstr(goaway('\1') + "target; reason=version_not_supported; "));
  EXPECT_THAT(answer, HasSubstr("this service speaks HTTP/1.1: use that"));
  EXPECT_EQ(host_.status("demo")->counters.failures, 1U);
  EXPECT_EQ(host_.status("demo")->counters.refused[505], 1U);
  EXPECT_TRUE(guest_.status("demo-access")->counters.refused.empty()) << "it only passed that on";
  ASSERT_TRUE(until([&] { return host_.status("demo")->counters.open_connections == 0; }));
}

TEST_F(Http2Tunnel, ARefusedClientThatStaysIsClosed) {
  Origin origin(loop_, http_origin());
  share("demo", origin.target("http"));
  Client client(loop_, address(access("demo")));
  client.send(kOpening);
  EXPECT_TRUE(client.ended());
  clock_.advance(std::chrono::seconds(2));
  ASSERT_TRUE(until([&] { return host_.status("demo")->counters.open_connections == 0; }));
}

TEST_F(Http2Tunnel, AFrontendRefuses) {
  Origin origin(loop_, echo_bytes());
  share("rpc", origin.target("h2c"), true);
  const std::string answer = told(frontend("example.org"), "access");
  EXPECT_THAT(answer, HasSubstr(goaway('\1') + "frontend; reason=version_not_supported"));
  EXPECT_EQ(guest_network_.dials(), 0);
}

TEST_F(Http2Tunnel, AnHttp1RequestIs505AtAnHttp2Target) {
  Origin origin(loop_, echo_bytes());
  share("rpc", origin.target("h2c"), true);
  const int checks = origin.connections;
  for (const TunnelPtr& entry : {access("rpc"), frontend("example.org")}) {
    Client client(loop_, address(entry));
    const std::string answer = client.get("/", "rpc.example.org");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 505 "));
    EXPECT_THAT(answer, HasSubstr("Simplon-Error: hop=target; reason=version_not_supported"));
    EXPECT_THAT(client.until("access"), HasSubstr("speaks HTTP/2 only"));
  }
  EXPECT_LE(origin.connections, checks + 1) << "nothing but the target's check";
}

TEST_F(Http2Tunnel, ADeadTargetIsAGoawayThatNamesIt) {
  share("rpc", "h2c://localhost:" + dead_port());
  EXPECT_THAT(told(access("rpc"), "connection"),
              HasSubstr(goaway('\2') + "target; reason=target_refused; target: "));
  EXPECT_EQ(host_.status("rpc")->counters.failures, 1U);
  EXPECT_EQ(hop(*host_.status("rpc"), kTargetHop).state, HopState::down);
}

TEST_F(Http2Tunnel, AServiceThatNobodyHasIsAGoaway) {
  EXPECT_THAT(told(access("nobody"), "no such service"), HasSubstr("; reason=no_such_service; "));
  EXPECT_EQ(guest_.status("nobody-access")->counters.failures, 1U);
}

TEST_F(Http2Tunnel, ALostLinkAndAMuteAgentAreGoaways) {
  std::vector<std::unique_ptr<overlay::Inbound>> kept;
  auto listener = net::test::run(
      loop_, host_network_.listen({.service = "mute"},
                                  [&](auto inbound) { kept.push_back(std::move(inbound)); }));
  const TunnelPtr entry = access("mute");
  {
    Client client(loop_, address(entry));
    client.send(kOpening);
    ASSERT_TRUE(until([&] { return !kept.empty(); }));
    clock_.advance(std::chrono::seconds(60));
    EXPECT_THAT(client.until("did not answer"), HasSubstr("hop=overlay; reason=timed_out"));
  }
  guest_network_.set_link(overlay::LinkState::down, "the hub does not answer");
  EXPECT_THAT(told(entry, "lost"), HasSubstr("hop=overlay; reason=link_lost"));
  kept.clear();
}

TEST_F(Http2Tunnel, ARefusedStreamIsAGoawayWithTheHostsReason) {
  std::vector<std::unique_ptr<overlay::Inbound>> kept;
  auto listener =
      net::test::run(loop_, host_network_.listen({.service = "full"}, [&](auto inbound) {
        inbound->reject({.failure = {.hop = base::Hop::share,
                                     .code = base::Errc::limit_exceeded,
                                     .detail = "the share has as many connections as it may"},
                         .not_processed = true});
        kept.push_back(std::move(inbound));
      }));
  EXPECT_THAT(told(access("full"), "as it may"),
              HasSubstr(goaway('\2') + "share; reason=limit_exceeded; "));
}

TEST_F(Http2Tunnel, BytesAreBytesAtTcpTunnels) {
  Origin origin(loop_, echo_bytes());
  share("raw", origin.target("tcp"));
  EXPECT_EQ(told(access("raw"), kOpening), kOpening) << "a tcp target takes what comes";
  share("rpc", origin.target("h2c"));
  Client client(loop_, address(access("rpc", Protocol::tcp)));
  client.send("anything");
  EXPECT_EQ(client.until("anything"), "anything");
}

TEST_F(Http2Tunnel, IsCutAtTheEndOfADrain) {
  Origin origin(loop_, echo_bytes());
  const TunnelPtr shared = share("rpc", origin.target("h2c"));
  Client client(loop_, address(access("rpc")));
  client.send(kOpening);
  client.until(kOpening);
  bool released = false;
  host_.stop(*shared, std::chrono::seconds(5), [&] { released = true; });
  client.send("during");
  EXPECT_THAT(client.until("during"), HasSubstr("during"));
  clock_.advance(std::chrono::seconds(6));
  EXPECT_FALSE(client.ended()) << "a reset, no end in order";
}

TEST_F(Http2Tunnel, AClientThatGoesAwayReachesTheTarget) {
  std::vector<net::StreamPtr> streams;
  Origin origin(loop_, [&](net::StreamPtr stream) { streams.push_back(std::move(stream)); });
  share("rpc", origin.target("h2c"));
  {
    Client client(loop_, address(access("rpc")));
    client.send(kOpening);
    ASSERT_TRUE(until([&] { return host_.status("rpc")->counters.bytes_in == kOpening.size(); }));
  }
  EXPECT_TRUE(until([&] { return host_.status("rpc")->counters.open_connections == 0; }));
  EXPECT_TRUE(until([&] { return guest_.status("rpc-access")->counters.open_connections == 0; }));
  for (const net::StreamPtr& stream : streams) {
    stream->reset();
  }
}

}  // namespace
}  // namespace simplon::tunnel::test
