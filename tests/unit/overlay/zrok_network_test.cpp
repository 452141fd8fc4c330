#include "overlay/zrok/zrok_network.hpp"

#include <gmock/gmock.h>

#include "overlay/memory/memory_network.hpp"
#include "unit/overlay/zrok_scripted_instance.hpp"

namespace simplon::overlay::zrok::test {
namespace {

using base::Errc;
using net::test::run;
using net::test::run_until;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

/// Keeps a dial waiting, and then tells it that there is no such service.
struct Held {
  explicit Held(net::Loop& loop) : gate(loop) {}
  net::Gate gate;
  bool reached = false;
};

/// The network below: one in memory, in which a service exists once its share does.
class Below final : public ziti::ZitiNetwork {
 public:
  Below(std::shared_ptr<MemoryDirectory> directory, const ScriptedInstance& instance)
      : memory_(make_memory_network(std::move(directory), "environment")), instance_(instance) {}
  std::string_view kind() const override { return "ziti"; }
  std::string self() const override { return memory_->self(); }
  LinkStatus status() const override { return memory_->status(); }
  void on_change(std::function<void()> changed) override { memory_->on_change(std::move(changed)); }
  ziti::ZitiDetails details() const override { return {}; }
  std::function<net::awaitable<void>(CheckReport)> checks() const override { return {}; }
  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    return held != nullptr ? refuse_when(held) : dial_now(loop, std::move(options));
  }
  std::shared_ptr<Held> held;

  net::awaitable<std::expected<std::unique_ptr<Listener>, base::Failure>> listen(
      ListenOptions options, std::function<void(std::unique_ptr<Inbound>)> handler) override {
    if (!instance_.shares.contains(options.service)) {
      co_return std::unexpected(
          base::Failure{.code = Errc::no_such_service, .detail = "no such service"});
    }
    co_return co_await memory_->listen(std::move(options), std::move(handler));
  }

 private:
  static net::awaitable<std::expected<Dialed, Refusal>> refuse_when(std::shared_ptr<Held> at) {
    at->reached = true;
    co_await at->gate.wait_until();
    co_return std::unexpected(Refusal{.failure = {.code = Errc::no_such_service, .detail = ""}});
  }
  net::awaitable<std::expected<Dialed, Refusal>> dial_now(net::Loop& loop, DialOptions options) {
    const bool granted = std::ranges::any_of(
        instance_.accesses, [&](const auto& one) { return one.second.share == options.service; });
    if (!granted) {
      co_return std::unexpected(Refusal{.failure = {.code = Errc::no_such_service, .detail = ""}});
    }
    co_return co_await memory_->dial(loop, std::move(options));
  }

  const std::unique_ptr<Network> memory_;
  const ScriptedInstance& instance_;
};

class ZrokNetworkTest : public testing::Test {
 protected:
  std::unique_ptr<ZrokNetwork> join(std::shared_ptr<Held> held = nullptr) {
    Options options{.membership = membership,
                    .loops = {&loop},
                    .trust_roots = instance.authority.root(),
                    .linger = milliseconds(30),
                    .sweep_after = milliseconds(150),
                    .first_retry = milliseconds(5)};
    auto below = std::make_unique<Below>(make_memory_directory(), instance);
    below->held = std::move(held);
    return make_zrok_network(loop, std::move(options), std::move(below)).value();
  }
  std::expected<std::unique_ptr<Listener>, base::Failure> listen(ZrokNetwork& network,
                                                                 ListenOptions options) {
    return run(loop, network.listen(std::move(options), [](std::unique_ptr<Inbound> inbound) {
      inbound->accept();
      inbound->stream()->close();
    }));
  }
  bool up(const Listener& listener) {
    return run_until(loop, [&] { return listener.status().state == LinkState::up; });
  }
  std::expected<Dialed, Refusal> dial(ZrokNetwork& network, const std::string& share) {
    return run(loop, network.dial(loop, {.service = share,
                                         .connection_id = "c",
                                         .deadline = loop.now() + seconds(10)}));
  }

  net::Loop loop;
  ScriptedInstance instance{loop};
  const Membership membership = instance.membership();
};

TEST_F(ZrokNetworkTest, APrivateShareIsHostedUnderItsNameAndDialed) {
  const auto network = join();
  EXPECT_EQ(network->kind(), "zrok");
  const auto listener = listen(*network, {.service = "my-web"});
  ASSERT_TRUE(listener) << listener.error().message();
  ASSERT_TRUE(up(**listener));
  EXPECT_EQ((*listener)->known_as(), "");
  EXPECT_TRUE((*listener)->urls().empty());
  EXPECT_EQ(instance.shares.at("my-web").backend, "proxy");
  for (int i = 0; i < 3; ++i) {
    const auto dialed = dial(*network, "my-web");
    EXPECT_TRUE(dialed) << dialed.error().failure.message();
  }
  EXPECT_EQ(instance.count("POST /api/v2/access"), 1);
}

TEST_F(ZrokNetworkTest, APublicShareSaysWhereItIs) {
  const auto network = join();
  const auto named = listen(*network, {.service = "my-web", .allow_frontends = true});
  ASSERT_TRUE(named) << named.error().message();
  EXPECT_EQ((*named)->urls(), std::vector<std::string>{"https://my-web.share.example"});
  EXPECT_NE((*named)->known_as(), "");
  const auto any =
      listen(*network, {.service = "tunnel-7", .allow_frontends = true, .any_name = true});
  ASSERT_TRUE(any);
  EXPECT_EQ((*any)->urls(),
            std::vector<std::string>{"https://" + (*any)->known_as() + ".share.example"});
  EXPECT_EQ(instance.names, std::vector<std::string>{"my-web"});
  EXPECT_TRUE(up(**named) && up(**any));
}

TEST_F(ZrokNetworkTest, RawBytesAreAShareOfTheirOwnKind) {
  const auto network = join();
  ASSERT_TRUE(listen(*network, {.service = "database", .unsaid = StreamKind::raw}));
  EXPECT_EQ(instance.shares.at("database").backend, "tcpTunnel");
}

TEST_F(ZrokNetworkTest, AShareIsGivenUpAfterItsListener) {
  const auto network = join();
  auto listener = listen(*network, {.service = "my-web"});
  ASSERT_TRUE(listener && up(**listener));
  listener->reset();
  EXPECT_TRUE(run_until(loop, [&] { return instance.shares.empty(); }));
}

TEST_F(ZrokNetworkTest, AShareOfAProcessThatEndsStaysHoweverLongItDrains) {
  const auto network = join();
  auto deleted = listen(*network, {.service = "deleted"});
  auto kept = listen(*network, {.service = "kept"});
  ASSERT_TRUE(deleted && up(**deleted) && kept && up(**kept));
  deleted->reset();
  network->process_ends();
  kept->reset();
  ASSERT_TRUE(run_until(loop, [&] { return !instance.shares.contains("deleted"); }));
  EXPECT_TRUE(instance.shares.contains("kept"));
}

TEST_F(ZrokNetworkTest, AShareThatIsListenedToAgainIsKept) {
  const auto network = join();
  auto first = listen(*network, {.service = "web", .allow_frontends = true, .any_name = true});
  ASSERT_TRUE(first && up(**first));
  const auto urls = (*first)->urls();
  first->reset();
  const auto second =
      listen(*network, {.service = "web", .allow_frontends = true, .any_name = true});
  ASSERT_TRUE(second && up(**second));
  EXPECT_EQ((*second)->urls(), urls);
  EXPECT_EQ(instance.count("POST /api/v2/share"), 1);
}

TEST_F(ZrokNetworkTest, TheNextRunTakesOverWhatTheLastOneLeft) {
  std::vector<std::string> urls;
  {
    auto network = join();
    auto listener = listen(*network, {.service = "web", .allow_frontends = true, .any_name = true});
    ASSERT_TRUE(listener && up(**listener));
    urls = (*listener)->urls();
    listener->reset();
    network.reset();  // before the share is given up, as at the end of an agent
  }
  ASSERT_EQ(instance.shares.size(), 1U);
  const auto network = join();
  const auto listener =
      listen(*network, {.service = "web", .allow_frontends = true, .any_name = true});
  ASSERT_TRUE(listener && up(**listener));
  EXPECT_EQ((*listener)->urls(), urls);
  EXPECT_EQ(instance.shares.size(), 1U);
}

TEST_F(ZrokNetworkTest, WhatNobodyTakesOverIsReleased) {
  instance.shares["left"] = {.environment = "env1", .mode = "private", .target = "simplon:old"};
  instance.shares["foreign"] = {.environment = "env1", .mode = "private", .target = "http://x"};
  instance.shares["others"] = {.environment = "env2", .mode = "private", .target = "simplon:old"};
  instance.accesses["old"] = {.environment = "env1", .share = "foreign", .description = "simplon"};
  instance.accesses["by-hand"] = {.environment = "env1", .share = "foreign", .description = "me"};
  const auto network = join();
  ASSERT_TRUE(dial(*network, "foreign").error().failure.code == Errc::not_hosted ||
              instance.accesses.size() == 3);
  EXPECT_TRUE(run_until(loop, [&] { return !instance.accesses.contains("old"); }));
  EXPECT_FALSE(instance.shares.contains("left"));
  EXPECT_TRUE(instance.shares.contains("foreign"));
  EXPECT_TRUE(instance.shares.contains("others"));
  EXPECT_EQ(instance.accesses.size(), 2U);
}

TEST_F(ZrokNetworkTest, AnotherKindOfShareOfTheSameServiceMakesRoom) {
  instance.shares["my-web"] = {.environment = "env1", .mode = "public", .target = "simplon:my-web"};
  const auto network = join();
  const auto listener = listen(*network, {.service = "my-web"});
  ASSERT_TRUE(listener) << listener.error().message();
  EXPECT_EQ(instance.shares.at("my-web").mode, "private");
}

TEST_F(ZrokNetworkTest, ANameOfOthersIsRefusedOnce) {
  instance.shares["my-web"] = {.environment = "env2", .mode = "private", .target = "http://x"};
  const auto network = join();
  const auto listener = listen(*network, {.service = "my-web"});
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::already_exists);
  EXPECT_THAT(listener.error().detail, HasSubstr("in use"));
  EXPECT_EQ(instance.count("POST /api/v2/share"), 1);
}

TEST_F(ZrokNetworkTest, ANameThatCannotBeIsRefused) {
  const auto network = join();
  EXPECT_EQ(listen(*network, {.service = "My_Web"}).error().code, Errc::invalid_argument);
  EXPECT_EQ(listen(*network, {.service = "ab"}).error().code, Errc::invalid_argument);
  EXPECT_TRUE(listen(*network, {.service = "My_Web", .any_name = true}));
}

TEST_F(ZrokNetworkTest, AnInstanceThatIsAwayIsAskedAgain) {
  bool away = true;
  instance.script = [&](const RestCall&) -> std::optional<RestReply> {
    return away ? std::optional(
                      RestReply{.status = 502, .body = "<html>", .content_type = "text/html"})
                : std::nullopt;
  };
  const auto network = join();
  const auto listener = listen(*network, {.service = "my-web"});
  ASSERT_TRUE(listener);
  EXPECT_EQ((*listener)->status().state, LinkState::down);
  EXPECT_THAT((*listener)->status().last_error, HasSubstr("HTTP 502"));
  away = false;
  EXPECT_TRUE(up(**listener));
}

TEST_F(ZrokNetworkTest, AShareThatIsUnknownIsToldSo) {
  const auto network = join();
  const auto dialed = dial(*network, "nobody");
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().failure.code, Errc::no_such_service);
  EXPECT_THAT(dialed.error().failure.detail, HasSubstr("refuses access"));
}

TEST_F(ZrokNetworkTest, WhatStrangersNameIsAskedForOnceAndFewAtATime) {
  auto network = join();
  const auto named = [&](const std::string& share) {
    return net::test::start(loop, network->dial(loop, {.service = share,
                                                       .connection_id = "c",
                                                       .deadline = loop.now() + seconds(10)}));
  };
  std::vector<decltype(named(""))> dials;
  for (int i = 0; i < 20; ++i) {
    dials.push_back(named("nobody"));
  }
  const auto all_told = [&] {
    return std::ranges::all_of(dials, [](const auto& dial) { return dial->has_value(); });
  };
  ASSERT_TRUE(run_until(loop, all_told));
  EXPECT_EQ(dial(*network, "nobody").error().failure.code, Errc::no_such_service);
  EXPECT_EQ(instance.count("POST /api/v2/access"), 1);
  instance.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.silent = true};
  };
  for (int i = 0; i < 20; ++i) {
    dials.push_back(named(absl::StrCat("nobody", i)));
  }
  ASSERT_TRUE(run_until(loop, [&] { return instance.count("POST /api/v2/access") == 5; }));
  network.reset();
  ASSERT_TRUE(run_until(loop, all_told));
  EXPECT_EQ(instance.count("POST /api/v2/access"), 5);
}

TEST_F(ZrokNetworkTest, AnAccessThatIsGoneIsNotMadeAgainAtOnce) {
  const auto network = join();
  const auto listener = listen(*network, {.service = "my-web"});
  ASSERT_TRUE(listener && up(**listener));
  ASSERT_TRUE(dial(*network, "my-web"));
  // At once it is not: somebody may be refusing us on purpose.
  instance.accesses.clear();
  EXPECT_FALSE(dial(*network, "my-web"));
  EXPECT_EQ(instance.count("POST /api/v2/access"), 1);
}

TEST_F(ZrokNetworkTest, ItIsRemovedWhileItWaits) {
  instance.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.silent = true};
  };
  auto network = join();
  const auto waiting = net::test::start(
      loop,
      network->dial(loop,
                    {.service = "x", .connection_id = "c", .deadline = loop.now() + seconds(10)}));
  ASSERT_TRUE(run_until(loop, [&] { return instance.count("POST /api/v2/access") == 1; }));
  instance.script = nullptr;
  const auto listener = net::test::start(loop, network->listen({.service = "my-web"}, {}));
  ASSERT_TRUE(run_until(loop, [&] { return listener->has_value(); }));
}

TEST_F(ZrokNetworkTest, ADialThatOutlivesTheNetworkIsRefused) {
  instance.shares["web"] = {.environment = "env2", .mode = "private", .target = "http://x"};
  const auto held = std::make_shared<Held>(loop);
  auto network = join(held);
  const auto dialed = net::test::start(
      loop,
      network->dial(
          loop, {.service = "web", .connection_id = "c", .deadline = loop.now() + seconds(10)}));
  ASSERT_TRUE(run_until(loop, [&] { return held->reached; }));
  network.reset();
  held->gate.open();
  ASSERT_TRUE(run_until(loop, [&] { return dialed->has_value(); }));
  ASSERT_FALSE(**dialed);
  EXPECT_EQ((**dialed).error().failure.code, Errc::link_lost);
}

}  // namespace
}  // namespace simplon::overlay::zrok::test
