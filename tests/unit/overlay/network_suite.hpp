// What every kind of network must do, as one suite over a world of members
// (network_suite_test.cpp).
//
// To add a kind: instantiate NetworkSuite with a NetworkKind in a test file of its own. It runs on
// one loop and a clock that only moves when the test says so.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "overlay/network.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::test {

using base::Errc;
using base::Hop;
using net::test::pattern;
using net::test::read_count;
using net::test::read_to_end;
using net::test::run;
using net::test::run_until;
using net::test::send;
using net::test::start;

/// Keeps what the networks of one test need (a directory, a hub) until the test ends.
class NetworkWorld {
 public:
  virtual ~NetworkWorld() = default;
  /// A member, which may still be connecting. May run the loop.
  virtual std::unique_ptr<Network> join(std::string name, bool may_run_frontends) = 0;
};

/// What a kind of network promises, where kinds differ.
struct NetworkPromises {
  /// dial() returns before the host has answered, and bytes go ahead of the answer. Otherwise it
  /// returns with the answer, and what the host rejects may come to it again.
  bool early = true;
  /// A name belongs to the first who hosted it. Otherwise several members may host one.
  bool claims = true;
  /// The right to run frontends is proven by the member's identity. Otherwise it is what the dialer
  /// says.
  bool proves_frontends = true;
  /// A reset tells its reason.
  bool reasons = true;
  /// A member knows its name before it is connected.
  bool named_from_start = true;
  Hop authority = Hop::hub;            ///< who knows which services there are
  std::string own_path = "local";      ///< to a service of one's own
  std::string no_name = "Not a name";  ///< what no service can be called
};

struct NetworkKind {
  std::string name;
  std::string kind;  ///< of Network::kind()
  std::string path;  ///< between two members
  std::function<std::unique_ptr<NetworkWorld>(net::Loop&)> make;
  NetworkPromises promises = {};
};

inline void PrintTo(const NetworkKind& kind, std::ostream* to) { *to << kind.name; }
inline std::string name_of_network(const testing::TestParamInfo<NetworkKind>& info) {
  return info.param.name;
}

/// A service whose streams wait here until the test answers them.
struct Hosted {
  std::unique_ptr<Listener> listener;
  std::shared_ptr<std::vector<std::unique_ptr<Inbound>>> arrived =
      std::make_shared<std::vector<std::unique_ptr<Inbound>>>();
};

using DialResult = std::expected<Dialed, Refusal>;
/// A dial that may not have returned yet.
using Call = std::shared_ptr<std::optional<DialResult>>;

/// Both ends of a stream that the host has accepted.
struct Met {
  Dialed dialed;
  std::unique_ptr<Inbound> inbound;
};

/// What the tests of networks do, on the test's loop.
class NetworkBench {
 public:
  NetworkBench() : loop(clock) {}

  std::expected<Hosted, base::Failure> try_host(Network& network, const std::string& service,
                                                bool allow_frontends = false) {
    Hosted out;
    auto listener =
        run(loop, network.listen({.service = service, .allow_frontends = allow_frontends},
                                 [to = out.arrived](std::unique_ptr<Inbound> inbound) {
                                   to->push_back(std::move(inbound));
                                 }));
    if (!listener) {
      return std::unexpected(listener.error());
    }
    out.listener = std::move(*listener);
    EXPECT_TRUE(run_until(loop, [&] { return out.listener->status().state == LinkState::up; }))
        << out.listener->status().last_error;
    return out;
  }
  Hosted host(Network& network, const std::string& service, bool allow_frontends = false) {
    auto out = try_host(network, service, allow_frontends);
    EXPECT_TRUE(out) << out.error().message();
    return out ? std::move(*out) : Hosted{};
  }

  DialOptions to(std::string service, StreamKind kind = StreamKind::http) {
    return {.service = std::move(service),
            .kind = kind,
            .connection_id = "c-1",
            .on_behalf_of = {},
            .frontend = false,
            .deadline = loop.now() + std::chrono::seconds(10)};
  }
  DialResult dial(Network& network, DialOptions options) {
    return run(loop, network.dial(loop, std::move(options)));
  }
  /// A dial that works without the host's answer.
  Dialed connect(Network& network, DialOptions options) {
    auto out = dial(network, std::move(options));
    EXPECT_TRUE(out) << out.error().failure.message();
    return out ? std::move(*out) : Dialed{};
  }
  /// Starts a dial; what the host does meanwhile is the test's.
  Call begin(Network& network, DialOptions options) {
    return start(loop, network.dial(loop, std::move(options)));
  }
  /// Its stream, once the dial has returned.
  Dialed finish(const Call& call) {
    const bool returned = run_until(loop, [&] { return call->has_value(); });
    EXPECT_TRUE(returned);
    if (!returned || !**call) {
      ADD_FAILURE() << (returned ? (**call).error().failure.message() : "");
      return {};
    }
    return ***call;
  }
  /// The host takes the stream.
  Met connect_both(const Hosted& hosted, Network& network, DialOptions options) {
    const Call call = begin(network, std::move(options));
    auto inbound = arrival(hosted);
    EXPECT_NE(inbound, nullptr);
    if (inbound == nullptr) {
      return {};
    }
    inbound->accept();
    Met out{.dialed = finish(call), .inbound = std::move(inbound)};
    if (out.dialed.status) {
      EXPECT_EQ(answer_of(out.dialed), OpenStatus::State::accepted);
    }
    return out;
  }
  /// How a dial ends whose streams the host treats so, each time that one arrives.
  Refusal refused_by(const Hosted& hosted, const Call& call,
                     const std::function<void(Inbound&)>& treat) {
    const bool over = run_until(loop, [&] {
      for (const auto& inbound : std::exchange(*hosted.arrived, {})) {
        treat(*inbound);
      }
      return call->has_value() &&
             (!**call || (***call).status->state() != OpenStatus::State::pending);
    });
    EXPECT_TRUE(over);
    if (!over || (**call && (***call).status->state() == OpenStatus::State::accepted)) {
      ADD_FAILURE() << "not refused";
      return {};
    }
    return **call ? (***call).status->refusal() : (**call).error();
  }
  std::unique_ptr<Inbound> arrival(const Hosted& hosted) {
    if (!run_until(loop, [&] { return !hosted.arrived->empty(); })) {
      return nullptr;
    }
    auto out = std::move(hosted.arrived->front());
    hosted.arrived->erase(hosted.arrived->begin());
    return out;
  }
  OpenStatus::State answer_of(const Dialed& dialed) {
    return run(loop, dialed.status->decided(loop, net::TimePoint::max()));
  }
  /// How a dial that does not work ends: at once, or with the host's answer.
  Refusal refusal(Network& network, DialOptions options) {
    auto out = dial(network, std::move(options));
    if (!out) {
      return out.error();
    }
    EXPECT_EQ(answer_of(*out), OpenStatus::State::refused);
    return out->status->refusal();
  }

  base::ManualClock clock;
  net::Loop loop;
};

class NetworkSuite : public testing::TestWithParam<NetworkKind>, protected NetworkBench {
 protected:
  const NetworkPromises& promises() const { return GetParam().promises; }
  bool early() const { return promises().early; }

  void SetUp() override {
    world = GetParam().make(loop);
    alice = world->join("alice", false);
    bob = world->join("bob", true);
  }

  std::unique_ptr<NetworkWorld> world;
  std::unique_ptr<Network> alice;  // hosts
  std::unique_ptr<Network> bob;    // dials, and may run frontends
};

}  // namespace simplon::overlay::test
