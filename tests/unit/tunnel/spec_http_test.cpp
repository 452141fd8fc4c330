#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "every_field.hpp"
#include "tunnel/policies.hpp"
#include "tunnel/spec.hpp"

namespace simplon::tunnel {
namespace {

using namespace std::chrono_literals;
using http::HeaderRule;
using testing::HasSubstr;
using testing::StartsWith;
using Action = HeaderRule::Action;

std::string refusal(const Spec& spec) {
  Tunnel tunnel;
  tunnel.spec = spec;
  return std::string(normalize(tunnel).message());
}

Share share(std::string target = "http://localhost:3000") {
  return {.service = "s", .target = std::move(target)};
}

TEST(SpecHttpTest, EveryFieldMayBeChosen) {
  for (const Spec& spec : test::every_spec()) {
    Tunnel tunnel;
    tunnel.spec = spec;
    EXPECT_TRUE(normalize(tunnel).ok()) << normalize(tunnel);
    EXPECT_EQ(tunnel.spec, spec) << kind_name(spec);
  }
}

TEST(SpecHttpTest, ATimeoutIsZeroOrBetween100MillisecondsAnd365Days) {
  for (const TimeoutField& field : kTimeoutFields) {
    Share spec = share();
    const std::string name = "share.http.timeouts." + std::string(field.name);
    for (const auto value : {-1ms, 1ms, 99ms, 365 * 24h + 1ms}) {
      spec.http.timeouts.*field.chosen = value;
      EXPECT_EQ(refusal(spec), name + ": is not between 100 ms and 365 days");
    }
    for (const auto value : {100ms, std::chrono::milliseconds(365 * 24h)}) {
      spec.http.timeouts.*field.chosen = value;
      EXPECT_EQ(refusal(spec), "");
    }
    spec.http.timeouts.*field.chosen = 0ms;
    EXPECT_EQ(refusal(spec), field.may_be_unlimited ? "" : name + ": cannot be unlimited");
  }
}

TEST(SpecHttpTest, ALimitHasBounds) {
  for (const LimitField& field : kLimitFields) {
    Frontend spec{.listen = {}, .zone = "localhost"};
    spec.http.limits.head_bytes = 64 * 1024;
    for (const std::uint64_t value : {field.least, field.most}) {
      spec.http.limits.*field.chosen = value;
      EXPECT_TRUE(refusal(spec).empty() || value < field.most) << refusal(spec);
    }
    for (const std::uint64_t value : {field.least - 1, field.most + 1}) {
      spec.http.limits.*field.chosen = value;
      EXPECT_THAT(refusal(spec),
                  value == 0 ? StartsWith("")
                             : StartsWith("frontend.http.limits." + std::string(field.name)));
    }
  }
  Share spec = share();
  spec.http.limits = {.head_bytes = 4096, .target_bytes = 5000};
  EXPECT_THAT(refusal(spec), StartsWith("share.http.limits.target_bytes: is more than head_bytes"));
}

TEST(SpecHttpTest, AHeaderRuleIsATokenAndALine) {
  const auto with = [](HeaderRule rule) {
    Share spec = share();
    spec.request_headers = {{Action::set, "X-Fine", "1"}, std::move(rule)};
    return refusal(spec);
  };
  EXPECT_EQ(with({Action::add, "X-A", "a b\t\xff"}), "");
  for (const std::string name : {"", "a b", "a:", "a\r\n", "(a)", "\xc3\xa9"}) {
    EXPECT_THAT(with({Action::set, name, "1"}), StartsWith("share.request_headers[1].name: "))
        << name;
  }
  EXPECT_THAT(with({Action::set, std::string(300, 'x'), ""}), HasSubstr("[1].name"));
  for (const std::string& value :
       {std::string("a\rb"), std::string("a\nb"), std::string(1, '\0'), std::string("\x1b[31m"),
        std::string("a\x7f"), std::string("\x01"), std::string(8193, 'x')}) {
    EXPECT_THAT(with({Action::add, "X-A", value}), StartsWith("share.request_headers[1].value: "));
  }
  EXPECT_EQ(with({Action::add, "X-A", "a\x7f"}),
            "share.request_headers[1].value: contains a control character, the byte 127; visible "
            "characters, spaces and tabs are what a field can have");
  EXPECT_EQ(with({Action::add, "X-A", std::string(8192, 'x')}), "");
  EXPECT_THAT(with({Action::remove, "X-A", "1"}), StartsWith("share.request_headers[1].value: "));
  Share spec = share();
  spec.response_headers.assign(64, {Action::add, "X-A", "1"});
  EXPECT_EQ(refusal(spec), "");
  spec.response_headers.push_back({Action::add, "X-A", "1"});
  EXPECT_EQ(refusal(spec), "share.response_headers: has more than 64 rules");
  spec.response_headers = {{Action::set, "a b", "1"}};
  EXPECT_THAT(refusal(spec), StartsWith("share.response_headers[0].name: "));
  spec = share();
  spec.peer_header = "a b";
  EXPECT_THAT(refusal(spec), StartsWith("share.peer_header: "));
}

TEST(SpecHttpTest, ReferencesFollowAHostHeaderOnly) {
  Share spec = share();
  spec.rewrite_references = true;
  EXPECT_THAT(refusal(spec), StartsWith("share.rewrite_references: follows host_header"));
}

TEST(SpecHttpTest, TrustedProxiesAreBlocksOfAddresses) {
  Access spec{.service = "s", .listen = {}};
  for (const std::string proxy : {"", "localhost", "10.0.0.0/33", "10.1.0.0/8", "*"}) {
    spec.trusted_proxies = {"::1", proxy};
    EXPECT_THAT(refusal(spec), StartsWith("access.trusted_proxies[1]: ")) << proxy;
  }
  spec.trusted_proxies = {"none", "::1"};
  EXPECT_THAT(refusal(spec), StartsWith("access.trusted_proxies[0]: \"none\" stands alone"));
  spec.trusted_proxies.assign(65, "::1");
  EXPECT_EQ(refusal(spec), "access.trusted_proxies: are more than 64");
  Frontend frontend{.listen = {}, .zone = "localhost", .trusted_proxies = {"x"}};
  EXPECT_THAT(refusal(frontend), StartsWith("frontend.trusted_proxies[0]: "));
}

TEST(SpecHttpTest, WhatMeansNothingForRawBytesIsRefusedInWords) {
  const auto check = [&](const std::string& field, const auto& choose) {
    Share spec = share("h2c://localhost:1");
    choose(spec);
    EXPECT_THAT(refusal(spec), StartsWith(field + ": means nothing for an h2c:// target"));
  };
  check("share.host_header", [](Share& s) { s.host_header = "a"; });
  check("share.rewrite_references", [](Share& s) { s.rewrite_references = true; });
  check("share.request_headers", [](Share& s) { s.request_headers = {{Action::add, "A", ""}}; });
  check("share.response_headers", [](Share& s) { s.response_headers = {{Action::add, "A", ""}}; });
  check("share.peer_header", [](Share& s) { s.peer_header = "A"; });
  check("share.http.via", [](Share& s) { s.http.via = false; });
  check("share.http.timeouts.head", [](Share& s) { s.http.timeouts.head = 1s; });
  check("share.http.limits.head_bytes", [](Share& s) { s.http.limits.head_bytes = 4096; });
  Share of_http2 = share("h2c://localhost:1");
  of_http2.http.timeouts.connect = 1s;
  of_http2.http.limits = {.connections = 1, .connections_per_client = 1};
  EXPECT_EQ(refusal(of_http2), "");
  Access spec{.service = "s", .listen = {}, .protocol = Protocol::tcp};
  spec.http.limits.connections_per_client = 1;
  EXPECT_EQ(refusal(spec), "");
  spec.trusted_proxies = {"none"};
  EXPECT_THAT(refusal(spec), StartsWith("access.trusted_proxies: means nothing for an access of"));
  spec = {.service = "s", .listen = {}, .protocol = Protocol::tcp};
  spec.http.timeouts.idle = 1s;
  EXPECT_THAT(refusal(spec), StartsWith("access.http.timeouts.idle: means nothing"));
}

TEST(SpecHttpTest, ATcpTargetMayBeReachedByHttpSoItTakesAllOfHttpsSettings) {
  Share spec = test::every_share();
  spec.target = "tcp://localhost:1";
  EXPECT_EQ(refusal(spec), "");
}

TEST(SpecHttpTest, EveryFieldCountsWhetherARequestIsTheSame) {
  std::set<std::string> prints;
  std::size_t count = 0;
  const auto add = [&](const Spec& spec) {
    Tunnel tunnel;
    tunnel.spec = spec;
    prints.insert(fingerprint(tunnel));
    ++count;
  };
  add(share());
  for (const TimeoutField& field : kTimeoutFields) {
    for (const auto value : {0ms, 200ms}) {
      Share spec = share();
      spec.http.timeouts.*field.chosen = value;
      add(spec);
    }
  }
  for (const LimitField& field : kLimitFields) {
    Share spec = share();
    spec.http.limits.*field.chosen = 1;
    add(spec);
  }
  for (const auto& choose : std::initializer_list<void (*)(Share&)>{
           [](Share& s) { s.http.via = false; }, [](Share& s) { s.rewrite_references = true; },
           [](Share& s) { s.host_header = "a"; }, [](Share& s) { s.peer_header = "a"; },
           [](Share& s) { s.request_headers = {{Action::add, "a", "b"}}; },
           [](Share& s) { s.request_headers = {{Action::set, "a", "b"}}; },
           [](Share& s) { s.request_headers = {{Action::set, "ab", ""}}; },
           [](Share& s) { s.response_headers = {{Action::add, "a", "b"}}; },
           [](Share& s) { s.rank.cost = 1; },
           [](Share& s) { s.rank.precedence = overlay::Precedence::required; },
           [](Share& s) { s.rank.precedence = overlay::Precedence::failed; }}) {
    Share spec = share();
    choose(spec);
    add(spec);
  }
  add(Access{.service = "s", .listen = {}});
  add(Access{.service = "s", .listen = {}, .trusted_proxies = {"none"}});
  add(Access{.service = "s", .listen = {}, .trusted_proxies = {"::1"}});
  add(Frontend{.listen = {}, .zone = "z"});
  add(Frontend{.listen = {}, .zone = "z", .trusted_proxies = {"none"}});
  EXPECT_EQ(prints.size(), count);
}

TEST(PoliciesTest, WhatWasNotChosenIsTheDefaultOfItsKind) {
  Tunnel tunnel{.uid = "0123"};
  tunnel.spec = share();
  http::Policy policy = policy_of(tunnel);
  EXPECT_EQ(policy.hop, base::Hop::share);
  EXPECT_EQ(policy.timeouts.head, 60s);
  EXPECT_EQ(policy.timeouts.idle, 120s);
  EXPECT_EQ(policy.timeouts.connect, 5s);
  EXPECT_EQ(policy.timeouts.first_byte, 0s);
  EXPECT_EQ(policy.timeouts.websocket_idle, 0s);
  EXPECT_EQ(policy.limits.head_bytes, 64U * 1024);
  EXPECT_EQ(policy.limits.body_bytes, std::nullopt);
  EXPECT_EQ(policy.via, "0123");
  EXPECT_EQ(policy.host_header, std::nullopt);
  EXPECT_EQ(policy.target_scheme, "http");
  EXPECT_EQ(connection_limit(tunnel.spec), 16384U);
  tunnel.spec = Share{.service = "s", .target = "https://localhost:8443"};
  EXPECT_EQ(policy_of(tunnel).target_scheme, "https");
  tunnel.spec = Access{.service = "s", .listen = {}};
  policy = policy_of(tunnel);
  EXPECT_EQ(policy.hop, base::Hop::access);
  EXPECT_EQ(policy.timeouts.connect, 15s);
  EXPECT_FALSE(policy.via_by_route);
  tunnel.spec = Frontend{.listen = {}, .zone = "z"};
  EXPECT_EQ(policy_of(tunnel).hop, base::Hop::frontend);
  EXPECT_TRUE(policy_of(tunnel).via_by_route);
}

TEST(PoliciesTest, WhatWasChosenReachesTheEngine) {
  Tunnel tunnel{.uid = "0123"};
  tunnel.spec = test::every_share();
  const http::Policy policy = policy_of(tunnel);
  EXPECT_EQ(policy.timeouts.head, 1001ms);
  EXPECT_EQ(policy.timeouts.idle, 2s);
  EXPECT_EQ(policy.timeouts.connect, 3s);
  EXPECT_EQ(policy.timeouts.first_byte, 4s);
  EXPECT_EQ(policy.timeouts.body, 0s);
  EXPECT_EQ(policy.timeouts.websocket_idle, 1h);
  EXPECT_EQ(policy.timeouts.half_closed, 365 * 24h);
  EXPECT_EQ(policy.limits.head_bytes, 9000U);
  EXPECT_EQ(policy.limits.fields, 65U);
  EXPECT_EQ(policy.limits.target_bytes, 4096U);
  EXPECT_EQ(policy.limits.body_bytes, INT64_MAX);
  EXPECT_EQ(connection_limit(tunnel.spec), 17U);
  EXPECT_EQ(policy.via, "");
  EXPECT_EQ(policy.host_header, "app.internal");
  EXPECT_TRUE(policy.rewrite_references);
  EXPECT_EQ(policy.request_headers.size(), 3U);
  EXPECT_EQ(policy.response_headers.size(), 2U);
  EXPECT_EQ(policy.peer_header, "Simplon-Peer");
}

TEST(PoliciesTest, OneAgentMayHaveAllButAQuarterOfASharesConnections) {
  Share spec = share();
  EXPECT_EQ(agent_limit(spec), 12288U);
  for (const auto& [all, of_one] : {std::pair{1U, 1U}, {2U, 1U}, {3U, 2U}, {4U, 3U}, {100U, 75U}}) {
    spec.http.limits.connections = all;
    EXPECT_EQ(agent_limit(spec), of_one);
  }
  spec.http.limits.connections_per_client = 100;
  EXPECT_EQ(agent_limit(spec), 100U);
}

TEST(PoliciesTest, ASmallHeadMakesASmallTarget) {
  EXPECT_EQ(used({.head_bytes = 1024}).target_bytes, 1024U);
}

TEST(PoliciesTest, AnAccessTrustsTheLoopbackAndAFrontendNobody) {
  const auto trusts = [](const Spec& spec, std::string_view address) {
    return std::ranges::any_of(trusted_proxies(spec), [&](const auto& range) {
      return range.contains(*net::SocketAddress::from_ip(address, 1));
    });
  };
  Access access{.service = "s", .listen = {}};
  EXPECT_TRUE(trusts(access, "127.0.0.9"));
  EXPECT_TRUE(trusts(access, "::1"));
  EXPECT_FALSE(trusts(access, "10.0.0.1"));
  access.trusted_proxies = {"10.0.0.0/8"};
  EXPECT_TRUE(trusts(access, "10.0.0.1"));
  EXPECT_FALSE(trusts(access, "127.0.0.1"));
  access.trusted_proxies = {"none"};
  EXPECT_FALSE(trusts(access, "127.0.0.1"));
  Frontend frontend{.listen = {}, .zone = "z"};
  EXPECT_FALSE(trusts(frontend, "127.0.0.1"));
  frontend.trusted_proxies = {"127.0.0.1"};
  EXPECT_TRUE(trusts(frontend, "127.0.0.1"));
}

}  // namespace
}  // namespace simplon::tunnel
