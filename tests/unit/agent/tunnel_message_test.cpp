#include "agent/tunnel_message.hpp"

#include <gmock/gmock.h>

namespace simplon::agent {
namespace {

using std::chrono::microseconds;
using std::chrono::system_clock;

tunnel::Tunnel round_trip(const tunnel::Tunnel& tunnel) {
  const auto back = from_message(to_message(tunnel, nullptr));
  EXPECT_TRUE(back.ok()) << back.status();
  return *back;
}

TEST(TunnelMessageTest, EverySpecComesBackAsItWent) {
  tunnel::Tunnel out{.name = "demo", .labels = {{"team", "web"}, {"empty", ""}}};
  for (const tunnel::Spec& spec :
       {tunnel::Spec(tunnel::Share{.service = "s",
                                   .overlay = "o",
                                   .target = "http://localhost:3000",
                                   .open_to_frontends = true,
                                   .rewrite_host = "app.internal"}),
        tunnel::Spec(tunnel::Access{.service = "s",
                                    .overlay = "o",
                                    .listen = "127.0.0.1:80",
                                    .protocol = tunnel::Protocol::tcp}),
        tunnel::Spec(tunnel::Access{.service = "s", .overlay = {}, .listen = {}}),
        tunnel::Spec(tunnel::Frontend{.overlay = "o", .listen = ":80", .zone = "example.org"})}) {
    out.spec = spec;
    const tunnel::Tunnel back = round_trip(out);
    EXPECT_EQ(back.spec, spec);
    EXPECT_EQ(back.name, out.name);
    EXPECT_EQ(back.labels, out.labels);
  }
}

TEST(TunnelMessageTest, ATunnelWithoutASpecOrWithAnUnknownProtocolIsRefused) {
  v1::Tunnel message;
  EXPECT_EQ(from_message(message).status().code(), absl::StatusCode::kInvalidArgument);
  message.mutable_access()->set_protocol(static_cast<v1::Protocol>(99));
  EXPECT_EQ(from_message(message).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(std::string(from_message(message).status().message()).starts_with("access.protocol"));
}

TEST(TunnelMessageTest, WhatTheAgentChoosesIsNotTakenFromTheCaller) {
  v1::Tunnel message;
  message.mutable_share()->set_target("3000");
  message.set_uid("mine");
  message.mutable_create_time()->set_seconds(1);
  const auto got = from_message(message);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->uid, "");
  EXPECT_EQ(got->create_time, system_clock::time_point{});
}

TEST(TunnelMessageTest, TheStatusIsToldWhole) {
  tunnel::Tunnel out{.name = "demo", .uid = "0123"};
  out.create_time = system_clock::time_point(microseconds(1'500'000));
  out.spec = tunnel::Access{.service = "s", .overlay = {}, .listen = "127.0.0.1:9191"};
  tunnel::Status status{.phase = tunnel::Phase::degraded,
                        .message = "overlay down",
                        .url = "http://127.0.0.1:9191",
                        .counters = {.connections = 1,
                                     .open_connections = 2,
                                     .requests = 3,
                                     .failures = 4,
                                     .bytes_in = 5,
                                     .bytes_out = 6}};
  tunnel::HopStatus hop{.name = tunnel::kListenerHop};
  hop.down("busy");
  status.hops = {hop};
  const v1::Tunnel message = to_message(out, &status);
  EXPECT_EQ(message.uid(), "0123");
  EXPECT_EQ(message.create_time().seconds(), 1);
  EXPECT_EQ(message.create_time().nanos(), 500'000'000);
  EXPECT_EQ(message.status().phase(), v1::TunnelStatus::PHASE_DEGRADED);
  EXPECT_EQ(message.status().message(), "overlay down");
  EXPECT_EQ(message.status().url(), "http://127.0.0.1:9191");
  ASSERT_EQ(message.status().hops_size(), 1);
  EXPECT_EQ(message.status().hops(0).name(), "listener");
  EXPECT_EQ(message.status().hops(0).state(), v1::TunnelStatus::Hop::STATE_DOWN);
  EXPECT_EQ(message.status().hops(0).last_error(), "busy");
  EXPECT_EQ(message.status().counters().open_connections(), 2U);
  EXPECT_EQ(message.status().counters().bytes_out(), 6U);
}

TEST(TunnelMessageTest, ATunnelThatDoesNotRunYetIsStarting) {
  tunnel::Tunnel out{.name = "demo"};
  out.spec = tunnel::Access{.service = "s", .overlay = {}, .listen = "127.0.0.1:9191"};
  const v1::Tunnel message = to_message(out, nullptr);
  EXPECT_EQ(message.status().phase(), v1::TunnelStatus::PHASE_STARTING);
  EXPECT_EQ(message.status().url(), "http://127.0.0.1:9191");
}

}  // namespace
}  // namespace simplon::agent
