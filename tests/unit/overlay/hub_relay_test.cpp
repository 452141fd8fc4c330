#include "overlay/embedded/hub_relay.hpp"

#include "net/loops.hpp"
#include "net/memory.hpp"
#include "unit/overlay/hub_fixture.hpp"

namespace simplon::overlay::test {
namespace {

// A relay connection as an agent opens it.
class HubRelayTest : public HubFixture {
 protected:
  struct Pair {
    net::StreamPtr dialer;
    net::StreamPtr host;
  };

  net::StreamPtr show(const std::string& ticket, const std::string& then = "") {
    auto stream = dial();
    EXPECT_TRUE(stream->try_write(net::as_buffer("SIMPLON-RELAY/1" + ticket + then)));
    return stream;
  }
  Pair meet() {
    const auto ticket = client->connect(instance('h')).ticket().ticket();
    const auto offered = host->event().offer().ticket();
    return {.dialer = show(ticket), .host = show(offered)};
  }
  bool ended(const net::StreamPtr& stream) {
    const auto rest = rest_of(stream);
    return !rest || rest->empty();
  }

  static std::shared_ptr<const net::TlsContext> server_context(const IdentityFile& with) {
    return net::TlsContext::make({.role = net::TlsRole::server,
                                  .certificate_chain = with.certificate,
                                  .private_key = with.private_key,
                                  .trust_roots = with.trust_bundle,
                                  .protocols = {{.name = "simplon/1", .peer_certificate = true}},
                                  .protocol_required = true,
                                  .tls13_only = true})
        .value();
  }

  IdentityFile host_identity = identity("host");
  IdentityFile client_identity = identity("client");
  std::unique_ptr<Member> host = online(host_identity, instance('h'));
  std::unique_ptr<Member> client = online(client_identity, instance('c'));
};

TEST_F(HubRelayTest, BytesGoBothWaysAndAreCounted) {
  const auto pair = meet();
  ASSERT_TRUE(pair.dialer->try_write(net::as_buffer("hello")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(pair.host, 5)).value(), "hello");
  EXPECT_EQ(hub->stats().relays, 1U);
  const auto answer = net::test::pattern(500'000);
  const auto sending = net::test::start(loop, net::test::send(pair.host, answer, true));
  EXPECT_EQ(rest_of(pair.dialer).value(), answer);
  pair.dialer->shutdown_send();
  EXPECT_EQ(rest_of(pair.host).value(), "");
  ASSERT_TRUE(net::test::run_until(loop, [&] { return hub->stats().relays == 0; }));
  EXPECT_EQ(hub->stats().relayed_bytes, answer.size() + 5);
}

TEST_F(HubRelayTest, BytesRightBehindTheTicketArrive) {
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  const auto dialer = show(ticket, "early");
  const auto far = show(host->event().offer().ticket());
  EXPECT_EQ(net::test::run(loop, net::test::read_count(far, 5)).value(), "early");
}

TEST_F(HubRelayTest, ATicketIsUsedOnce) {
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  const auto offered = host->event().offer().ticket();
  const auto first = show(ticket);
  EXPECT_TRUE(ended(show(ticket)));
  const auto far = show(offered);
  ASSERT_TRUE(far->try_write(net::as_buffer("x")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(first, 1)).value(), "x");
  EXPECT_TRUE(ended(show(ticket)));
  EXPECT_TRUE(ended(show(offered)));
}

TEST_F(HubRelayTest, AnUnknownTicketOrGreetingIsClosed) {
  EXPECT_TRUE(ended(show(std::string(16, 'x'))));
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  for (const std::string opening :
       {"GET / HTTP/1.1\r\n\r\n", "SIMPLON-RELAY/2", "S", "SIMPLON-RELAY/1short"}) {
    const auto stream = dial();
    ASSERT_TRUE(stream->try_write(net::as_buffer(opening)));
    stream->shutdown_send();
    EXPECT_TRUE(ended(stream)) << opening;
  }
  EXPECT_EQ(hub->stats().refused_connections, 5U);
}

TEST_F(HubRelayTest, AnOpeningInPiecesIsRead) {
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  const auto far = show(host->event().offer().ticket());
  const auto near = dial();
  for (const char one : "SIMPLON-RELAY/1" + ticket + "!") {
    ASSERT_TRUE(near->try_write(net::as_buffer(std::string(1, one))));
    ASSERT_TRUE(client->resolve("web").has_failed());  // a turn of the hub's loop
  }
  EXPECT_EQ(net::test::run(loop, net::test::read_count(far, 1)).value(), "!");
}

// Copies one direction and keeps what went by.
net::awaitable<void> tap(net::StreamPtr from, net::StreamPtr to,
                         std::shared_ptr<std::string> seen) {
  std::array<std::byte, 4096> piece;
  while (true) {
    const auto got = co_await net::read_some(*from, piece);
    if (!got || *got == 0) {
      to->shutdown_send();
      co_return;
    }
    seen->append(reinterpret_cast<const char*>(piece.data()), *got);
    if (!co_await net::write_all(*to, std::span(piece).first(*got))) {
      co_return;
    }
  }
}

// What the hub is for: it carries a session that it can neither read nor answer.
TEST_F(HubRelayTest, TheHubSeesCiphertextOnly) {
  ASSERT_TRUE(host->host("web").has_done());
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  const auto offered = host->event().offer().ticket();
  const auto there = std::make_shared<std::string>();
  const auto back = std::make_shared<std::string>();
  auto acceptor = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  const auto to_hub = dial();
  acceptor->start([&](net::Accepted one) {
    const auto from = net::make_socket_stream(loop, std::move(one.socket));
    net::spawn(loop, "there", tap(from, to_hub, there));
    net::spawn(loop, "back", tap(to_hub, from, back));
  });
  const auto near =
      net::test::run(loop, net::connect_tcp(loop, "127.0.0.1", acceptor->endpoint().port, soon()))
          .value();
  ASSERT_TRUE(near->try_write(net::as_buffer("SIMPLON-RELAY/1" + ticket)));

  const auto accepting =
      net::test::start(loop, net::tls_accept(show(offered), server_context(host_identity), soon()));
  const auto connected =
      net::test::run(loop, net::tls_connect(near, client_context(client_identity), "", soon()));
  ASSERT_TRUE(connected);
  ASSERT_TRUE(net::test::run_until(loop, [&] { return accepting->has_value(); }));
  const net::TlsStreamPtr far = accepting->value().value();
  ASSERT_TRUE((*connected)->try_write(net::as_buffer("a-secret-question")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(far, 17)).value(), "a-secret-question");
  ASSERT_TRUE(far->try_write(net::as_buffer("a-secret-answer")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(*connected, 15)).value(), "a-secret-answer");

  ASSERT_GT(there->size(), 32U);
  EXPECT_EQ((*there)[31], '\x16');  // a ClientHello, behind the greeting and the ticket
  EXPECT_EQ((*there)[36], '\x01');
  EXPECT_EQ(there->find("secret"), std::string::npos);
  EXPECT_EQ(back->find("secret"), std::string::npos);
  // Certificates are encrypted too: not even the names of the two are on the wire.
  EXPECT_EQ((*there + *back).find("simplon:name"), std::string::npos);

  // The ends are each other's, and the hub could not have stood in for the host: its key is not
  // among the owners of the service.
  const auto resolved = client->resolve("web").resolved();
  ASSERT_EQ(resolved.owners_size(), 1);
  EXPECT_EQ((*connected)->peer()->spki_sha256, resolved.owners(0));
  EXPECT_EQ(far->peer()->name, "client");
  EXPECT_NE(spki_of(hub->own_identity()->certificate).value(), resolved.owners(0));
  to_hub->reset();
}

TEST_F(HubRelayTest, TicketsOfOneMemberAreBounded) {
  std::size_t issued = 0;
  while (client->connect(instance('h')).has_ticket()) {
    ASSERT_LE(++issued, kMaxWaitingPairsOfMember);
  }
  EXPECT_EQ(issued, kMaxWaitingPairsOfMember);
  EXPECT_EQ(code(client->connect(instance('h'))), to_wire(Errc::limit_exceeded));
  EXPECT_TRUE(host->connect(instance('c')).has_ticket());
}

TEST_F(HubRelayTest, APairOutlivesTheControlSessionsAndEndsWithTheHub) {
  const auto pair = meet();
  ASSERT_TRUE(pair.dialer->try_write(net::as_buffer("1")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(pair.host, 1)).value(), "1");
  client.reset();
  host.reset();
  ASSERT_TRUE(pair.dialer->try_write(net::as_buffer("2")));
  EXPECT_EQ(net::test::run(loop, net::test::read_count(pair.host, 1)).value(), "2");
  hub.reset();
  EXPECT_TRUE(ended(pair.dialer));
  EXPECT_TRUE(ended(pair.host));
}

TEST_F(HubRelayTest, PairsLiveOnTheLoopsGiven) {
  client.reset();
  host.reset();
  net::Loops others(2);
  start({&others[0], &others[1]});
  host = online(host_identity, instance('h'));
  client = online(client_identity, instance('c'));
  for (int i = 0; i < 4; ++i) {
    const auto pair = meet();
    ASSERT_TRUE(pair.dialer->try_write(net::as_buffer("hello")));
    EXPECT_EQ(net::test::run(loop, net::test::read_count(pair.host, 5)).value(), "hello");
    ASSERT_TRUE(pair.host->try_write(net::as_buffer("back")));
    EXPECT_EQ(net::test::run(loop, net::test::read_count(pair.dialer, 4)).value(), "back");
  }
  hub.reset();
}

class HubRelayTicketTest : public testing::Test {
 protected:
  base::ManualClock clock;
  net::Loop loop{clock};
  HubRelay relay{loop, {&loop}};
};

TEST_F(HubRelayTicketTest, ATicketExpiresAndMakesRoom) {
  ASSERT_GE(sodium_init(), 0);
  const auto tickets = relay.issue("member").value();
  EXPECT_EQ(relay.waiting(), 1U);
  clock.advance(kTicketLifetime);
  net::test::settle(loop);
  EXPECT_EQ(relay.waiting(), 0U);
  EXPECT_FALSE(relay.arrive(tickets.dialer, net::Fd()));
}

TEST_F(HubRelayTicketTest, WaitingPairsAreBoundedInTotal) {
  std::size_t issued = 0;
  for (int member = 0; member < 100; ++member) {
    while (relay.issue(std::to_string(member))) {
      ++issued;
    }
  }
  EXPECT_EQ(issued, kMaxWaitingPairs);
}

}  // namespace
}  // namespace simplon::overlay::test
