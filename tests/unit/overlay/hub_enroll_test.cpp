#include <sys/stat.h>

#include "base/database.hpp"
#include "net/splice.hpp"
#include "unit/overlay/hub_fixture.hpp"

namespace simplon::overlay::test {
namespace {

using absl::StatusCode;
using std::chrono::hours;
using testing::HasSubstr;

using HubEnrollTest = HubFixture;

TEST_F(HubEnrollTest, AnInvitationBecomesAnIdentityThatTheHubKnows) {
  const auto invited = hub->invite("shop", /*frontend=*/true, hours(1)).value();
  EXPECT_TRUE(invited.loopback_only);
  const auto token = parse_token(encode_token(invited.token)).value();
  const auto identity = enrolled(token);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->name, "shop");
  EXPECT_EQ(identity->addresses, hub->addresses());
  EXPECT_TRUE(read_certificate(identity->certificate)->frontend);
  EXPECT_FALSE(read_certificate(identity->certificate)->hub);
  EXPECT_TRUE(hub->has_members());
  EXPECT_TRUE(online(*identity, instance('1')));
}

TEST_F(HubEnrollTest, AUsedTokenIsRefused) {
  const auto token = hub->invite("shop", false, hours(1))->token;
  ASSERT_TRUE(enrolled(token).ok());
  const auto again = enrolled(token);
  EXPECT_EQ(again.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("used"));
}

TEST_F(HubEnrollTest, AnExpiredTokenIsRefused) {
  const auto token = hub->invite("shop", false, hours(1))->token;
  auto database = base::Database::open(folder / "state.db").value();
  ASSERT_TRUE(database->execute("UPDATE hub_invitation SET expires = 1").ok());
  const auto late = enrolled(token);
  EXPECT_EQ(late.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("expired"));
}

TEST_F(HubEnrollTest, AWrongSecretIsRefused) {
  auto token = hub->invite("shop", false, hours(1))->token;
  token.secret[5] ^= 1;
  EXPECT_EQ(enrolled(token).status().code(), StatusCode::kPermissionDenied);
  EXPECT_FALSE(hub->has_members());
}

TEST_F(HubEnrollTest, AHubOfAnotherNetworkIsNotToldTheSecret) {
  auto token = hub->invite("shop", false, hours(1))->token;
  token.root_spki[0] ^= 1;
  const auto refused = enrolled(token);
  EXPECT_EQ(refused.status().code(), StatusCode::kPermissionDenied);
  token.root_spki[0] ^= 1;
  EXPECT_TRUE(enrolled(token).ok());
}

TEST_F(HubEnrollTest, AMemberThatPosesAsTheHubIsNotToldTheSecret) {
  auto token = hub->invite("shop", false, hours(1))->token;
  const auto member = identity("impostor");
  const auto context =
      net::TlsContext::make({.role = net::TlsRole::server,
                             .certificate_chain = member.certificate + member.trust_bundle,
                             .private_key = member.private_key,
                             .protocols = {{.name = "simplon-enroll/1"}},
                             .protocol_required = true,
                             .tls13_only = true})
          .value();
  auto acceptor = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  std::shared_ptr<std::optional<net::Result<net::TlsStreamPtr>>> accepted;
  acceptor->start([&](net::Accepted one) {
    accepted = net::test::start(
        loop,
        net::tls_accept(net::make_socket_stream(loop, std::move(one.socket)), context, soon()));
  });
  token.addresses = {net::to_string(acceptor->endpoint())};
  const auto refused = enrolled(token);
  EXPECT_EQ(refused.status().code(), StatusCode::kPermissionDenied);
  ASSERT_TRUE(net::test::run_until(loop, [&] { return accepted && accepted->has_value(); }));
  if (const auto& stream = **accepted) {
    const auto told = rest_of(*stream);
    EXPECT_TRUE(!told || told->empty());
  }
}

TEST_F(HubEnrollTest, EveryAddressIsTriedAndNamed) {
  auto token = hub->invite("shop", false, hours(1))->token;
  auto closed = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  const auto nobody = net::to_string(closed->endpoint());
  closed.reset();
  const auto good = token.addresses;
  token.addresses = {nobody};
  const auto failed = enrolled(token);
  EXPECT_EQ(failed.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr(nobody));
  token.addresses.push_back(good.front());
  EXPECT_TRUE(enrolled(token).ok());
}

TEST_F(HubEnrollTest, APeerThatIsNoHubIsUnavailable) {
  auto token = hub->invite("shop", false, hours(1))->token;
  auto acceptor = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  acceptor->start([&](net::Accepted one) {
    const auto stream = net::make_socket_stream(loop, std::move(one.socket));
    (void)stream->try_write(net::as_buffer("HTTP/1.1 400 Bad Request\r\n\r\n"));
    stream->close();
  });
  token.addresses = {net::to_string(acceptor->endpoint())};
  EXPECT_EQ(enrolled(token).status().code(), StatusCode::kUnavailable);
}

TEST_F(HubEnrollTest, APeerThatSaysNothingEndsWithTheDeadline) {
  auto token = hub->invite("shop", false, hours(1))->token;
  auto acceptor = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  std::vector<net::Accepted> held;
  acceptor->start([&](net::Accepted one) { held.push_back(std::move(one)); });
  token.addresses = {net::to_string(acceptor->endpoint())};
  const auto late =
      net::test::run(loop, enroll(loop, token, loop.now() + std::chrono::milliseconds(200)));
  EXPECT_EQ(late.status().code(), StatusCode::kDeadlineExceeded);
}

// Passes a connection on, and cuts the first one when the hub answers.
TEST_F(HubEnrollTest, ALostAnswerBurnsNothing) {
  auto token = hub->invite("shop", false, hours(1))->token;
  auto acceptor = net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
  int connections = 0;
  const auto counters = std::make_shared<net::SpliceCounters>();
  net::StreamPtr cut;
  acceptor->start([&](net::Accepted one) {
    auto client = net::make_socket_stream(loop, std::move(one.socket));
    const bool first = ++connections == 1;
    net::spawn(loop, "pass on",
               [](net::StreamPtr from, net::Loop* on, std::uint16_t port, net::TimePoint deadline,
                  std::shared_ptr<net::SpliceCounters> count) -> net::awaitable<void> {
                 auto to = co_await net::connect_tcp(*on, "127.0.0.1", port, deadline);
                 if (to) {
                   (void)co_await net::splice(from, *to, {.counters = count});
                 }
               }(client, &loop, hub->bound().port, soon(), counters));
    if (first) {
      cut = client;
    }
  });
  token.addresses = {net::to_string(acceptor->endpoint())};
  auto answer = net::test::start(loop, enroll(loop, token, soon()));
  // The member is stored before the answer goes out: then the path is cut.
  ASSERT_TRUE(net::test::run_until(loop, [&] { return hub->has_members(); }));
  cut->reset();
  ASSERT_TRUE(net::test::run_until(loop, [&] { return answer->has_value(); }));
  ASSERT_TRUE((*answer)->ok()) << (*answer)->status();
  EXPECT_EQ(connections, 2);
  EXPECT_TRUE(online(***answer, instance('1')));
}

TEST_F(HubEnrollTest, FailedEnrollmentsAreLimited) {
  auto token = hub->invite("shop", false, hours(1))->token;
  auto wrong = token;
  wrong.secret[0] ^= 1;
  auto code = StatusCode::kPermissionDenied;
  int attempts = 0;
  while (code == StatusCode::kPermissionDenied && attempts < 100) {
    code = enrolled(wrong).status().code();
    ++attempts;
  }
  EXPECT_EQ(code, StatusCode::kResourceExhausted);
  EXPECT_EQ(attempts, 11);
}

TEST_F(HubEnrollTest, InvitationsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(hub->invite("No", false, hours(1)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(hub->invite("a", false, seconds(0)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(hub->invite("a", false, hours(24 * 31)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(hub->invite("hub-agent", false, hours(1)).status().code(), StatusCode::kAlreadyExists);
}

TEST_F(HubEnrollTest, SigningIsForOneKeyAName) {
  const auto own = make_identity_request("shop").value();
  const auto first = hub->sign("shop", own.request, false);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(hub->sign("shop", own.request, true).ok());
  EXPECT_EQ(hub->sign("other", own.request, false).status().code(), StatusCode::kAlreadyExists);
  const auto another = make_identity_request("shop").value();
  EXPECT_EQ(hub->sign("shop", another.request, false).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(hub->sign("new", "nonsense", false).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(HubEnrollTest, TheHubsOwnIdentityIsTheSameAfterARestartAndPrivate) {
  const auto own = hub->own_identity().value();
  EXPECT_TRUE(read_certificate(own.certificate)->hub);
  EXPECT_TRUE(read_certificate(own.certificate)->frontend);
  EXPECT_FALSE(hub->has_members());
  EXPECT_TRUE(online(own, instance('1')));
  start();
  const auto again = hub->own_identity().value();
  EXPECT_EQ(again.certificate, own.certificate);
  EXPECT_EQ(again.private_key, own.private_key);
  EXPECT_EQ(load_identity(folder / "hub-identity.json").value(), again);
  struct stat about{};
  ASSERT_EQ(::stat((folder / "hub-identity.json").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(HubEnrollTest, ALostKeyFileIsMadeAnew) {
  const auto own = hub->own_identity().value();
  std::filesystem::remove(folder / "hub-identity.json");
  start();
  const auto again = hub->own_identity().value();
  EXPECT_NE(again.private_key, own.private_key);
  EXPECT_EQ(again.trust_bundle, own.trust_bundle);
  EXPECT_TRUE(online(again, instance('1')));
}

TEST_F(HubEnrollTest, AdvertisedAddressesGoIntoTokens) {
  hub->advertise({"hub.example:7700"});
  const auto invited = hub->invite("shop", false, hours(1)).value();
  EXPECT_EQ(invited.token.addresses, std::vector<std::string>{"hub.example:7700"});
  EXPECT_FALSE(invited.loopback_only);
  hub->advertise({});
  EXPECT_EQ(hub->addresses(), std::vector{net::to_string(hub->bound())});
}

TEST_F(HubEnrollTest, ATakenPortIsToldApart) {
  const auto taken = hub->bound();
  simplon::test::TemporaryFolder elsewhere;
  const auto other =
      Hub::open(loop, {.database = elsewhere / "state.db", .name = "other", .loops = {&loop}})
          .value();
  EXPECT_EQ(other->own_identity().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(other->listen(taken).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(other->listen({.host = "192.0.2.1", .port = 1}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(other->listen({.host = "127.0.0.1", .port = 0}).ok());
}

}  // namespace
}  // namespace simplon::overlay::test
