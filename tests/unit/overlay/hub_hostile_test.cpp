// Strangers at the hub's port: whatever they send or do not send, members are served.
#include <random>

#include "net/memory.hpp"
#include "overlay/embedded/hub_gate.hpp"
#include "unit/overlay/hub_fixture.hpp"

namespace simplon::overlay::test {
namespace {

class HubHostileTest : public HubFixture {
 protected:
  // The end of the hub's part; what a stranger gets to read is an alert at most.
  bool refused(const net::StreamPtr& stream) {
    const auto rest = rest_of(stream);
    return !rest || rest->size() < 64;
  }
  void expect_service() {
    const auto member = online(who, instance('m'));
    EXPECT_TRUE(member->host("web").has_done());
  }

  IdentityFile who = identity("member");
};

TEST_F(HubHostileTest, RandomBytesLeaveItServing) {
  constexpr int kConnections = 10'000;
  constexpr int kAtOnce = 40;  // below the limit of one source
  std::mt19937 random(1);
  const auto member = online(who, instance('1'));
  std::size_t sent = 0;
  for (int done = 0; done < kConnections; done += kAtOnce) {
    std::vector<net::StreamPtr> streams;
    for (int i = 0; i < kAtOnce; ++i) {
      std::string bytes(1 + random() % 300, '\0');
      for (char& byte : bytes) {
        byte = static_cast<char>(random());
      }
      switch (random() % 4) {  // half of them get past the first byte
        case 0:
          bytes = "\x16\x03\x01" + bytes;
          break;
        case 1:
          bytes = "SIMPLON-RELAY/1" + bytes;
          break;
        default:
          break;
      }
      auto stream = dial();
      const auto put = stream->try_write(net::as_buffer(bytes));
      sent += put.value_or(0);
      stream->shutdown_send();
      streams.push_back(std::move(stream));
    }
    for (const auto& stream : streams) {
      ASSERT_TRUE(refused(stream));
    }
  }
  EXPECT_GT(sent, 1'000'000U);
  EXPECT_EQ(hub->stats().refused_connections, static_cast<std::uint64_t>(kConnections));
  EXPECT_TRUE(member->host("web").has_done());
  expect_service();
}

TEST_F(HubHostileTest, SilentConnectionsOfOneSourceAreBounded) {
  std::vector<net::StreamPtr> silent;
  for (std::size_t i = 0; i < kMaxStrangersOfSource; ++i) {
    silent.push_back(dial());
  }
  EXPECT_TRUE(refused(dial()));
  silent.pop_back();
  // Its place is free once the hub saw the end.
  while (!handshake(who)) {
  }
  expect_service();
}

TEST_F(HubHostileTest, AMemberWithoutAControlChannelMayStayAWhile) {
  const auto idle = join(who);
  expect_service();
  EXPECT_FALSE(idle->ended);
}

TEST_F(HubHostileTest, AClientWithoutCertificateOpensNoSession) {
  const auto context = net::TlsContext::make({.role = net::TlsRole::client,
                                              .trust_roots = who.trust_bundle,
                                              .protocols = {{.name = "simplon/1"}},
                                              .tls13_only = true})
                           .value();
  const auto stream = net::test::run(loop, net::tls_connect(dial(), context, "", soon()));
  EXPECT_TRUE(!stream || !rest_of(*stream).has_value());
  expect_service();
}

TEST_F(HubHostileTest, AnotherProtocolIsRefused) {
  for (const std::string name : {"http/1.1", "simplon/2", ""}) {
    net::TlsOptions options{
        .role = net::TlsRole::client, .trust_roots = who.trust_bundle, .tls13_only = true};
    if (!name.empty()) {
      options.protocols = {{.name = name}};
    }
    const auto stream = net::test::run(
        loop, net::tls_connect(dial(), net::TlsContext::make(options).value(), "", soon()));
    EXPECT_FALSE(stream) << name;
  }
  expect_service();
}

TEST_F(HubHostileTest, AnEnrollmentThatIsTooLongOrNoMessageIsRefused) {
  const auto context = net::TlsContext::make({.role = net::TlsRole::client,
                                              .trust_roots = who.trust_bundle,
                                              .protocols = {{.name = "simplon-enroll/1"}},
                                              .tls13_only = true})
                           .value();
  for (const std::string& bytes : {std::string("\x00\x00\x40\x01", 4),
                                   std::string("\x00\x00\x00\x01\xff", 5), std::string(4, '\0')}) {
    const auto stream = net::test::run(loop, net::tls_connect(dial(), context, "", soon())).value();
    ASSERT_TRUE(stream->try_write(net::as_buffer(bytes)));
    link::v1::EnrollResponse response;
    EXPECT_TRUE(net::test::run(loop, read_message(stream, &response)).value());
    EXPECT_EQ(response.failed().code(), to_wire(Errc::bad_request));
  }
  expect_service();
}

TEST_F(HubHostileTest, AFloodOfMessagesDoesNotKeepOthersFromTheirTurn) {
  const auto flood = online(who, instance('f'));
  for (int i = 0; i < 300; ++i) {
    MemberMessage message;
    message.mutable_resolve()->set_service("web");
    flood->send(message);
  }
  expect_service();
  EXPECT_EQ(code(flood->resolve("web2")), to_wire(Errc::no_such_service));
}

}  // namespace
}  // namespace simplon::overlay::test
