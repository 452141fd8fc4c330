#include "agent/tunnel_message.hpp"

#include <gmock/gmock.h>

#include "unit/tunnel/every_field.hpp"

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
                                   .host_header = "app.internal"}),
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

TEST(TunnelMessageTest, EveryFieldAboutHttpComesBackAsItWent) {
  for (const tunnel::Spec& spec : tunnel::test::every_spec()) {
    tunnel::Tunnel out{.name = "demo"};
    out.spec = spec;
    EXPECT_EQ(round_trip(out).spec, spec) << tunnel::kind_name(spec);
  }
}

TEST(TunnelMessageTest, TheTablesOfFieldsAndTheMessagesHaveTheSameNames) {
  EXPECT_EQ(v1::Timeouts::descriptor()->field_count(),
            static_cast<int>(tunnel::kTimeoutFields.size()));
  for (const auto& field : tunnel::kTimeoutFields) {
    EXPECT_NE(v1::Timeouts::descriptor()->FindFieldByName(std::string(field.name)), nullptr);
  }
  EXPECT_EQ(v1::Limits::descriptor()->field_count(), static_cast<int>(tunnel::kLimitFields.size()));
  for (const auto& field : tunnel::kLimitFields) {
    EXPECT_NE(v1::Limits::descriptor()->FindFieldByName(std::string(field.name)), nullptr);
  }
}

TEST(TunnelMessageTest, WhatWasNotChosenIsAbsent) {
  tunnel::Tunnel out{.name = "demo"};
  out.spec = tunnel::Share{.target = "http://localhost:1"};
  EXPECT_FALSE(to_message(out, nullptr).share().has_http());
  std::get<tunnel::Share>(out.spec).http.via = false;
  EXPECT_TRUE(to_message(out, nullptr).share().has_http());
  EXPECT_FALSE(to_message(out, nullptr).share().http().has_timeouts());
}

TEST(TunnelMessageTest, ACostIsSixteenBitsAndAPrecedenceOneOfThree) {
  v1::Tunnel message;
  auto* rank = message.mutable_share()->mutable_ziti();
  EXPECT_EQ(std::get<tunnel::Share>(from_message(message)->spec).rank, overlay::Rank{});
  EXPECT_FALSE(to_message(*from_message(message), nullptr).share().has_ziti());
  rank->set_precedence(static_cast<v1::ZitiRank::Precedence>(7));
  EXPECT_THAT(from_message(message).status().ToString(),
              testing::HasSubstr("share.ziti.precedence: "));
  rank->set_precedence(v1::ZitiRank::PRECEDENCE_REQUIRED);
  rank->set_cost(65536);
  EXPECT_THAT(from_message(message).status().ToString(), testing::HasSubstr("share.ziti.cost: "));
}

TEST(TunnelMessageTest, ADurationIsWholeMilliseconds) {
  v1::Tunnel message;
  auto* head = message.mutable_access()->mutable_http()->mutable_timeouts()->mutable_head();
  const auto read = [&](std::int64_t seconds, std::int32_t nanos) {
    head->set_seconds(seconds);
    head->set_nanos(nanos);
    return from_message(message).status();
  };
  EXPECT_TRUE(read(1, 500'000'000).ok());
  for (const auto& [seconds, nanos] : {std::pair<std::int64_t, std::int32_t>{-1, 0},
                                       {0, -1'000'000},
                                       {0, 1},
                                       {0, 999'999},
                                       {0, 1'000'000'000},
                                       {INT64_MAX, 0},
                                       {INT64_MIN, 0}}) {
    EXPECT_EQ(std::string(read(seconds, nanos).message()),
              "access.http.timeouts.head: is not zero or more whole milliseconds")
        << seconds;
  }
}

TEST(TunnelMessageTest, AnUnknownEnumeratorIsRefusedByItsField) {
  v1::Tunnel message;
  message.mutable_frontend()->mutable_http()->set_via(static_cast<v1::Via>(7));
  EXPECT_THAT(std::string(from_message(message).status().message()),
              testing::StartsWith("frontend.http.via: "));
  message.mutable_share()->add_request_headers()->set_action(v1::HeaderRule::ACTION_SET);
  message.mutable_share()->add_request_headers();
  EXPECT_THAT(std::string(from_message(message).status().message()),
              testing::StartsWith("share.request_headers[1].action: "));
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
                                     .bytes_out = 6,
                                     .refused = {{431, 7}, {503, 8}}}};
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
  EXPECT_EQ(message.status().counters().refused().at(431), 7U);
  EXPECT_EQ(message.status().counters().refused().at(503), 8U);
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
