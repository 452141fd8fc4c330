#include "agent/tunnel_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace simplon::agent {
namespace {

using testing::HasSubstr;

tunnel::Tunnel there_and_back(const tunnel::Tunnel& tunnel) {
  auto back = from_message(to_message(tunnel, nullptr));
  EXPECT_TRUE(back.ok()) << back.status();
  return back.ok() ? *back : tunnel::Tunnel{};
}

TEST(TunnelMessage, EveryKindOfSpecSurvivesTheWay) {
  tunnel::Tunnel tunnel;
  tunnel.name = "demo";
  tunnel.labels = {{"team", "web"}};
  for (const tunnel::Spec& spec :
       {tunnel::Spec(tunnel::Share{.service = "s",
                                   .overlay = "default",
                                   .target = "http://localhost:1",
                                   .open_to_frontends = true,
                                   .rewrite_host = "h"}),
        tunnel::Spec(tunnel::Access{.service = "s",
                                    .overlay = "o",
                                    .listen = "127.0.0.1:1",
                                    .protocol = tunnel::Protocol::tcp}),
        tunnel::Spec(tunnel::Access{.service = "s", .overlay = "", .listen = ""}),
        tunnel::Spec(
            tunnel::Frontend{.overlay = "o", .listen = "127.0.0.1:1", .zone = "localhost"})}) {
    tunnel.spec = spec;
    const auto back = there_and_back(tunnel);
    EXPECT_EQ(back.spec, spec);
    EXPECT_EQ(back.name, "demo");
    EXPECT_EQ(back.labels, tunnel.labels);
  }
}

TEST(TunnelMessage, ATunnelWithoutASpecNamesTheField) {
  const auto status = from_message({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("spec"));
}

TEST(TunnelMessage, AProtocolOfTheFutureIsRefused) {
  v1::Tunnel message;
  message.mutable_access()->set_protocol(static_cast<v1::Protocol>(77));
  const auto status = from_message(message).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("access.protocol"));
}

TEST(TunnelMessage, AStatusTellsItsHops) {
  tunnel::Status status{.phase = tunnel::Phase::degraded,
                        .message = "target: refused",
                        .url = "http://127.0.0.1:1",
                        .hops = {},
                        .counters = {}};
  status.hops.push_back({.name = tunnel::kTargetHop, .last_error = "connection refused"});
  status.hops.back().state = tunnel::HopState::down;
  status.counters.requests = 7;
  tunnel::Tunnel tunnel;
  tunnel.spec = tunnel::Share{};
  const v1::Tunnel message = to_message(tunnel, &status);
  EXPECT_EQ(message.status().phase(), v1::TunnelStatus::PHASE_DEGRADED);
  ASSERT_EQ(message.status().hops_size(), 1);
  EXPECT_EQ(message.status().hops(0).name(), "target");
  EXPECT_EQ(message.status().hops(0).state(), v1::TunnelStatus::Hop::STATE_DOWN);
  EXPECT_EQ(message.status().counters().requests(), 7U);
}

TEST(TunnelMessage, TimesBeforeTheEpochHavePositiveNanoseconds) {
  google::protobuf::Timestamp out;
  write_time(std::chrono::system_clock::time_point(std::chrono::milliseconds(-1)), out);
  EXPECT_EQ(out.seconds(), -1);
  EXPECT_EQ(out.nanos(), 999'000'000);
}

}  // namespace
}  // namespace simplon::agent
