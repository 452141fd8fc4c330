#include "overlay/embedded/hub_session.hpp"
#include "unit/overlay/hub_fixture.hpp"

namespace simplon::overlay::test {
namespace {

using HubTest = HubFixture;

TEST_F(HubTest, AServiceIsFoundWhileItsHostIsOnline) {
  const auto host = online(identity("host"), instance('h'));
  const auto client = online(identity("client"), instance('c'));
  EXPECT_EQ(code(client->resolve("web")), to_wire(Errc::no_such_service));
  EXPECT_TRUE(host->host("web").has_done());
  const auto found = client->resolve("web").resolved();
  ASSERT_EQ(found.hosts_size(), 1);
  EXPECT_EQ(found.hosts(0).member(), "host");
  EXPECT_EQ(found.hosts(0).instance(), instance('h'));
  ASSERT_EQ(found.owners_size(), 1);
  EXPECT_EQ(found.owners(0), found.hosts(0).spki_sha256());
  EXPECT_TRUE(host->withdraw("web").has_done());
  EXPECT_TRUE(host->withdraw("web").has_done());
  EXPECT_EQ(code(client->resolve("web")), to_wire(Errc::not_hosted));
}

TEST_F(HubTest, AnInstanceLeavesWithItsSession) {
  const auto who = identity("host");
  auto one = online(who, instance('1'));
  const auto two = online(who, instance('2'));
  ASSERT_TRUE(one->host("web").has_done());
  ASSERT_TRUE(two->host("web").has_done());
  EXPECT_EQ(two->resolve("web").resolved().hosts_size(), 2);
  EXPECT_EQ(hub->stats().members_online, 1U);
  one.reset();
  while (two->resolve("web").resolved().hosts_size() != 1) {
  }
  EXPECT_EQ(two->resolve("web").resolved().hosts(0).instance(), instance('2'));
}

TEST_F(HubTest, AClaimOutlivesTheHostAndTheHub) {
  const auto first = identity("first");
  const auto second = identity("second");
  ASSERT_TRUE(online(first, instance('1'))->host("web").has_done());
  auto squatter = online(second, instance('2'));
  EXPECT_EQ(code(squatter->host("web")), to_wire(Errc::not_permitted));
  squatter.reset();
  start();
  squatter = online(second, instance('2'));
  EXPECT_EQ(code(squatter->host("web")), to_wire(Errc::not_permitted));
  EXPECT_EQ(code(squatter->resolve("web")), to_wire(Errc::not_hosted));
  EXPECT_TRUE(online(first, instance('1'))->host("web").has_done());
}

TEST_F(HubTest, ConnectOffersAndHandsOutDifferentTickets) {
  const auto host = online(identity("host"), instance('h'));
  const auto client = online(identity("client"), instance('c'));
  const auto ticket = client->connect(instance('h')).ticket().ticket();
  const auto offer = host->event().offer();
  EXPECT_EQ(ticket.size(), 16U);
  EXPECT_EQ(offer.ticket().size(), 16U);
  EXPECT_NE(offer.ticket(), ticket);
  EXPECT_EQ(offer.member(), "client");
  EXPECT_EQ(offer.spki_sha256().size(), 32U);
  EXPECT_EQ(code(client->connect(instance('x'))), to_wire(Errc::not_hosted));
}

TEST_F(HubTest, TheSameInstanceOverANewSessionReplacesItsOldOne) {
  const auto who = identity("host");
  const auto before = online(who, instance('1'));
  ASSERT_TRUE(before->host("web").has_done());
  const auto after = online(who, instance('1'));
  EXPECT_TRUE(ends(*before));
  EXPECT_EQ(code(after->resolve("web")), to_wire(Errc::not_hosted));
  EXPECT_TRUE(after->host("web").has_done());
  EXPECT_EQ(hub->stats().members_online, 1U);
}

TEST_F(HubTest, AnotherMembersInstanceIsNotTakenOver) {
  const auto victim = online(identity("victim"), instance('1'));
  const auto thief = join(identity("thief"));
  thief->open();
  EXPECT_EQ(code(thief->hello(instance('1'))), to_wire(Errc::not_permitted));
  EXPECT_TRUE(ends(*thief));
  EXPECT_TRUE(victim->host("web").has_done());
}

TEST_F(HubTest, ABadNameIsRefusedAndTheChannelLivesOn) {
  const auto host = online(identity("host"), instance('h'));
  for (const std::string name : {"", "Web", "a.b", "-a"}) {
    EXPECT_EQ(code(host->host(name)), to_wire(Errc::bad_request));
  }
  EXPECT_TRUE(host->host("web").has_done());
}

TEST_F(HubTest, AMessageOfANewerMemberIsAnsweredNotPunished) {
  const auto member = online(identity("newer"), instance('1'));
  EXPECT_EQ(code(member->call(MemberMessage{})), to_wire(Errc::bad_request));
  EXPECT_TRUE(member->host("web").has_done());
}

TEST_F(HubTest, HelloComesFirstAndOnce) {
  const auto early = join(identity("early"));
  early->open();
  EXPECT_EQ(code(early->host("web")), to_wire(Errc::protocol_error));
  EXPECT_TRUE(ends(*early));
  const auto twice = online(identity("twice"), instance('2'));
  EXPECT_EQ(code(twice->hello(instance('2'))), to_wire(Errc::protocol_error));
  EXPECT_TRUE(ends(*twice));
}

TEST_F(HubTest, AnInstanceOfTheWrongSizeIsRefused) {
  const auto member = join(identity("member"));
  member->open();
  EXPECT_EQ(code(member->hello("short")), to_wire(Errc::protocol_error));
  EXPECT_TRUE(ends(*member));
}

TEST_F(HubTest, GarbageOnTheControlChannelEndsTheSession) {
  const auto member = online(identity("member"), instance('1'));
  ASSERT_TRUE(member->control().try_write(net::as_buffer(std::string("\xff\xff\xff\xff", 4))));
  EXPECT_TRUE(ends(*member));
  EXPECT_EQ(hub->stats().members_online, 0U);
}

TEST_F(HubTest, AHubHostsNoOtherStreams) {
  const auto member = online(identity("member"), instance('1'));
  for (const auto& [service, kind] :
       {std::pair{"hub", StreamKind::raw}, std::pair{"web", StreamKind::control},
        std::pair{"hub", StreamKind::control}}) {
    auto opened =
        start_open(member->session().open_stream().value(), {.service = service, .kind = kind});
    ASSERT_TRUE(opened);
    const auto state = net::test::run(loop, opened->status->decided(loop, soon()));
    EXPECT_EQ(state, OpenStatus::State::refused);
    EXPECT_EQ(opened->status->refusal().failure.code, Errc::not_permitted);
  }
  EXPECT_TRUE(member->host("web").has_done());
}

TEST_F(HubTest, OnlyMembersCertificatesOpenASession) {
  const auto refused = [&](const IdentityFile& with) {
    const auto stream = handshake(with);
    return !stream || !rest_of(*stream).has_value();
  };
  const auto good = identity("good");
  EXPECT_TRUE(online(good, instance('1')));
  // Another network's.
  simplon::test::TemporaryFolder elsewhere;
  const auto other =
      Hub::open(loop, {.database = elsewhere / "db", .name = "x", .loops = {&loop}}).value();
  const auto own = make_identity_request("good").value();
  auto foreign = good;
  foreign.private_key = own.private_key;
  foreign.certificate = other->sign("good", own.request, false)->certificate;
  EXPECT_TRUE(refused(foreign));
  // Signed by this network's root, but nobody the hub stores.
  const auto store = HubStore::open(folder / "state.db").value();
  auto unknown = good;
  unknown.private_key = own.private_key;
  const auto now = std::chrono::system_clock::now();
  unknown.certificate = sign_request(store->authority(), own.request,
                                     {.name = "good",
                                      .not_before = now - std::chrono::hours(1),
                                      .not_after = now + std::chrono::hours(1)})
                            .value();
  EXPECT_TRUE(refused(unknown));
  EXPECT_EQ(hub->stats().refused_connections, 2U);
}

TEST_F(HubTest, RightsThatWereTakenBackAreNotInAnOldCertificate) {
  const auto own = make_identity_request("shop").value();
  const auto before = hub->sign("shop", own.request, /*frontend=*/true).value();
  const IdentityFile old{.name = "shop",
                         .certificate = before.certificate,
                         .private_key = own.private_key,
                         .trust_bundle = before.trust_bundle,
                         .addresses = before.addresses};
  EXPECT_TRUE(online(old, instance('1')));
  ASSERT_TRUE(hub->sign("shop", own.request, /*frontend=*/false).ok());
  const auto stream = handshake(old);
  EXPECT_TRUE(!stream || !rest_of(*stream).has_value());
}

TEST_F(HubTest, SessionsOfOneMemberAreBounded) {
  const auto who = identity("many");
  std::vector<std::unique_ptr<Member>> members;
  for (std::size_t i = 0; i < kMaxSessionsOfMember; ++i) {
    members.push_back(join(who));
  }
  const auto stream = handshake(who);
  EXPECT_TRUE(!stream || !rest_of(*stream).has_value());
  EXPECT_TRUE(online(identity("other"), instance('o')));
}

TEST_F(HubTest, DrainAsksMembersToGoAndTakesNoNewOnes) {
  const auto member = online(identity("member"), instance('1'));
  const auto port = hub->bound().port;
  hub->drain();
  ASSERT_TRUE(net::test::run_until(loop, [&] { return !member->session().usable(); }));
  EXPECT_TRUE(member->host("web").has_done());
  const auto refused = net::test::run(loop, net::connect_tcp(loop, "127.0.0.1", port, soon()));
  EXPECT_EQ(refused.error(), Errc::refused);
}

TEST_F(HubTest, DestroyingTheHubResetsSessions) {
  const auto member = online(identity("member"), instance('1'));
  hub.reset();
  EXPECT_TRUE(ends(*member));
}

}  // namespace
}  // namespace simplon::overlay::test
