// Every kind of network instantiates these tests in a file of its own.
#include "unit/overlay/network_suite.hpp"

namespace simplon::overlay::test {
namespace {

TEST_P(NetworkSuite, AMemberKnowsItsNameAndThatItIsConnected) {
  EXPECT_EQ(alice->self(), promises().named_from_start ? "alice" : "");
  EXPECT_EQ(alice->kind(), GetParam().kind);
  EXPECT_TRUE(run_until(loop, [&] { return alice->status().state == LinkState::up; }));
  EXPECT_EQ(alice->self(), "alice");
  EXPECT_EQ(alice->status().last_error, "");
}

TEST_P(NetworkSuite, BytesGoBothWaysAndTheHostKnowsWhoDialed) {
  const Hosted web = host(*alice, "web");
  const Call call = begin(*bob, to("web"));
  if (early()) {
    EXPECT_TRUE(run(loop, send(finish(call).stream, "question")));
  }
  const auto inbound = arrival(web);
  ASSERT_NE(inbound, nullptr);
  EXPECT_EQ(inbound->from().peer.name, "bob");
  EXPECT_EQ(inbound->from().may_run_frontends, promises().proves_frontends);
  if (early()) {
    EXPECT_EQ(run(loop, read_count(inbound->stream(), 8)), "question");
  }
  inbound->accept();
  const Dialed dialed = finish(call);
  ASSERT_NE(dialed.stream, nullptr);
  EXPECT_EQ(dialed.path, GetParam().path);
  if (!early()) {
    EXPECT_TRUE(run(loop, send(dialed.stream, "question")));
    EXPECT_EQ(run(loop, read_count(inbound->stream(), 8)), "question");
  }
  EXPECT_TRUE(run(loop, send(inbound->stream(), "answer")));
  EXPECT_EQ(run(loop, read_count(dialed.stream, 6)), "answer");
}

TEST_P(NetworkSuite, KindIdAndClientReachTheHost) {
  const Hosted web = host(*alice, "web");
  for (const StreamKind kind :
       {StreamKind::http, StreamKind::raw, StreamKind::probe, StreamKind::control}) {
    DialOptions options = to("web", kind);
    options.connection_id = "c-" + std::string(to_string(kind));
    options.on_behalf_of = "192.0.2.7:4711";
    const Call call = begin(*bob, options);
    const auto inbound = arrival(web);
    ASSERT_NE(inbound, nullptr);
    EXPECT_EQ(inbound->kind(), kind);
    EXPECT_EQ(inbound->connection_id(), options.connection_id);
    EXPECT_EQ(inbound->on_behalf_of(), "192.0.2.7:4711");
    inbound->accept();
    EXPECT_NE(finish(call).stream, nullptr);
  }
}

TEST_P(NetworkSuite, NobodySaysThatTheHostTookItBeforeItDid) {
  const Hosted web = host(*alice, "web");
  const Call call = begin(*bob, to("web", StreamKind::raw));
  const auto inbound = arrival(web);
  ASSERT_NE(inbound, nullptr);
  if (early()) {
    EXPECT_EQ(finish(call).status->state(), OpenStatus::State::pending);
  } else {
    EXPECT_FALSE(call->has_value());
  }
  inbound->accept();
  EXPECT_EQ(answer_of(finish(call)), OpenStatus::State::accepted);
}

TEST_P(NetworkSuite, ARejectionArrivesWithItsReason) {
  const Hosted web = host(*alice, "web");
  const Call call = begin(*bob, to("web", StreamKind::raw));
  const Refusal refusal = refused_by(web, call, [](Inbound& inbound) {
    inbound.reject({.failure = {.hop = Hop::target,
                                .code = Errc::target_refused,
                                .detail = "nothing listens on port 80"},
                    .not_processed = true});
  });
  EXPECT_EQ(refusal.failure.hop, Hop::target);
  EXPECT_EQ(refusal.failure.code, Errc::target_refused);
  EXPECT_EQ(refusal.failure.detail, "nothing listens on port 80");
  EXPECT_TRUE(refusal.not_processed);
  if (early()) {
    const auto read = run(loop, read_to_end(finish(call).stream));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error(), Errc::target_refused);
  }
}

TEST_P(NetworkSuite, AStreamThatTheHostDropsIsRefused) {
  const Hosted web = host(*alice, "web");
  const Call call = begin(*bob, to("web"));
  EXPECT_EQ(refused_by(web, call, [](Inbound&) {}).failure.code, Errc::host_refused);
}

TEST_P(NetworkSuite, AHostThatDoesNotAnswerTimesOut) {
  const Hosted web = host(*alice, "web");
  DialOptions options = to("web");
  if (!early()) {
    options.deadline = loop.now() + std::chrono::seconds(3);
  }
  const Call call = begin(*bob, options);
  const auto inbound = arrival(web);
  ASSERT_NE(inbound, nullptr);
  std::shared_ptr<std::optional<OpenStatus::State>> state;
  if (early()) {
    state = start(loop, finish(call).status->decided(loop, loop.now() + std::chrono::seconds(3)));
  }
  clock.advance(std::chrono::seconds(3));
  ASSERT_TRUE(run_until(loop, [&] { return call->has_value() && (!state || state->has_value()); }));
  if (early()) {
    EXPECT_EQ(**state, OpenStatus::State::refused);
  }
  const Refusal refusal = early() ? finish(call).status->refusal() : (**call).error();
  EXPECT_EQ(refusal.failure.code, Errc::timed_out);
}

// An hour, while sessions ping and those without streams end.
TEST_P(NetworkSuite, AQuietStreamLivesOn) {
  const Hosted web = host(*alice, "web");
  const auto [dialed, inbound] = connect_both(web, *bob, to("web"));
  ASSERT_NE(inbound, nullptr);
  for (int i = 0; i < 720; ++i) {
    clock.advance(std::chrono::seconds(5));
    net::test::settle(loop);
  }
  EXPECT_TRUE(run(loop, send(dialed.stream, "still here?")));
  EXPECT_EQ(run(loop, read_count(inbound->stream(), 11)), "still here?");
  EXPECT_TRUE(run(loop, send(inbound->stream(), "yes")));
  EXPECT_EQ(run(loop, read_count(dialed.stream, 3)), "yes");
}

TEST_P(NetworkSuite, EachDirectionEndsByItself) {
  const Hosted web = host(*alice, "web");
  const Call call = begin(*bob, to("web"));
  if (early()) {
    EXPECT_TRUE(run(loop, send(finish(call).stream, "request", true)));
  }
  const auto inbound = arrival(web);
  ASSERT_NE(inbound, nullptr);
  inbound->accept();
  const Dialed dialed = finish(call);
  ASSERT_NE(dialed.stream, nullptr);
  if (!early()) {
    EXPECT_TRUE(run(loop, send(dialed.stream, "request", true)));
  }
  EXPECT_EQ(run(loop, read_to_end(inbound->stream())), "request");
  const std::string response = pattern(700'000);
  const auto sent = start(loop, send(inbound->stream(), response, true));
  EXPECT_TRUE(run(loop, read_to_end(dialed.stream)) == response);
}

TEST_P(NetworkSuite, AResetShowsAtTheOtherEnd) {
  const Hosted web = host(*alice, "web");
  const auto [dialed, inbound] = connect_both(web, *bob, to("web"));
  ASSERT_NE(inbound, nullptr);
  inbound->stream()->reset(Errc::timed_out);
  const auto read = run(loop, read_to_end(dialed.stream));
  ASSERT_FALSE(read);
  if (promises().reasons) {
    EXPECT_EQ(read.error(), Errc::timed_out);
  }
}

TEST_P(NetworkSuite, AServiceThatNobodyEverSharedDoesNotExist) {
  const Refusal refused = refusal(*bob, to("nothing"));
  EXPECT_EQ(refused.failure.code, Errc::no_such_service);
  EXPECT_EQ(refused.failure.hop, promises().authority);
  EXPECT_TRUE(refused.not_processed);
}

TEST_P(NetworkSuite, AWithdrawnServiceIsHostedByNobody) {
  host(*alice, "web").listener.reset();
  // The withdrawal and the dial take different ways to the hub.
  EXPECT_TRUE(run_until(loop, [&] {
    const Refusal refused = refusal(*bob, to("web"));
    EXPECT_TRUE(refused.not_processed);
    return refused.failure.code == Errc::not_hosted;
  }));
}

TEST_P(NetworkSuite, AWithdrawnServiceRefusesThoseWhoFoundItBefore) {
  Hosted web = host(*alice, "web");
  const auto [before, inbound] = connect_both(web, *bob, to("web"));
  ASSERT_NE(inbound, nullptr);
  web.listener.reset();
  EXPECT_EQ(refusal(*bob, to("web")).failure.code, Errc::not_hosted);
  // What was delivered lives on.
  EXPECT_TRUE(run(loop, send(before.stream, "still")));
  EXPECT_EQ(run(loop, read_count(inbound->stream(), 5)), "still");
}

TEST_P(NetworkSuite, AServiceComesBackUnderItsName) {
  host(*alice, "web").listener.reset();
  EXPECT_NE(refusal(*bob, to("web")).failure.code, Errc::no_such_service);
  const Hosted again = host(*alice, "web");
  EXPECT_NE(connect_both(again, *bob, to("web")).inbound, nullptr);
}

TEST_P(NetworkSuite, ANameBelongsToTheFirstWhoHostedIt) {
  host(*alice, "web").listener.reset();
  EXPECT_TRUE(run_until(loop, [&] { return bob->status().state == LinkState::up; }));
  const auto taken = try_host(*bob, "web");
  if (!promises().claims) {
    EXPECT_TRUE(taken) << taken.error().message();
    return;
  }
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::not_permitted);
  EXPECT_EQ(taken.error().hop, Hop::hub);
  EXPECT_NE(taken.error().detail, "");
}

TEST_P(NetworkSuite, AMemberHostsANameOnce) {
  const Hosted web = host(*alice, "web");
  const auto again = try_host(*alice, "web");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::already_exists);
}

TEST_P(NetworkSuite, NotEveryTextIsAName) {
  EXPECT_TRUE(alice->allows_service("web"));
  EXPECT_FALSE(alice->allows_service(promises().no_name));
  const auto hosted = try_host(*alice, promises().no_name);
  ASSERT_FALSE(hosted);
  EXPECT_EQ(hosted.error().code, Errc::invalid_argument);
  EXPECT_EQ(refusal(*bob, to(promises().no_name)).failure.code, Errc::no_such_service);
}

TEST_P(NetworkSuite, FrontendsReachPublicServicesOnly) {
  const Hosted open = host(*alice, "open", true);
  const Hosted closed = host(*alice, "closed");
  DialOptions options = to("open");
  options.frontend = true;
  EXPECT_NE(connect_both(open, *bob, options).inbound, nullptr);
  options.service = "closed";
  const Refusal refused = refusal(*bob, options);
  EXPECT_EQ(refused.failure.code, Errc::not_permitted);
  EXPECT_TRUE(refused.not_processed);
  EXPECT_TRUE(closed.arrived->empty());
}

TEST_P(NetworkSuite, AFrontendNeedsTheRight) {
  const Hosted open = host(*bob, "open", true);
  DialOptions options = to("open");
  options.frontend = true;
  if (!promises().proves_frontends) {
    const auto met = connect_both(open, *alice, options);
    ASSERT_NE(met.inbound, nullptr);
    EXPECT_TRUE(met.inbound->from().may_run_frontends);
    return;
  }
  EXPECT_EQ(refusal(*alice, options).failure.code, Errc::not_permitted);
  EXPECT_TRUE(open.arrived->empty());
}

TEST_P(NetworkSuite, ADeadlineThatPassedFailsTheDial) {
  const Hosted web = host(*alice, "web");
  DialOptions options = to("web");
  options.deadline = loop.now();
  const Refusal refused = refusal(*bob, options);
  EXPECT_EQ(refused.failure.code, Errc::timed_out);
  EXPECT_EQ(refused.failure.hop, Hop::overlay);
  EXPECT_TRUE(refused.not_processed);
}

TEST_P(NetworkSuite, DialsAtOnceDoNotMixUp) {
  const Hosted web = host(*alice, "web");
  constexpr std::size_t kDials = 40;
  std::vector<Call> dials;
  for (std::size_t i = 0; i < kDials; ++i) {
    DialOptions options = to("web");
    options.connection_id = std::to_string(i);
    dials.push_back(begin(*bob, options));
  }
  const auto ask_all = [&] {
    for (std::size_t i = 0; i < kDials; ++i) {
      const Dialed dialed = finish(dials[i]);
      ASSERT_NE(dialed.stream, nullptr);
      EXPECT_TRUE(run(loop, send(dialed.stream, std::to_string(i), true)));
    }
  };
  if (early()) {
    ask_all();
  }
  std::vector<std::unique_ptr<Inbound>> inbounds;
  for (std::size_t i = 0; i < kDials; ++i) {
    inbounds.push_back(arrival(web));
    ASSERT_NE(inbounds.back(), nullptr);
    inbounds.back()->accept();
  }
  if (!early()) {
    ask_all();
  }
  for (const auto& inbound : inbounds) {
    EXPECT_EQ(run(loop, read_to_end(inbound->stream())), inbound->connection_id());
    EXPECT_TRUE(run(loop, send(inbound->stream(), "to " + inbound->connection_id(), true)));
  }
  for (std::size_t i = 0; i < kDials; ++i) {
    EXPECT_EQ(run(loop, read_to_end((**dials[i])->stream)), "to " + std::to_string(i));
  }
}

TEST_P(NetworkSuite, AMemberReachesItsOwnService) {
  const Hosted web = host(*alice, "web");
  const auto [dialed, inbound] = connect_both(web, *alice, to("web"));
  ASSERT_NE(inbound, nullptr);
  EXPECT_EQ(dialed.path, promises().own_path);
  EXPECT_EQ(inbound->from().peer.name, "alice");
  const std::string sent = pattern(300'000);
  const auto sending = start(loop, send(inbound->stream(), sent, true));
  EXPECT_TRUE(run(loop, read_to_end(dialed.stream)) == sent);
}

TEST_P(NetworkSuite, StreamsOutliveTheirNetworks) {
  Hosted web = host(*alice, "web");
  const auto [dialed, inbound] = connect_both(web, *bob, to("web"));
  ASSERT_NE(inbound, nullptr);
  bob.reset();
  web.listener.reset();
  alice.reset();
  const std::string text = pattern(200'000);
  const auto sent = start(loop, send(inbound->stream(), text, true));
  EXPECT_TRUE(run(loop, read_to_end(dialed.stream)) == text);
}

TEST_P(NetworkSuite, ANetworkMayGoWhileItDials) {
  const Hosted web = host(*alice, "web");
  const Call dialing = begin(*bob, to("web"));
  bob.reset();
  ASSERT_TRUE(run_until(loop, [&] {
    for (const auto& inbound : *web.arrived) {
      inbound->accept();
    }
    return dialing->has_value();
  }));
  if (!**dialing) {
    EXPECT_EQ((**dialing).error().failure.code, Errc::link_lost);
  }
}

TEST_P(NetworkSuite, AListenerMayOutliveItsNetwork) {
  const Hosted web = host(*alice, "web");
  alice.reset();
  EXPECT_TRUE(run_until(loop, [&] {
    const Errc code = static_cast<Errc>(refusal(*bob, to("web")).failure.code.value());
    return code == Errc::not_hosted || code == Errc::link_lost;
  }));
}

}  // namespace
}  // namespace simplon::overlay::test
