// Channels of tests over a scripted fabric: a host with a binding, a dialer, and circuits between
// them. Owned by a test, on its thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sodium.h>

#include "overlay/ziti/channel.hpp"
#include "unit/net/harness.hpp"
#include "unit/overlay/ziti_scripted_router.hpp"

namespace simplon::overlay::ziti::test {

using net::test::run;
using net::test::run_until;
using net::test::settle;

using ChannelPtr = std::shared_ptr<Channel>;
using Arrived = std::vector<std::unique_ptr<IncomingDial>>;

inline std::expected<ChannelPtr, EdgeError> try_open(net::Loop& loop, ScriptedFabric& fabric,
                                                     const std::string& login,
                                                     const std::string& router = "router-1") {
  return run(loop, Channel::start(fabric.connect(router),
                                  {.router = {.name = router, .endpoint = {"127.0.0.1", 3022}},
                                   .tls = nullptr,
                                   .api_token = login,
                                   .client_name = "test",
                                   .deadline = loop.now() + std::chrono::seconds(15)}));
}

/// A dialer and a host on two channels, and the service "demo" that both know.
struct Circuits {
  explicit Circuits(net::Loop& on, bool encrypted = true) : loop(on), fabric(on) {
    EXPECT_GE(sodium_init(), 0);
    fabric.add_service("demo", encrypted);
    dialer = open("alice");
    host = open("bob");
  }

  ChannelPtr open(const std::string& login, const std::string& router = "router-1") {
    auto channel = try_open(loop, fabric, login, router);
    EXPECT_TRUE(channel) << channel.error().text;
    return channel ? *channel : nullptr;
  }

  BindRequest to_bind(bool encrypted = true) const {
    return {.session_token = ScriptedFabric::bind_token("demo"),
            .encrypted = encrypted,
            .listener_id = "listener-1",
            .deadline = loop.now() + std::chrono::seconds(15)};
  }
  std::expected<std::shared_ptr<Binding>, EdgeError> try_bind(BindRequest request) {
    return run(loop, host->bind(std::move(request), [this](std::unique_ptr<IncomingDial> dial) {
      arrived.push_back(std::move(dial));
    }));
  }
  void bind(bool encrypted = true) {
    auto bound = try_bind(to_bind(encrypted));
    ASSERT_TRUE(bound) << bound.error().text;
    binding = *bound;
    settle(loop);
  }

  DialRequest to_dial(bool encrypted = true) const {
    return {.session_token = ScriptedFabric::dial_token("demo"),
            .encrypted = encrypted,
            .caller = "alice's claim",
            .app_data = "{}",
            .terminator_identity = {},
            .marker = "marker",
            .deadline = loop.now() + std::chrono::seconds(15)};
  }
  using DialOutcome = std::expected<net::StreamPtr, EdgeError>;
  std::shared_ptr<std::optional<DialOutcome>> start_dial(bool encrypted = true) {
    auto outcome = net::test::start(loop, dialer->dial(to_dial(encrypted)));
    settle(loop);
    return outcome;
  }
  std::unique_ptr<IncomingDial> arrival() {
    if (!run_until(loop, [this] { return !arrived.empty(); })) {
      return nullptr;
    }
    auto out = std::move(arrived.front());
    arrived.erase(arrived.begin());
    return out;
  }
  /// A circuit: the dialer's end and the host's.
  std::pair<net::StreamPtr, net::StreamPtr> connect(bool encrypted = true) {
    const auto outcome = start_dial(encrypted);
    auto there = arrival()->accept();
    run_until(loop, [&] { return outcome->has_value(); });
    EXPECT_TRUE(**outcome) << (**outcome).error().text;
    settle(loop);
    return {**outcome ? ***outcome : nullptr, there};
  }

  net::Loop& loop;
  ScriptedFabric fabric;
  ChannelPtr dialer;
  ChannelPtr host;
  Arrived arrived;
  std::shared_ptr<Binding> binding;
};

}  // namespace simplon::overlay::ziti::test
