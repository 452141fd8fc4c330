// What a target learns of its client, and what is changed of a head on request: behaviours 45
// to 48.
#include <string>

#include "engine_fixture.hpp"
#include "http/date.hpp"
#include "http/header_rules.hpp"
#include "http/references.hpp"
#include "http/via.hpp"

namespace simplon::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Action = HeaderRule::Action;

class Behaviour : public Engine {
 protected:
  std::string forwarded_by(const Policy& policy, const std::string& fields = {},
                           const std::string& line = "GET / HTTP/1.1") {
    open(policy);
    return forwarded(line + "\r\nHost: app.test\r\n" + fields + "\r\n");
  }
  /// Of a client that is not just anybody.
  std::string forwarded_of(const Client& who, const std::string& fields = {},
                           const Policy& policy = {}) {
    open(policy, who);
    return forwarded("GET / HTTP/1.1\r\nHost: app.test\r\n" + fields + "\r\n");
  }
  /// The same field behind a trusted proxy that sent these.
  std::string forwarded_field(const std::string& fields, const std::string& name = "Forwarded") {
    const std::string out = forwarded_of(
        {.forwarding = Forwarding::append, .address = "192.0.2.1", .peer = {}}, fields);
    const std::size_t at = out.find("\r\n" + name + ": ") + name.size() + 4;
    return out.substr(at, out.find("\r\n", at) - at);
  }
  std::string delivered_by(const Policy& policy, const std::string& fields,
                           const std::string& status = "200 OK", const std::string& asked = {}) {
    forwarded_by(policy, asked);
    return answered("HTTP/1.1 " + status + "\r\n" + fields + "Content-Length: 0\r\n\r\n");
  }
};

using Behaviour45 = Behaviour;
using Behaviour46 = Behaviour;
using Behaviour47 = Behaviour;
using Behaviour48 = Behaviour;

Policy dated() {
  Policy policy;
  policy.date = [] { return std::string_view("Sun, 06 Nov 1994 08:49:37 GMT"); };
  return policy;
}

TEST_F(Behaviour45, DateIsAddedWhereItIsMissing) {
  EXPECT_EQ(delivered_by(dated(), ""),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Behaviour45, TheOriginsDateAndServerStayAsTheyAre) {
  EXPECT_EQ(delivered_by(dated(), "Server: x/1\r\ndate: yesterday\r\n"),
            "HTTP/1.1 200 OK\r\nServer: x/1\r\ndate: yesterday\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(delivered_by(dated(), ""), Not(HasSubstr("Server:")));
}

TEST_F(Behaviour45, InterimResponsesGetNoDate) {
  forwarded_by(dated());
  EXPECT_EQ(answered("HTTP/1.1 103 Early Hints\r\n\r\n"), "HTTP/1.1 103 Early Hints\r\n\r\n");
}

TEST_F(Behaviour45, OurOwnAnswersHaveADate) {
  open();
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\n\r\n"), HasSubstr("\r\nDate: "));
}

TEST(Date, IsOneOfAFixedLengthInGmt) {
  const auto at = [](long seconds) {
    return http_date(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
  };
  EXPECT_EQ(at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110 §5.6.7
  EXPECT_EQ(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(at(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(http_date_now().size(), 29U);
}

Policy via(std::string pseudonym) {
  Policy policy;
  policy.via = std::move(pseudonym);
  return policy;
}

TEST_F(Behaviour46, ViaIsAppended) {
  EXPECT_THAT(forwarded_by(via("abc")), HasSubstr("\r\nVia: 1.1 abc\r\n"));
  EXPECT_THAT(forwarded_by(via("abc"), "Via: 1.0 fred, HTTP/1.1 p.example (x, y)\r\n"),
              HasSubstr("\r\nVia: 1.0 fred, HTTP/1.1 p.example (x, y)\r\nVia: 1.1 abc\r\n"));
  EXPECT_THAT(forwarded_by(via("abc"), "", "GET / HTTP/1.0"), HasSubstr("\r\nVia: 1.0 abc\r\n"));
  EXPECT_THAT(forwarded_by(Policy{}, ""), Not(HasSubstr("Via")));
}

TEST_F(Behaviour46, ARequestThatWasHereBeforeIsALoop) {
  for (const std::string before :
       {"Via: 1.1 abc", "via: 1.1 x,1.1 ABC", "Via: 1.1 x\r\nVia: HTTP/1.1 abc (comment)",
        "Via: 1.0\tabc,", "Via: , ,1.1   abc  "}) {
    open(via("abc"));
    const std::string answer = exchange("GET / HTTP/1.1\r\nHost: h\r\n" + before + "\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 508 Loop Detected\r\n")) << before;
    EXPECT_THAT(answer, HasSubstr("Simplon-Error: hop=access; reason=loop_detected\r\n"));
  }
  EXPECT_EQ(ends_->connects, 0);
}

TEST_F(Behaviour46, WhatOnlyLooksLikeOurPseudonymIsNoLoop) {
  for (const std::string before : {"Via: abc", "Via: 1.1 abcd", "Via: 1.1 x (abc)",
                                   "Via: 1.1 x abc", "X-Via: 1.1 abc", "Via: 1.1 abc:80"}) {
    EXPECT_THAT(forwarded_by(via("abc"), before + "\r\n"), HasSubstr(before)) << before;
  }
}

TEST_F(Behaviour46, OfManyRoutesOnlyTheSameOneAgainIsALoop) {
  Policy policy = via("abc");
  policy.via_by_route = true;
  EXPECT_THAT(forwarded_by(policy, "Via: 1.1 other.test.abc, 1.1 abc\r\n"),
              HasSubstr("Via: 1.1 other.test.abc, 1.1 abc\r\nVia: 1.1 app.test.abc\r\n"));
  open(policy);
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: app.test\r\n"
                       "Via: 1.1 app.test.abc, 1.1 other.test.abc\r\n\r\n"),
              StartsWith("HTTP/1.1 508 Loop Detected\r\n"));
}

TEST_F(Behaviour46, ALoopEndsTheRequestAndNotTheConnection) {
  open(via("abc"));
  const std::string answer = exchange("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 abc\r\n\r\n");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 508 "), Not(HasSubstr("Connection: close"))));
  EXPECT_THAT(forwarded("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), HasSubstr("Via: 1.1 abc\r\n"));
}

TEST_F(Behaviour46, ConnectionCannotHideALoop) {
  EXPECT_THAT(forwarded_by(via("abc"), "Connection: Via\r\nVia: 1.1 x\r\n"),
              HasSubstr("Via: 1.1 x\r\n"));
}

Client of(Forwarding forwarding, std::string address) {
  return {.forwarding = forwarding, .address = std::move(address), .peer = {}};
}

const std::string kSpoofed =
    "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nx-forwarded-proto: https\r\n"
    "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Server: evil\r\n"
    "X-Forwarded-Ssl: on\r\nX-FORWARDED_PREFIX: /evil\r\nForwarded: for=6.6.6.6\r\n"
    "X-Real-IP: 6.6.6.6\r\nx_real_ip: 6.6.6.6\r\nX-Client-IP: 6.6.6.6\r\n"
    "True-Client-IP: 6.6.6.6\r\nX-Cluster-Client-IP: 6.6.6.6\r\nClient-IP: 6.6.6.6\r\n"
    "CF-Connecting-IP: 6.6.6.6\r\nFastly-Client-IP: 6.6.6.6\r\nFront-End-Https: on\r\n";

TEST_F(Behaviour47, WhatAnUntrustedClientSaysOfItselfIsDropped) {
  const std::string out =
      forwarded_of(of(Forwarding::replace, "192.0.2.1"), kSpoofed + "X-Y: z\r\n");
  EXPECT_EQ(out,
            "GET / HTTP/1.1\r\nHost: app.test\r\nX-Y: z\r\nX-Forwarded-For: 192.0.2.1\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Port: 80\r\n"
            "Forwarded: for=192.0.2.1;host=\"app.test\";proto=http\r\n\r\n");
}

TEST_F(Behaviour47, ATrustedProxysWordIsContinued) {
  const std::string out =
      forwarded_of(of(Forwarding::append, "192.0.2.1"),
                   "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n"
                   "X_Forwarded_For: 6.6.6.6\r\nX_Real-IP: 6.6.6.6\r\n"
                   "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n"
                   "X-Forwarded-Port: 8443\r\nForwarded: For=\"1.1.1.1:80\";by=_x\r\n"
                   "Forwarded: for=2.2.2.2;proto=http\r\nX-Real-IP: 1.1.1.1\r\n");
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Proto: https\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("X-Forwarded-Proto: http\r\n")));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Host: a.test\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Port: 8443\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Real-IP: 1.1.1.1\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("6.6.6.6")));
  EXPECT_THAT(out, HasSubstr("\r\nForwarded: For=\"1.1.1.1:80\";by=_x, for=2.2.2.2;proto=http, "
                             "for=192.0.2.1;host=\"app.test\";proto=http\r\n"));
}

TEST_F(Behaviour47, Ipv6IsQuotedInForwardedAndPlainInXForwardedFor) {
  const std::string out = forwarded_of(of(Forwarding::replace, "2001:db8::1"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 2001:db8::1\r\n"));
  EXPECT_THAT(out, HasSubstr("Forwarded: for=\"[2001:db8::1]\";host=\"app.test\";proto=http\r\n"));
}

TEST_F(Behaviour47, WhatATrustedProxySaidInOtherWordsIsForwardedToo) {
  const std::string ours = "for=192.0.2.1;host=\"app.test\";proto=http";
  EXPECT_EQ(forwarded_field("X-Forwarded-For: 1.1.1.1\r\n"), "for=1.1.1.1, " + ours);
  EXPECT_EQ(forwarded_field("X-Forwarded-For: 1.1.1.1:80, 2001:DB8::1\r\n"
                            "X-Forwarded-For: [::1]:80, x\"y, 10.0.0.0/8, [\r\n"),
            "for=1.1.1.1, for=\"[2001:db8::1]\", for=\"[::1]\", for=unknown, for=unknown, "
            "for=unknown, " +
                ours);
  EXPECT_EQ(forwarded_field("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
                            "X-Forwarded-Host: a.test:8443, b.test\r\n"),
            "for=1.1.1.1;host=\"a.test:8443\";proto=https, for=2.2.2.2, " + ours);
  EXPECT_EQ(forwarded_field("X-Forwarded-Proto: HTTPS\r\n"), "for=unknown;proto=https, " + ours);
  EXPECT_EQ(forwarded_field("X-Forwarded-Host: \"\r\nX-Forwarded-Proto: ;x\r\n"), ours);
  EXPECT_EQ(forwarded_field(""), ours);
}

TEST_F(Behaviour47, AForwardedThatAProxyOnlyPassedIsNotBelievedBesideItsXForwardedFor) {
  const std::string ours = "for=192.0.2.1;host=\"app.test\";proto=http";
  const std::string known = "X-Forwarded-For: 1.1.1.1\r\n";
  for (const std::string spoofed :
       {"for=6.6.6.6", "for=6.6.6.6, for=1.1.1.1", "for=1.1.1.1, for=6.6.6.6", "for=_hidden",
        "proto=https", "for=\"[::1]\"", "for=1.1.1.1;x=\", for=6.6.6.6\"",
        "for=1.1.1.1;for=6.6.6.6", "for=1.1.1.1;x=\"", "for=1.1.1.1 x",
        "for=1.1.1.1\r\nForwarded: \""}) {
    EXPECT_EQ(forwarded_field(known + "Forwarded: " + spoofed + "\r\n"), "for=1.1.1.1, " + ours)
        << spoofed;
  }
  EXPECT_EQ(forwarded_field("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
                            "X-Forwarded-Host: a.test\r\n"
                            "Forwarded: for=1.1.1.1;host=evil.test;proto=http\r\n"),
            "for=1.1.1.1;host=\"a.test\";proto=https, " + ours);
}

TEST_F(Behaviour47, AForwardedThatSaysTheSameAsXForwardedForStaysAsItIs) {
  const std::string ours = "for=192.0.2.1;host=\"app.test\";proto=http";
  for (const std::string same :
       {"for=1.1.1.1;by=_p;proto=https", "FOR=\"1.1.1.1:4711\"", "for=1.1.1.1; x=\"a b\""}) {
    EXPECT_EQ(forwarded_field("X-Forwarded-For: 1.1.1.1\r\nForwarded: " + same + "\r\n"),
              same + ", " + ours);
  }
  EXPECT_EQ(forwarded_field("X-Forwarded-For: 2001:DB8::1, unknown\r\n"
                            "Forwarded: for=\"[2001:db8::1]:80\",for=_x\r\n"),
            "for=\"[2001:db8::1]:80\", for=_x, " + ours);
}

TEST_F(Behaviour47, AForwardedThatWouldTakeInOursIsDropped) {
  const std::string ours = "for=192.0.2.1;host=\"app.test\";proto=http";
  EXPECT_EQ(forwarded_field("Forwarded: for=6.6.6.6;x=\"\r\n"), ours);
  EXPECT_EQ(forwarded_field("Forwarded: for=6.6.6.6;x=\"\\\"\r\n"), ours);
  EXPECT_EQ(forwarded_field("Forwarded: for=6.6.6.6, , ;\r\nForwarded:\r\n"),
            "for=6.6.6.6, ;, " + ours);
}

TEST_F(Behaviour47, OfLongListsTheLastMembersGoOn) {
  std::string addresses;
  std::string elements;
  for (int i = 0; i < 100; ++i) {
    addresses += (i == 0 ? "" : ", ") + std::to_string(i) + ".1.1.1";
    elements += (i == 0 ? "for=" : ", for=") + std::to_string(i) + ".1.1.1";
  }
  const std::string kept_addresses = addresses.substr(addresses.find("36.1.1.1")) + ", 192.0.2.1";
  const std::string kept_elements = elements.substr(elements.find("for=36.1.1.1")) +
                                    ", for=192.0.2.1;host=\"app.test\";proto=http";
  const std::string known = "X-Forwarded-For: " + addresses + "\r\n";
  EXPECT_EQ(forwarded_field(known, "X-Forwarded-For"), kept_addresses);
  EXPECT_EQ(forwarded_field(known), kept_elements);
  EXPECT_EQ(forwarded_field("Forwarded: " + elements + "\r\n"), kept_elements);
}

TEST_F(Behaviour47, WhatIsSaidOfClientsDoesNotGrowWithWhatTheySay) {
  Policy policy;
  const Client proxy{.forwarding = Forwarding::append, .address = "192.0.2.1", .peer = {}};
  for (const std::string& fields : {std::string("X-Forwarded-For: ") +
                                        [] {
                                          std::string many;
                                          for (int i = 0; i < 30'000; ++i) {
                                            many += "1,";
                                          }
                                          return many;
                                        }(),
                                    "X-Forwarded-Host: " + std::string(60'000, 'h'),
                                    "Forwarded: " + std::string(60'000, ';')}) {
    EXPECT_LT(forwarded_of(proxy, fields + "\r\n", policy).size(), fields.size() + 4096);
  }
  open({}, proxy);
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: " + std::string(261, 'h') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(Behaviour47, ThePortIsTheOneThatTheFirstProxysClientUsed) {
  const auto port = [&](const std::string& fields, const std::string& host = "app.test") {
    open({}, of(Forwarding::append, "192.0.2.1"));
    const std::string out = forwarded("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
    const std::string name = "\r\nX-Forwarded-Port: ";
    const std::size_t at = out.find(name);
    return at == std::string::npos
               ? "none"
               : out.substr(at + name.size(), out.find("\r\n", at + 2) - at - name.size());
  };
  EXPECT_EQ(port(""), "80");
  EXPECT_EQ(port("", "app.test:8080"), "8080");
  EXPECT_EQ(port("X-Forwarded-Proto: https\r\n"), "443");
  EXPECT_EQ(port("X-Forwarded-Proto: wss\r\n"), "443");
  EXPECT_EQ(port("X-Forwarded-Proto: https, http\r\n"), "443");
  EXPECT_EQ(port("X-Forwarded-Proto: https\r\n", "app.test:8443"), "8443");
  EXPECT_EQ(port("X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n", "127.0.0.1:8080"),
            "443");
  EXPECT_EQ(port("X-Forwarded-Host: a.test:81\r\n", "127.0.0.1:8080"), "81");
  EXPECT_EQ(port("X-Forwarded-Host: [::1]\r\n", "127.0.0.1:8080"), "80");
  EXPECT_EQ(port("X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n"), "1");
  EXPECT_EQ(port("X-Forwarded-Proto: gopher\r\n"), "none");
}

TEST_F(Behaviour47, TheSecondHopPassesWhatTheFirstSaid) {
  const std::string first = forwarded_of(of(Forwarding::replace, "192.0.2.1"), kSpoofed);
  open();
  EXPECT_EQ(forwarded(first), first);
}

TEST_F(Behaviour47, ConnectionCannotRemoveIt) {
  EXPECT_THAT(forwarded_by(Policy{},
                           "Connection: X-Forwarded-For, Forwarded\r\n"
                           "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"),
              HasSubstr("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"));
}

TEST_F(Behaviour47, ThePeerIsTheOverlaysWordAlone) {
  Policy policy;
  policy.peer_header = "X-Simplon-Peer";
  const Client laptop{.forwarding = Forwarding::pass, .address = {}, .peer = "laptop"};
  const std::string out = forwarded_of(
      laptop, "x-simplon-peer: root\r\nX_Simplon_Peer: root\r\nConnection: X-Simplon-Peer\r\n",
      policy);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: app.test\r\nX-Simplon-Peer: laptop\r\n\r\n");
  EXPECT_THAT(forwarded_by({}, "X-Simplon-Peer: anybody\r\n"), HasSubstr("anybody"));
  const Client unknown{.forwarding = Forwarding::pass, .address = {}, .peer = {}};
  EXPECT_EQ(forwarded_of(unknown, "X-Simplon-Peer: root\r\n", policy),
            "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  // Nor by a trailer, which servers merge.
  open(policy, laptop);
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "0\r\nX-Simplon-Peer: root\r\nX-Sum: 1\r\n\r\n"),
              EndsWith("\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"));
}

Policy renamed(bool references) {
  Policy policy;
  policy.host_header = "localhost:3000";
  policy.rewrite_references = references;
  return policy;
}

TEST_F(Behaviour48, HostIsKeptByDefaultAndRewrittenOnRequest) {
  EXPECT_THAT(forwarded_by({}), HasSubstr("\r\nHost: app.test\r\n"));
  const std::string out = forwarded_by(renamed(false), "Origin: http://app.test\r\n");
  EXPECT_THAT(out, HasSubstr("\r\nHost: localhost:3000\r\n"));
  EXPECT_THAT(out, HasSubstr("\r\nOrigin: http://app.test\r\n"));
  EXPECT_THAT(answered("HTTP/1.1 302 Found\r\nLocation: http://localhost:3000/a\r\n"
                       "Content-Length: 0\r\n\r\n"),
              HasSubstr("\r\nLocation: http://localhost:3000/a\r\n"));
}

TEST_F(Behaviour48, ReferencesFollowTheHostWhereAsked) {
  const std::string out = forwarded_by(
      renamed(true), "Origin: https://app.test\r\nReferer: https://APP.test:443/x?y#z\r\n");
  EXPECT_THAT(out, HasSubstr("\r\nOrigin: http://localhost:3000\r\n"));
  EXPECT_THAT(out, HasSubstr("\r\nReferer: http://localhost:3000/x?y#z\r\n"));
  EXPECT_THAT(answered("HTTP/1.1 302 Found\r\nLocation: http://localhost:3000/a?b\r\n"
                       "Content-Location: //localhost:3000/c\r\n"
                       "Set-Cookie: a=b; Domain=localhost; Path=/\r\nContent-Length: 0\r\n\r\n"),
              AllOf(HasSubstr("\r\nLocation: //app.test/a?b\r\n"),
                    HasSubstr("\r\nContent-Location: //app.test/c\r\n"),
                    HasSubstr("\r\nSet-Cookie: a=b; Domain=app.test; Path=/\r\n")));
}

TEST_F(Behaviour48, ReferencesGetTheTargetsScheme) {
  Policy policy = renamed(true);
  policy.target_scheme = "https";
  EXPECT_THAT(forwarded_by(policy, "Origin: http://app.test\r\nReferer: http://app.test/x\r\n"),
              AllOf(HasSubstr("\r\nOrigin: https://localhost:3000\r\n"),
                    HasSubstr("\r\nReferer: https://localhost:3000/x\r\n")));
}

TEST_F(Behaviour48, TheClientsSchemeIsWhatTheFirstProxySaw) {
  EXPECT_THAT(delivered_by(renamed(true), "Location: http://localhost:3000/\r\n", "302 Found",
                           "X-Forwarded-Proto: https\r\n"),
              HasSubstr("\r\nLocation: https://app.test/\r\n"));
  EXPECT_THAT(delivered_by(renamed(true), "Location: http://localhost:3000/\r\n", "302 Found",
                           "X-Forwarded-Proto: javascript\r\n"),
              HasSubstr("\r\nLocation: //app.test/\r\n"));
}

TEST(References, LeaveAloneWhatPointsElsewhere) {
  const References references{
      .client = "app.test", .target = "localhost:3000", .client_scheme = "https"};
  for (const std::string other :
       {"http://other.test/", "/path", "path//x", "", "//", "http://localhost:3001/",
        "http://localhost/", "mailto:a@localhost:3000", "ftp://localhost:3000/",
        "http://localhost:3000.evil/", "http://u@localhost:3000/", "null", "?//localhost:3000"}) {
    EXPECT_EQ(references.towards_client(other), other);
    EXPECT_EQ(references.towards_target(other), other);
  }
  for (const std::string cookie :
       {"Domain=localhost", "a=b; Domain=other", "a=b; XDomain=localhost", "a=b;", "a=b; Domain",
        "a=b; Domain=notlocalhost", ""}) {
    EXPECT_EQ(references.cookie_towards_client(cookie), cookie);
  }
  EXPECT_EQ(references.cookie_towards_client("a=b;domain = .LOCALHOST;Secure"),
            "a=b;domain =app.test;Secure");
}

TEST(References, KnowStandardPorts) {
  const References references{.client = "[::1]:8080", .target = "app.test", .client_scheme = ""};
  EXPECT_EQ(references.towards_client("http://app.test:80/x"), "//[::1]:8080/x");
  EXPECT_EQ(references.towards_client("https://app.test:443"), "//[::1]:8080");
  EXPECT_EQ(references.towards_client("http://app.test:443/"), "http://app.test:443/");
  EXPECT_EQ(references.towards_target("http://[::1]:8080/y"), "http://app.test/y");
}

TEST_F(Behaviour48, HeaderRulesChangeRequestsInTheirOrder) {
  Policy policy;
  policy.request_headers = {{Action::remove, "X-Gone", ""}, {Action::set, "X-Set", "ours"},
                            {Action::add, "X-Added", "1"},  {Action::add, "X-Added", "2"},
                            {Action::add, "X-Undone", "x"}, {Action::remove, "x-undone", ""}};
  EXPECT_EQ(forwarded_by(policy,
                         "x-gone: 1\r\nX-GONE: 2\r\nx-set: theirs\r\nX-Set: too\r\n"
                         "X-Added: 0\r\nX-Undone: y\r\n"),
            "GET / HTTP/1.1\r\nHost: app.test\r\nX-Added: 0\r\nX-Set: ours\r\nX-Added: 1\r\n"
            "X-Added: 2\r\n\r\n");
}

TEST_F(Behaviour48, HeaderRulesHoldForTrailersAndOtherSpellings) {
  Policy policy;
  policy.request_headers = {{Action::set, "X-User", "bob"}};
  policy.response_headers = {{Action::remove, "X-Inner", ""}};
  open(policy);
  const std::string out = forwarded(
      "POST / HTTP/1.1\r\nHost: h\r\nx_user: eve\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nX-User: eve\r\n\r\n");
  EXPECT_THAT(out, Not(HasSubstr("eve")));
  EXPECT_THAT(out, HasSubstr("\r\nX-User: bob\r\n"));
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "0\r\nX-Inner: 1\r\nX-Sum: 2\r\n\r\n"),
              EndsWith("0\r\nX-Sum: 2\r\n\r\n"));
}

TEST_F(Behaviour48, HeaderRulesChangeFinalResponsesOnly) {
  Policy policy;
  policy.response_headers = {{Action::set, "Cache-Control", "no-store"},
                             {Action::remove, "X-Powered-By", ""}};
  forwarded_by(policy);
  EXPECT_EQ(answered("HTTP/1.1 103 Early Hints\r\nX-Powered-By: x\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nX-Powered-By: x\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX-Powered-By: x\r\ncache-control: public\r\n"
                     "Content-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n");
}

TEST(HeaderRules, CannotTouchWhatFramesRoutesOrUpgrades) {
  for (const std::string_view name :
       {"Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "Host", "TE", "Trailer",
        "Keep-Alive", "Expect", "Via", "Simplon-Error", "Sec-WebSocket-Key",
        "sec-websocket-protocol", "Date", "Proxy-Connection", "HTTP2-Settings", "Max-Forwards"}) {
    EXPECT_TRUE(why_fixed(name)) << name;
  }
  for (const std::string_view name : {"Authorization", "X-Forwarded-Proto", "Cookie", "Set-Cookie",
                                      "Origin", "Server", "X-Any"}) {
    EXPECT_FALSE(why_fixed(name)) << name;
  }
}

}  // namespace
}  // namespace simplon::http
