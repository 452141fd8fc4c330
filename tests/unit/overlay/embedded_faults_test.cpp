// What members do when the hub is gone, lies, or keeps silent.
#include "overlay/embedded/embedded.hpp"
#include "unit/overlay/network_suite.hpp"
#include "unit/overlay/scripted_hub.hpp"

namespace simplon::overlay::test {
namespace {

using std::chrono::seconds;

class EmbeddedFaults : public testing::Test, protected NetworkBench {
 protected:
  std::unique_ptr<Network> join(const IdentityFile& identity) {
    auto made =
        make_embedded_network(loop, {.identity = identity, .loops = {&loop}, .budget = nullptr});
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(*made);
  }
  std::unique_ptr<Network> join(const std::string& name) {
    return join(network.identity(name, {hub->address()}));
  }
  void until_up(const Network& member) {
    ASSERT_TRUE(run_until(loop, [&] { return member.status().state == LinkState::up; }))
        << member.status().last_error;
  }
  /// Time passes, in steps that timers can follow, until it is so.
  bool in_time(const std::function<bool()>& done, seconds most = seconds(60)) {
    for (int step = 0; step <= most / std::chrono::milliseconds(100); ++step) {
      for (int turn = 0; turn < 1000; ++turn) {
        if (done()) {
          return true;
        }
        loop.context().restart();
        if (loop.context().run_one_for(std::chrono::milliseconds(1)) == 0) {
          break;
        }
      }
      clock.advance(std::chrono::milliseconds(100));
    }
    return done();
  }
  /// A dial that ends by itself as time passes.
  DialResult dial_in_time(Network& member, DialOptions options) {
    const auto dialing = start(loop, member.dial(loop, std::move(options)));
    EXPECT_TRUE(in_time([&] { return dialing->has_value(); }));
    return std::move(**dialing);
  }
  void works(Network& from, const Hosted& to, const std::string& service) {
    const Dialed dialed = connect(from, this->to(service));
    ASSERT_NE(dialed.stream, nullptr);
    const auto inbound = arrival(to);
    ASSERT_NE(inbound, nullptr);
    inbound->accept();
    EXPECT_EQ(answer_of(dialed), OpenStatus::State::accepted);
  }

  TestNetwork network;
  std::unique_ptr<ScriptedHub> hub = std::make_unique<ScriptedHub>(loop, network);
};

TEST_F(EmbeddedFaults, ARestartedHubIsFoundAndToldOfEveryService) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  const Hosted api = host(*alice, "api");
  works(*bob, web, "web");
  const std::uint16_t port = hub->endpoint().port;
  hub.reset();
  ASSERT_TRUE(run_until(loop, [&] {
    return alice->status().state == LinkState::down &&
           web.listener->status().state == LinkState::connecting;
  }));
  EXPECT_NE(alice->status().last_error, "");
  EXPECT_NE(web.listener->status().last_error, "");
  hub = std::make_unique<ScriptedHub>(loop, network, port);
  ASSERT_TRUE(in_time([&] {
    return web.listener->status().state == LinkState::up &&
           api.listener->status().state == LinkState::up && bob->status().state == LinkState::up;
  }));
  EXPECT_TRUE(hub->registered("web"));
  works(*bob, web, "web");
}

TEST_F(EmbeddedFaults, ReconnectsComeWithinASecondAndNotInCircles) {
  const auto alice = join("alice");
  for (int round = 1; round < 5; ++round) {
    until_up(*alice);
    EXPECT_EQ(hub->connections(), round);
    hub->end_sessions(true);
    ASSERT_TRUE(run_until(loop, [&] { return alice->status().state == LinkState::down; }));
    in_time([] { return false; }, seconds(0));
    EXPECT_EQ(hub->connections(), round);
    EXPECT_TRUE(in_time([&] { return hub->connections() == round + 1; }, seconds(1)));
  }
}

TEST_F(EmbeddedFaults, AHubThatWentAwayInOrderIsTriedAtOnce) {
  const auto alice = join("alice");
  until_up(*alice);
  clock.advance(seconds(5));
  hub->end_sessions(true);
  EXPECT_TRUE(run_until(loop, [&] { return hub->connections() == 2; }));
}

TEST_F(EmbeddedFaults, WithoutAHubADialFailsInWords) {
  const auto bob = join("bob");
  until_up(*bob);
  hub.reset();
  ASSERT_TRUE(run_until(loop, [&] { return bob->status().state == LinkState::down; }));
  const auto dialed = dial_in_time(*bob, to("web"));
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::link_lost);
  EXPECT_EQ(dialed.error().failure.hop, Hop::hub);
  EXPECT_NE(dialed.error().failure.detail.find("hub 127.0.0.1:"), std::string::npos);
  EXPECT_TRUE(dialed.error().not_processed);
}

TEST_F(EmbeddedFaults, ASessionOutlivesTheHubsControl) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  works(*bob, web, "web");
  hub->end_sessions(false);  // its relay lives on
  ASSERT_TRUE(run_until(loop, [&] { return bob->status().state == LinkState::down; }));
  works(*bob, web, "web");
}

TEST_F(EmbeddedFaults, ASilentHubIsAnsweredByTheDeadline) {
  const auto bob = join("bob");
  until_up(*bob);
  hub->script(
      [](const wire::MemberMessage& message, wire::HubMessage&) { return message.has_resolve(); });
  DialOptions options = to("web");
  options.deadline = loop.now() + seconds(2);
  const auto dialed = dial_in_time(*bob, options);
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::timed_out);
  EXPECT_EQ(dialed.error().failure.hop, Hop::hub);
}

TEST_F(EmbeddedFaults, AHubThatDoesNotAnswerHelloIsNoHub) {
  hub->script([](const wire::MemberMessage&, wire::HubMessage&) { return true; });
  const auto bob = join("bob");
  EXPECT_TRUE(in_time([&] { return bob->status().state == LinkState::down; }));
  EXPECT_NE(bob->status().last_error, "");
}

TEST_F(EmbeddedFaults, ARelayThatDoesNotWorkFailsTheDial) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  hub->take_no_relays();
  const auto dialed = dial_in_time(*bob, to("web"));
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::link_lost);
  EXPECT_NE(dialed.error().failure.detail.find("alice"), std::string::npos);
}

TEST_F(EmbeddedFaults, AHostThatDoesNotComeToTheRelayTimesOut) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  hub->script([](const wire::MemberMessage& message, wire::HubMessage& answer) {
    if (message.has_connect()) {
      answer.mutable_ticket()->set_ticket("nobody else has.");
    }
    return message.has_connect();
  });
  DialOptions options = to("web");
  options.deadline = loop.now() + seconds(4);
  const auto dialed = dial_in_time(*bob, options);
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::timed_out);
}

TEST_F(EmbeddedFaults, AHostThatDoesNotOwnTheNameIsNotDialed) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  hub->give("web", std::string(32, 'x'));
  const auto dialed = dial(*bob, to("web"));
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::not_permitted);
  EXPECT_EQ(hub->tickets(), 0U);
}

TEST_F(EmbeddedFaults, AnotherMemberAtTheEndOfTheRelayIsRefused) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  // The hub says that another key hosts it, and leads to alice.
  hub->give("web", std::string(32, 'x'));
  hub->pretend(std::string(32, 'x'));
  const auto dialed = dial_in_time(*bob, to("web"));
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::not_permitted);
  EXPECT_TRUE(web.arrived->empty());
}

TEST_F(EmbeddedFaults, AMemberOfAnotherNetworkIsRefusedAtTheRelay) {
  const IdentityFile identity = network.identity("alice", {hub->address()});
  const auto alice = join(identity);
  const Hosted web = host(*alice, "web");
  // It trusts our network, has an offer that the hub should never have made, and its own key.
  const TestNetwork other;
  IdentityFile theirs = other.identity("bob", {hub->address()});
  theirs.certificate += identity.trust_bundle;
  theirs.trust_bundle = identity.trust_bundle;
  const auto intruder = *make_member(theirs, nullptr);
  wire::HubMessage event;
  event.mutable_offer()->set_ticket("the-offered-one.");
  event.mutable_offer()->set_member("bob");
  event.mutable_offer()->set_spki_sha256(intruder->self.peer.spki_sha256);
  hub->send_all(event);
  const auto path = run(loop, meet(loop, intruder, hub->endpoint(), "the-offered-one.",
                                   *spki_of(identity.certificate), net::TlsRole::client));
  // The refusal of a TLS 1.3 client's certificate arrives with its first read.
  if (path) {
    EXPECT_FALSE(run(loop, read_to_end(path->transport)));
  }
  EXPECT_TRUE(web.arrived->empty());
}

TEST_F(EmbeddedFaults, AHubOfAnotherNetworkIsRefused) {
  const TestNetwork other;
  const auto stranger = join(other.identity("carol", {hub->address()}));
  ASSERT_TRUE(run_until(loop, [&] { return stranger->status().state == LinkState::down; }));
  EXPECT_NE(stranger->status().last_error.find("certificate"), std::string::npos)
      << stranger->status().last_error;
}

TEST_F(EmbeddedFaults, AMemberIsNotTakenForTheHub) {
  const IdentityFile plain = network.identity("mallory", {"hub.invalid:1"});
  const ScriptedHub imposter(loop, plain);
  const auto bob = join(network.identity("bob", {imposter.address()}));
  ASSERT_TRUE(run_until(loop, [&] { return bob->status().state == LinkState::down; }));
  EXPECT_NE(bob->status().last_error.find("not a hub"), std::string::npos);
}

TEST_F(EmbeddedFaults, TheNextAddressOfTheHubIsTried) {
  const auto dead = [&] {
    const auto taken = std::move(*net::listen_tcp(loop, {.host = "127.0.0.1", .port = 0}));
    return net::to_string(taken->endpoint());
  }();
  const auto bob = join(network.identity("bob", {dead, hub->address()}));
  until_up(*bob);
}

TEST_F(EmbeddedFaults, OffersThatMakeNoSenseAreIgnored) {
  const auto alice = join("alice");
  const Hosted web = host(*alice, "web");
  wire::HubMessage event;
  event.mutable_offer()->set_ticket("short");
  event.mutable_offer()->set_spki_sha256(std::string(32, 'x'));
  hub->send_all(event);
  event.mutable_offer()->set_ticket(std::string(16, 't'));
  event.mutable_offer()->set_spki_sha256("short");
  hub->send_all(event);
  event.Clear();
  hub->send_all(event);
  event.set_id(4711);
  event.mutable_done();
  hub->send_all(event);
  works(*alice, web, "web");
  EXPECT_EQ(hub->connections(), 1);
}

TEST_F(EmbeddedFaults, MoreOffersOfOneKeyThanItMayHoldAreIgnored) {
  const auto alice = join("alice");
  until_up(*alice);
  constexpr int kOffers = 200;
  for (int i = 0; i < kOffers; ++i) {
    wire::HubMessage event;
    std::string ticket = std::to_string(i);
    ticket.resize(kTicketBytes, '-');
    event.mutable_offer()->set_ticket(ticket);
    event.mutable_offer()->set_spki_sha256(std::string(32, 'x'));
    hub->send_all(event);
  }
  ASSERT_TRUE(run_until(loop, [&] { return hub->connections() >= 129; }));
  in_time([] { return false; }, seconds(1));
  EXPECT_EQ(hub->connections(), 129);
}

TEST_F(EmbeddedFaults, TwoProcessesMayHoldOneIdentity) {
  const IdentityFile identity = network.identity("alice", {hub->address()});
  const auto first = join(identity);
  const auto second = join(identity);
  const auto bob = join("bob");
  Hosted here = host(*first, "web");
  const Hosted there = host(*second, "web");
  here.listener.reset();
  works(*bob, there, "web");
  // And one reaches the other.
  const Dialed dialed = connect(*first, to("web"));
  EXPECT_EQ(dialed.path, "relay");
}

TEST_F(EmbeddedFaults, AServiceThatMovedIsFoundByTheNextDial) {
  const IdentityFile identity = network.identity("alice", {hub->address()});
  const auto first = join(identity);
  const auto second = join(identity);
  const auto bob = join("bob");
  Hosted here = host(*first, "web");
  works(*bob, here, "web");
  const Hosted there = host(*second, "web");
  here.listener.reset();
  EXPECT_EQ(refusal(*bob, to("web")).failure.code, Errc::not_hosted);
  works(*bob, there, "web");
}

TEST_F(EmbeddedFaults, AHostThatVanishedIsReplacedWithinTheDial) {
  const IdentityFile identity = network.identity("alice", {hub->address()});
  auto first = join(identity);
  const auto second = join(identity);
  const auto bob = join("bob");
  const Hosted here = host(*first, "web");
  works(*bob, here, "web");
  const Hosted there = host(*second, "web");
  first.reset();
  ASSERT_TRUE(run_until(loop, [&] { return hub->members() == 2; }));
  in_time([] { return false; }, seconds(0));
  works(*bob, there, "web");
}

TEST_F(EmbeddedFaults, DialsAtOnceShareOneSession) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  std::vector<std::shared_ptr<std::optional<DialResult>>> dials;
  for (int i = 0; i < 600; ++i) {  // more than a session lets be unanswered
    dials.push_back(start(loop, bob->dial(loop, to("web"))));
  }
  ASSERT_TRUE(in_time([&] {
    return std::ranges::all_of(dials, [](const auto& dial) { return dial->has_value(); });
  }));
  for (const auto& dialing : dials) {
    EXPECT_TRUE(**dialing) << (**dialing).error().failure.message();
  }
  EXPECT_EQ(hub->tickets(), 1U);
}

TEST_F(EmbeddedFaults, AnIdleSessionEndsAndTheNextDialMakesANewOne) {
  const auto alice = join("alice");
  const auto bob = join("bob");
  const Hosted web = host(*alice, "web");
  works(*bob, web, "web");
  EXPECT_EQ(hub->tickets(), 1U);
  in_time([] { return false; }, std::chrono::minutes(7));
  works(*bob, web, "web");
  EXPECT_EQ(hub->tickets(), 2U);
}

TEST_F(EmbeddedFaults, ANameThatWasTakenMeanwhileIsAskedForAgain) {
  const std::uint16_t port = hub->endpoint().port;
  const auto alice = join("alice");
  const Hosted web = host(*alice, "web");
  hub.reset();
  ASSERT_TRUE(run_until(loop, [&] { return alice->status().state == LinkState::down; }));
  hub = std::make_unique<ScriptedHub>(loop, network, port);
  hub->give("web", std::string(32, 'x'));
  ASSERT_TRUE(in_time([&] { return web.listener->status().state == LinkState::down; }));
  EXPECT_NE(web.listener->status().last_error.find("belongs"), std::string::npos);
  // Not ours, so not short-circuited either.
  EXPECT_EQ(refusal(*alice, to("web")).failure.code, Errc::not_hosted);
  hub->release("web");
  ASSERT_TRUE(in_time([&] { return web.listener->status().state == LinkState::up; }));
  works(*alice, web, "web");
}

TEST_F(EmbeddedFaults, ACertificateThatEndsSoonIsTold) {
  const auto soon = std::chrono::system_clock::now() + std::chrono::hours(48);
  const auto alice = join(network.identity("alice", {hub->address()}, {.not_after = soon}));
  until_up(*alice);
  EXPECT_NE(alice->status().last_error.find("certificate ends on"), std::string::npos);
}

TEST_F(EmbeddedFaults, WordsOfTheHubCarryNoControlCharacters) {
  const auto bob = join("bob");
  until_up(*bob);
  hub->script([](const wire::MemberMessage& message, wire::HubMessage& answer) {
    if (message.has_resolve()) {
      answer.mutable_failed()->set_code(to_wire(make_error_code(Errc::not_hosted)));
      answer.mutable_failed()->set_detail("\x1b[2Jforged\nline");
    }
    return message.has_resolve();
  });
  EXPECT_EQ(refusal(*bob, to("web")).failure.detail, "\"web\": ?[2Jforged?line");
}

TEST_F(EmbeddedFaults, AnIdentityThatDoesNotWorkIsRefused) {
  const auto make = [&](const IdentityFile& identity) {
    return make_embedded_network(loop, {.identity = identity, .loops = {&loop}, .budget = nullptr})
        .status()
        .code();
  };
  IdentityFile identity = network.identity("alice", {});
  EXPECT_EQ(make(identity), absl::StatusCode::kInvalidArgument);
  identity.addresses = {"no address"};
  EXPECT_EQ(make(identity), absl::StatusCode::kInvalidArgument);
  identity.addresses = {hub->address()};
  identity.private_key = *make_private_key();
  EXPECT_EQ(make(identity), absl::StatusCode::kInvalidArgument);
  identity.certificate = "?";
  EXPECT_EQ(make(identity), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace simplon::overlay::test
