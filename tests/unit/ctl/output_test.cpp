#include "ctl/output.hpp"

#include <gtest/gtest.h>

#include "ctl/check_output.hpp"

namespace simplon::ctl {
namespace {

using std::chrono::system_clock;

v1::Tunnel demo() {
  v1::Tunnel out;
  out.set_name("demo");
  out.mutable_share()->set_target("http://localhost:9090");
  out.mutable_share()->set_service("demo");
  out.mutable_status()->set_phase(v1::TunnelStatus::PHASE_STARTING);
  auto* hop = out.mutable_status()->add_hops();
  hop->set_name("overlay link");
  hop->set_state(v1::TunnelStatus::Hop::STATE_UP);
  hop = out.mutable_status()->add_hops();
  hop->set_name("target");
  hop->set_state(v1::TunnelStatus::Hop::STATE_DOWN);
  hop->set_last_error("connection refused");
  return out;
}

TEST(Output, ATunnelThatIsNotReadyNamesTheHopsThatAreNotUp) {
  auto tunnel = demo();
  EXPECT_EQ(why_not_ready(tunnel), "target: down: connection refused");
  tunnel.mutable_status()->set_message("start the service");
  EXPECT_EQ(why_not_ready(tunnel), "start the service (target: down: connection refused)");
  tunnel.mutable_status()->clear_hops();
  tunnel.mutable_status()->clear_message();
  EXPECT_EQ(why_not_ready(tunnel), "starting");
}

TEST(Output, AShareIsReachedByItsServiceAnAccessByItsUrl) {
  EXPECT_EQ(address_of(demo()), "demo");
  v1::Tunnel access;
  access.mutable_access()->set_service("demo");
  access.mutable_status()->set_url("http://127.0.0.1:9191");
  EXPECT_EQ(address_of(access), "http://127.0.0.1:9191");
}

TEST(Output, TheTableHasALineForEachTunnel) {
  v1::ListTunnelsResponse list;
  *list.add_tunnels() = demo();
  list.mutable_tunnels(0)->mutable_create_time()->set_seconds(1000);
  EXPECT_EQ(tunnel_table(list, system_clock::time_point(std::chrono::seconds(1060))),
            "NAME  KIND   PHASE     ADDRESS  TO                     AGE\n"
            "demo  share  starting  demo     http://localhost:9090  60s\n");
}

TEST(Output, JsonHasEveryFieldSoThatAScriptNeedsNoDefaults) {
  const auto json = to_json(demo());
  EXPECT_NE(json.find("\"public\": false"), std::string::npos);
  EXPECT_NE(json.find("\"phase\": \"PHASE_STARTING\""), std::string::npos);
  EXPECT_TRUE(json.ends_with("}\n"));
}

TEST(Output, WhatWasChosenAboutHttpIsShownAndNothingElse) {
  auto tunnel = demo();
  const auto now = system_clock::now();
  const auto plain = tunnel_details(tunnel, now);
  for (const auto* word : {"timeouts:", "limits:", "via:", "header:", "refused:"}) {
    EXPECT_EQ(plain.find(word), std::string::npos) << word << "\n" << plain;
  }
  auto& share = *tunnel.mutable_share();
  share.set_host_header("app.internal");
  auto* rule = share.add_request_headers();
  rule->set_action(v1::HeaderRule::ACTION_ADD);
  rule->set_name("X-A");
  rule->set_value("\x1b[31m");
  rule = share.add_response_headers();
  rule->set_action(v1::HeaderRule::ACTION_REMOVE);
  rule->set_name("Server");
  share.mutable_http()->mutable_timeouts()->mutable_first_byte()->set_seconds(10);
  share.mutable_http()->mutable_timeouts()->mutable_idle();
  share.mutable_http()->mutable_limits()->set_request_body_bytes(10 << 20);
  share.mutable_http()->set_via(v1::VIA_OFF);
  (*tunnel.mutable_status()->mutable_counters()->mutable_refused())[503] = 2;
  (*tunnel.mutable_status()->mutable_counters()->mutable_refused())[431] = 1;
  const auto text = tunnel_details(tunnel, now);
  for (const auto* line :
       {"host header:      app.internal\n", "request header:   +X-A: ?[31m\n",
        "response header:  -Server\n", "timeouts:         idle none, first-byte 10s\n",
        "limits:           request-body-bytes 10MiB\n", "via:              off\n",
        "refused:          431: 1, 503: 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(Output, AnAgeIsRoundedDownToItsUnit) {
  google::protobuf::Timestamp since;
  const auto after = [](long seconds) {
    return system_clock::time_point(std::chrono::seconds(seconds));
  };
  EXPECT_EQ(age(since, after(-5)), "0s");
  EXPECT_EQ(age(since, after(119)), "119s");
  EXPECT_EQ(age(since, after(7199)), "119m");
  EXPECT_EQ(age(since, after(47 * 3600)), "47h");
  EXPECT_EQ(age(since, after(50 * 86400)), "50d");
}

TEST(Output, AnAgentSaysWhatItIsInEveryOverlay) {
  v1::AgentInfo agent;
  agent.set_name("alpha");
  auto* overlay = agent.add_overlays();
  overlay->set_name("default");
  overlay->set_kind("embedded");
  overlay->set_state(v1::LINK_STATE_UP);
  overlay->set_hub(true);
  const auto text = agent_details(agent, system_clock::now());
  EXPECT_NE(text.find("alpha\n"), std::string::npos) << text;
  EXPECT_NE(text.find("this agent"), std::string::npos) << text;
}

TEST(Output, AnOpenZitiOverlayShowsControllerSessionRoutersAndCircuits) {
  const auto now = system_clock::time_point(std::chrono::seconds(10'000));
  v1::Overlay overlay;
  overlay.set_name("prod");
  overlay.set_kind("ziti");
  overlay.set_identity("web-host");
  overlay.set_state(v1::LINK_STATE_UP);
  overlay.add_addresses("https://ctrl:1280");
  auto& link = *overlay.mutable_ziti();
  link.set_controller("https://ctrl:1280");
  link.set_controller_version("v2.0.3");
  link.set_session("legacy");
  link.mutable_session_since()->set_seconds(9'940);
  link.mutable_session_expire_time()->set_seconds(10'060);
  link.set_terminators(2);
  link.set_circuits(7);
  auto* router = link.add_routers();
  router->set_name("edge-1");
  router->set_address("192.0.2.1:3022");
  router->set_up(true);
  router->set_latency_microseconds(12'345);
  const auto text = overlay_details(overlay, now);
  for (const auto* words : {"https://ctrl:1280", "v2.0.3", "legacy, for 60s, ends in 60s", "edge-1",
                            "12 ms", "terminators:  2", "circuits:     7"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in:\n" << text;
  }
  EXPECT_EQ(text.find("advice"), std::string::npos) << text;
  router->set_up(false);
  router->set_last_error("connection refused");
  EXPECT_NE(overlay_details(overlay, now).find("must be reachable from here at 192.0.2.1:3022"),
            std::string::npos);
}

TEST(Output, TheListOfOverlaysTellsOfOpenZitiWhatOthersDoNotHave) {
  const auto now = system_clock::time_point(std::chrono::seconds(1'000'000));
  google::protobuf::RepeatedPtrField<v1::Overlay> overlays;
  overlays.Add()->set_name("default");
  EXPECT_EQ(overlay_table(overlays, now).find("SESSION"), std::string::npos);
  auto& link = *overlays.Add()->mutable_ziti();
  link.set_session("oidc");
  link.mutable_session_since()->set_seconds(1'000'000 - 60);
  link.set_terminators(3);
  link.set_circuits(4);
  for (const std::uint64_t latency : {900U, 350U, 0U}) {
    auto& router = *link.add_routers();
    router.set_up(latency != 0);
    router.set_latency_microseconds(latency);
  }
  const auto text = overlay_table(overlays, now);
  for (const auto* words :
       {"SESSION", "oidc 60s", "2 of 3 up, 350 us", "TERMINATORS", "CIRCUITS"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in:\n" << text;
  }
}

TEST(Output, AStepOfACheckIsALineWithAdviceBelow) {
  v1::CheckResult result;
  result.set_hop("target");
  result.set_state(v1::CheckResult::STATE_PASSED);
  result.set_latency_microseconds(312);
  result.set_message("http://localhost:80 takes connections");
  EXPECT_EQ(check_line(result),
            "ok    target            312 us   http://localhost:80 takes connections\n");
  result.set_state(v1::CheckResult::STATE_FAILED);
  result.clear_latency_microseconds();
  result.set_message("re\x1b[31mfused");
  result.set_advice("start it");
  result.set_connection_id("c-1");
  EXPECT_EQ(check_line(result),
            "FAIL  target            -        re?[31mfused\n"
            "      do: start it\n"
            "      more: simplonctl log-level debug, and look in the logs for conn=c-1\n");
  EXPECT_EQ(latency_text(9'999), "9999 us");
  EXPECT_EQ(latency_text(12'345), "12 ms");
  EXPECT_EQ(latency_text(1'550'000), "1.5 s");
}

TEST(Output, AnOverlayThatIsDownComesWithAdvice) {
  v1::Overlay overlay;
  overlay.set_name("prod");
  overlay.set_kind("ziti");
  overlay.set_state(v1::LINK_STATE_DOWN);
  overlay.add_addresses("https://ctrl:1280");
  overlay.mutable_ziti();
  const auto text = overlay_details(overlay, system_clock::now());
  EXPECT_NE(text.find("none: not logged in"), std::string::npos) << text;
  EXPECT_NE(text.find("reachable from here at https://ctrl:1280?"), std::string::npos) << text;
}

TEST(Output, AShareWithItsOwnFrontendsIsReachedByItsUrlAndAccessedByItsToken) {
  auto tunnel = demo();
  tunnel.mutable_status()->set_known_as("tok3n");
  EXPECT_EQ(address_of(tunnel), "tok3n");
  tunnel.mutable_status()->set_url("https://demo.share.example");
  tunnel.mutable_status()->add_urls("https://demo.share.example");
  EXPECT_EQ(address_of(tunnel), "https://demo.share.example");
  EXPECT_EQ(service_of(tunnel), "tok3n");
}

}  // namespace
}  // namespace simplon::ctl
