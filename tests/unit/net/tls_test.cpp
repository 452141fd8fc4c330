#include "net/tls.hpp"

#include <gmock/gmock.h>

#include "net/buffer_pool.hpp"
#include "net/memory.hpp"
#include "net/splice.hpp"
#include "net/tcp.hpp"
#include "support/certificates.hpp"
#include "unit/net/harness.hpp"
#include "unit/net/stream_rules.hpp"

namespace simplon::net::test {
namespace {

using simplon::test::Authority;
using simplon::test::Credentials;
using std::chrono::seconds;
using Context = std::shared_ptr<const TlsContext>;

Context make_context(const TlsOptions& options) {
  std::string why;
  auto context = TlsContext::make(options, &why);
  EXPECT_TRUE(context) << why;
  return context ? *context : nullptr;
}

struct Handshake {
  Result<TlsStreamPtr> client;
  Result<TlsStreamPtr> server;
  std::string client_why;
  std::string server_why;
};

class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (network == nullptr) {
      network = new Authority("network");
      other = new Authority("other");
    }
  }

  TlsOptions server_options() {
    const auto shown = network->issue("hub", {.subject_alternative = "DNS:hub.example"});
    return {.role = TlsRole::server,
            .certificate_chain = shown.chain,
            .private_key = shown.private_key,
            .trust_roots = network->root()};
  }
  TlsOptions client_options(const Credentials& shown = {}) {
    return {.role = TlsRole::client,
            .certificate_chain = shown.chain,
            .private_key = shown.private_key,
            .trust_roots = network->root()};
  }

  // What agents do: both protocols on one port, a certificate for the session only.
  TlsOptions agent_options() {
    auto options = server_options();
    options.protocols = {{.name = "simplon/1", .peer_certificate = true},
                         {.name = "simplon-enroll/1"}};
    options.protocol_required = true;
    options.tls13_only = true;
    return options;
  }

  Handshake shake(const TlsOptions& client, const TlsOptions& server,
                  const std::string& server_name = "") {
    std::tie(client_end, server_end) = make_memory_pair(loop);
    Handshake out{.client = base::fail(Errc::internal), .server = base::fail(Errc::internal)};
    const auto accepted = start(loop, tls_accept(std::move(server_end), make_context(server),
                                                 clock.now() + seconds(5), &out.server_why));
    const auto connected =
        start(loop, tls_connect(std::move(client_end), make_context(client), server_name,
                                clock.now() + seconds(5), &out.client_why));
    settle(loop);
    EXPECT_TRUE(accepted->has_value());
    EXPECT_TRUE(connected->has_value());
    if (*connected && *accepted) {
      out.client = **connected;
      out.server = **accepted;
    }
    return out;
  }

  // An established pair over memory.
  std::pair<StreamPtr, StreamPtr> pair() {
    auto both = shake(client_options(), server_options());
    return {both.client.value(), both.server.value()};
  }

  inline static Authority* network = nullptr;
  inline static Authority* other = nullptr;
  base::ManualClock clock;
  Loop loop{clock};
  StreamPtr client_end, server_end;
};

TEST_F(TlsTest, BothSidesKnowEachOther) {
  auto client = client_options(network->issue("agent-7"));
  client.protocols = {{.name = "simplon/1"}};
  client.tls13_only = true;
  const auto both = shake(client, agent_options());
  ASSERT_TRUE(both.client) << both.client_why;
  ASSERT_TRUE(both.server) << both.server_why;
  EXPECT_EQ((*both.client)->protocol(), "simplon/1");
  EXPECT_EQ((*both.server)->protocol(), "simplon/1");
  ASSERT_NE((*both.server)->peer(), nullptr);
  EXPECT_EQ((*both.server)->peer()->name, "agent-7");
  EXPECT_EQ((*both.server)->peer()->spki_sha256.size(), 32U);
  ASSERT_NE((*both.client)->peer(), nullptr);
  EXPECT_EQ((*both.client)->peer()->name, "hub");
}

TEST_F(TlsTest, AServersCertificateIsFetchedAndThenTheOnlyOneAccepted) {
  const auto server = server_options();
  std::tie(client_end, server_end) = make_memory_pair(loop);
  const auto accepted =
      start(loop, tls_accept(server_end, make_context(server), clock.now() + seconds(5)));
  const auto fetched =
      start(loop, fetch_leaf(client_end, "hub.example", {{.name = "x"}}, clock.now() + seconds(5)));
  settle(loop);
  ASSERT_TRUE(*fetched && **fetched);
  const std::string leaf = ***fetched;
  EXPECT_TRUE(client_end->closed());

  TlsOptions client{.role = TlsRole::client, .pinned_leaf = leaf};
  const auto both = shake(client, server, "hub.example");
  ASSERT_TRUE(both.client) << both.client_why;
  EXPECT_EQ((*both.client)->peer()->certificate, leaf);
  // Its name counts, and another certificate of the same authority is not it.
  EXPECT_EQ(error_of(shake(client, server, "other.example").client), Errc::bad_certificate);
  EXPECT_EQ(error_of(shake(client, server_options(), "hub.example").client), Errc::bad_certificate);
}

TEST_F(TlsTest, AnAuthorityOfTheTrustedOnesNameWithAnotherKeyIsNotTrusted) {
  auto client = client_options();
  client.trust_roots = Authority("network").root();
  const auto both = shake(client, server_options());
  EXPECT_EQ(error_of(both.client), Errc::bad_certificate);
  EXPECT_THAT(both.client_why, testing::HasSubstr("signature"));
}

TEST_F(TlsTest, ACertificateThatIsNoRootIsTrustedWhereToldSo) {
  const auto server = server_options();
  auto client = client_options();
  client.trust_roots = server.certificate_chain;
  EXPECT_EQ(error_of(shake(client, server).client), Errc::bad_certificate);
  client.trust_intermediates = true;
  EXPECT_TRUE(shake(client, server).client);
}

TEST_F(TlsTest, EnrollmentNeedsNoCertificateOnTheSamePort) {
  TlsOptions client{
      .role = TlsRole::client, .trust_roots = {}, .protocols = {{.name = "simplon-enroll/1"}}};
  client.trust_roots = network->root();
  const auto both = shake(client, agent_options());
  ASSERT_TRUE(both.client) << both.client_why;
  ASSERT_TRUE(both.server) << both.server_why;
  EXPECT_EQ((*both.server)->peer(), nullptr);
  EXPECT_EQ((*both.server)->protocol(), "simplon-enroll/1");
}

// The server of TLS 1.3 refuses after the client has finished.
TEST_F(TlsTest, ASessionWithoutACertificateIsRefused) {
  auto client = client_options();
  client.protocols = {{.name = "simplon/1"}};
  const auto both = shake(client, agent_options());
  EXPECT_EQ(error_of(both.server), Errc::bad_certificate);
  ASSERT_TRUE(both.client);
  EXPECT_EQ(error_of(run(loop, read_to_end(*both.client))), Errc::bad_certificate);
}

TEST_F(TlsTest, AClientOfAnotherNetworkIsRefused) {
  auto client = client_options(other->issue("agent-7"));
  client.protocols = {{.name = "simplon/1"}};
  const auto both = shake(client, agent_options());
  EXPECT_EQ(error_of(both.server), Errc::bad_certificate);
  EXPECT_THAT(both.server_why, testing::HasSubstr("unable to get local issuer"));
  EXPECT_EQ(error_of(run(loop, read_to_end(*both.client))), Errc::bad_certificate);
}

TEST_F(TlsTest, AnExpiredCertificateIsRefused) {
  auto client = client_options(network->issue("agent-7", {.valid_until = -60}));
  client.protocols = {{.name = "simplon/1"}};
  const auto both = shake(client, agent_options());
  EXPECT_EQ(error_of(both.server), Errc::bad_certificate);
  EXPECT_THAT(both.server_why, testing::HasSubstr("expired"));
}

TEST_F(TlsTest, AServerOfAnotherNetworkIsRefused) {
  auto client = client_options();
  client.trust_roots = other->root();
  const auto both = shake(client, server_options());
  EXPECT_EQ(error_of(both.client), Errc::bad_certificate);
  EXPECT_EQ(error_of(both.server), Errc::bad_certificate);
}

TEST_F(TlsTest, TheServersNameMustBeTheCertificates) {
  EXPECT_TRUE(shake(client_options(), server_options(), "hub.example").client);
  const auto wrong = shake(client_options(), server_options(), "hub.other");
  EXPECT_EQ(error_of(wrong.client), Errc::bad_certificate);
  EXPECT_THAT(wrong.client_why, testing::HasSubstr("ostname mismatch"));
  EXPECT_FALSE(shake(client_options(), server_options(), "127.0.0.1").client);
  // The subject's name is a name of nobody's host.
  EXPECT_FALSE(shake(client_options(), server_options(), "hub").client);
}

TEST_F(TlsTest, AnAddressMustBeTheCertificatesToo) {
  auto server = server_options();
  const auto shown = network->issue("hub", {.subject_alternative = "IP:127.0.0.1"});
  server.certificate_chain = shown.chain;
  server.private_key = shown.private_key;
  EXPECT_TRUE(shake(client_options(), server, "127.0.0.1").client);
  EXPECT_FALSE(shake(client_options(), server, "127.0.0.2").client);
}

TEST_F(TlsTest, TheServerLearnsWhichNameWasAskedFor) {
  const auto both = shake(client_options(), server_options(), "hub.example");
  ASSERT_TRUE(both.server);
  EXPECT_EQ((*both.server)->server_name(), "hub.example");
  EXPECT_EQ((*both.server)->protocol(), "");
}

TEST_F(TlsTest, AnotherProtocolIsRefused) {
  auto client = client_options(network->issue("agent-7"));
  client.protocols = {{.name = "h2"}};
  const auto both = shake(client, agent_options());
  EXPECT_EQ(error_of(both.server), Errc::handshake_failed);
  EXPECT_EQ(error_of(both.client), Errc::handshake_failed);
  EXPECT_THAT(both.client_why, testing::HasSubstr("no application protocol"));
}

TEST_F(TlsTest, NoProtocolAtAllIsRefusedWhereOneIsRequired) {
  const auto both = shake(client_options(network->issue("agent-7")), agent_options());
  EXPECT_EQ(error_of(both.server), Errc::handshake_failed);
  EXPECT_EQ(error_of(both.client), Errc::handshake_failed);
}

TEST_F(TlsTest, AServerThatIgnoresTheProtocolIsRefused) {
  auto client = client_options();
  client.protocols = {{.name = "simplon/1"}};
  client.protocol_required = true;
  const auto both = shake(client, server_options());
  EXPECT_EQ(error_of(both.client), Errc::handshake_failed);
}

TEST_F(TlsTest, APinnedRootIsTheOnlyOneTrusted) {
  auto server = server_options();
  server.certificate_chain += network->root();
  auto client = client_options();
  client.trust_roots.clear();
  client.pinned_root = network->root_spki_sha256();
  EXPECT_TRUE(shake(client, server).client);
  client.pinned_root = other->root_spki_sha256();
  EXPECT_EQ(error_of(shake(client, server).client), Errc::bad_certificate);
}

TEST_F(TlsTest, APinnedRootThatDidNotSignIsRefused) {
  auto server = server_options();
  const auto stranger = other->issue("hub");
  server.certificate_chain = stranger.chain + network->root();
  server.private_key = stranger.private_key;
  auto client = client_options();
  client.trust_roots.clear();
  client.pinned_root = network->root_spki_sha256();
  EXPECT_EQ(error_of(shake(client, server).client), Errc::bad_certificate);
}

TEST_F(TlsTest, ContextsSayWhatIsWrong) {
  std::string why;
  auto options = server_options();
  options.private_key = network->issue("another").private_key;
  EXPECT_EQ(error_of(TlsContext::make(options, &why)), Errc::invalid_argument);
  EXPECT_THAT(why, testing::HasSubstr("private key"));
  options = server_options();
  options.certificate_chain = "no PEM";
  EXPECT_FALSE(TlsContext::make(options, &why));
  options = server_options();
  options.trust_roots = "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n";
  EXPECT_FALSE(TlsContext::make(options, &why));
  EXPECT_THAT(why, testing::HasSubstr("trust roots"));
  EXPECT_FALSE(TlsContext::make({.role = TlsRole::server}, &why));
}

TEST_F(TlsTest, WhatIsNotTlsIsRefused) {
  const auto [client, server] = make_memory_pair(loop);
  const auto accepted = start(
      loop, tls_accept(server, make_context(server_options()), clock.now() + seconds(5), nullptr));
  ASSERT_TRUE(client->try_write(as_buffer("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
  settle(loop);
  ASSERT_TRUE(accepted->has_value());
  EXPECT_EQ(error_of(**accepted), Errc::handshake_failed);
  EXPECT_TRUE(server->closed());
}

TEST_F(TlsTest, AnEndInTheHandshakeIsATruncation) {
  const auto [client, server] = make_memory_pair(loop);
  const auto accepted = start(
      loop, tls_accept(server, make_context(server_options()), clock.now() + seconds(5), nullptr));
  client->shutdown_send();
  settle(loop);
  EXPECT_EQ(error_of(**accepted), Errc::truncated);
}

TEST_F(TlsTest, AHandshakeThatTakesTooLongIsReset) {
  const auto [client, server] = make_memory_pair(loop);
  const auto accepted = start(
      loop, tls_accept(server, make_context(server_options()), clock.now() + seconds(5), nullptr));
  settle(loop);
  clock.advance(seconds(5));
  settle(loop);
  ASSERT_TRUE(accepted->has_value());
  EXPECT_EQ(error_of(**accepted), Errc::timed_out);
  EXPECT_TRUE(server->closed());
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsATruncation) {
  auto [client, a] = make_memory_pair(loop);
  auto [b, server] = make_memory_pair(loop);
  start_splice(a, b, {}, [](SpliceResult) {});
  const auto accepted = start(
      loop, tls_accept(server, make_context(server_options()), clock.now() + seconds(5), nullptr));
  const auto connected = start(loop, tls_connect(client, make_context(client_options()), "",
                                                 clock.now() + seconds(5), nullptr));
  settle(loop);
  const StreamPtr stream = (*connected)->value();
  ASSERT_TRUE((*accepted)->value()->try_write(as_buffer("half an answ")));
  settle(loop);
  server->shutdown_send();  // of the transport, behind the back of TLS
  settle(loop);
  EXPECT_EQ(read_now(*stream), "half an answ");
  EXPECT_EQ(error_of(run(loop, read_to_end(stream))), Errc::truncated);
  EXPECT_EQ(error_of(stream->try_write(as_buffer("x"))), Errc::truncated);
}

TEST_F(TlsTest, RubbishAfterTheHandshakeIsTheErrorOfItsReader) {
  auto [client, server] = make_memory_pair(loop);
  const auto accepted = start(
      loop, tls_accept(server, make_context(server_options()), clock.now() + seconds(5), nullptr));
  const auto connected = start(loop, tls_connect(client, make_context(client_options()), "",
                                                 clock.now() + seconds(5), nullptr));
  settle(loop);
  const StreamPtr stream = (*accepted)->value();
  ASSERT_TRUE(client->try_write(as_buffer(std::string(100, 'x'))));
  settle(loop);
  EXPECT_EQ(error_of(run(loop, read_to_end(stream))), Errc::protocol_error);
}

TEST_F(TlsTest, TheEndOfOneDirectionLeavesTheOtherAlive) {
  const auto [client, server] = pair();
  client->shutdown_send();
  EXPECT_EQ(run(loop, read_to_end(server)), "");
  ASSERT_TRUE(server->try_write(as_buffer("still here")));
  server->shutdown_send();
  EXPECT_EQ(run(loop, read_to_end(client)), "still here");
}

TEST_F(TlsTest, ACloseThatCannotFlushEndsAfterASecond) {
  auto [client, server] = pair();
  const std::size_t held = fill(*client);
  client->close();
  const std::weak_ptr<Stream> closing = client;
  client.reset();
  settle(loop);
  clock.advance(std::chrono::milliseconds(500));
  settle(loop);
  EXPECT_FALSE(closing.expired());
  clock.advance(std::chrono::milliseconds(500));
  settle(loop);
  EXPECT_TRUE(closing.expired());
  EXPECT_EQ(error_of(run(loop, read_to_end(server))), Errc::reset);
  EXPECT_GT(held, kMemoryCapacity);
}

TEST_F(TlsTest, ACloseFlushesWhatIsStagedAndSaysThatItIsTheEnd) {
  auto [client, server] = pair();
  const std::size_t held = fill(*client);
  client->close();
  client.reset();
  const auto got = run(loop, read_to_end(server));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), held);
}

TEST_F(TlsTest, ALoopThatEndsDropsAStreamThatCloses) {
  const auto witness = std::make_shared<int>(0);
  {
    Loop short_lived(clock);
    const auto [here, there] = make_memory_pair(short_lived, 16);
    // The client's first flight does not fit.
    spawn(short_lived, "handshake",
          [](StreamPtr stream, Context context, Loop& on, std::shared_ptr<int>) -> awaitable<void> {
            static_cast<void>(
                co_await tls_connect(stream, context, "", on.now() + seconds(5), nullptr));
          }(here, make_context(client_options()), short_lived, witness));
    settle(short_lived);
    EXPECT_EQ(witness.use_count(), 2);
  }
  EXPECT_EQ(witness.use_count(), 1);
}

TEST_F(TlsTest, AnIdleStreamHoldsNoBuffer) {
  const auto before = pooled_buffers_in_use();
  const auto [client, server] = pair();
  ASSERT_TRUE(client->try_write(as_buffer("x")));
  EXPECT_EQ(read_now(*server), "x");
  EXPECT_EQ(pooled_buffers_in_use(), before);
}

TEST_F(TlsTest, SmallPiecesShareARecord) {
  const auto [client, server] = pair();
  std::vector<std::string> texts;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    texts.push_back(pattern(static_cast<std::size_t>(i % 50)));
    all += texts.back();
  }
  const std::string big = pattern(40'000);
  texts.push_back(big);
  all += big;
  std::vector<Buffer> pieces;
  for (const auto& text : texts) {
    pieces.push_back(as_buffer(text));
  }
  const auto taken = client->try_write(pieces);
  ASSERT_TRUE(taken);
  const auto rest = start(loop, send(client, all.substr(*taken)));
  EXPECT_EQ(run(loop, read_count(server, all.size())), all);
}

TEST_F(TlsTest, OverTcpBigTransfersGoBothWays) {
  Loop real;
  auto acceptor = listen_tcp(real, {.host = "127.0.0.1", .port = 0});
  ASSERT_TRUE(acceptor);
  StreamPtr accepted;
  (*acceptor)->start(
      [&](Accepted got) { accepted = make_socket_stream(real, std::move(got.socket)); });
  const TimePoint deadline = real.now() + seconds(10);
  auto transport =
      run(real, connect_tcp(real, "127.0.0.1", (*acceptor)->endpoint().port, deadline));
  ASSERT_TRUE(transport);
  ASSERT_TRUE(run_until(real, [&] { return accepted != nullptr; }));
  const auto server_side =
      start(real, tls_accept(accepted, make_context(server_options()), deadline, nullptr));
  const auto client = run(real, tls_connect(*transport, make_context(client_options()),
                                            "hub.example", deadline, nullptr));
  ASSERT_TRUE(client);
  ASSERT_TRUE(run_until(real, [&] { return server_side->has_value(); }));
  const StreamPtr server = (*server_side)->value();
  const std::string there = pattern(5'000'000);
  const std::string back = pattern(3'000'000);
  const auto sent = start(real, send(*client, there, true));
  const auto answered = start(real, send(server, back, true));
  const auto at_server = start(real, read_to_end(server));
  EXPECT_EQ(run(real, read_to_end(*client)), back);
  ASSERT_TRUE(run_until(real, [&] { return at_server->has_value(); }));
  EXPECT_EQ(**at_server, there);
}

}  // namespace
}  // namespace simplon::net::test
