#include "http/framing.hpp"

#include <string>

#include <gtest/gtest.h>

#include "http/request_target.hpp"

namespace simplon::http {
namespace {

RequestHead request(const std::string& line, const std::string& fields = "Host: h\r\n") {
  RequestParser parser(Limits{});
  RequestHead head;
  const auto parsed = parser.parse(line + "\r\n" + fields + "\r\n", head);
  EXPECT_TRUE(parsed && parsed->done) << line << fields;
  return head;
}

// 200 when it is accepted, by the parser and by the framing.
int verdict(const std::string& fields, const std::string& line = "POST / HTTP/1.1") {
  RequestParser parser(Limits{});
  RequestHead head;
  const auto parsed = parser.parse(line + "\r\n" + fields + "\r\n", head);
  if (!parsed) {
    return parsed.error().status;
  }
  const auto framing = frame_request(head, Limits{});
  return framing ? 200 : framing.error().status;
}

int host_verdict(const std::string& fields, const std::string& line = "GET / HTTP/1.1") {
  const auto to = destination_of(request(line, fields));
  return to ? 200 : to.error().status;
}

TEST(RequestFraming, RefusesContentLengthWithTransferEncoding) {
  EXPECT_EQ(verdict("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(verdict("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400);
}

TEST(RequestFraming, TakesNoTransferEncodingButChunkedAlone) {
  EXPECT_EQ(verdict("Transfer-Encoding: CHUNKED\r\n"), 200);
  EXPECT_EQ(verdict("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  for (const std::string coding : {"xchunked", "identity", "chunked, gzip", "gzip, chunked",
                                   "chunked, chunked", "", "chunked;q=1", "\"chunked\""}) {
    EXPECT_EQ(verdict("Transfer-Encoding: " + coding + "\r\n"), 501) << coding;
  }
  EXPECT_EQ(verdict("Transfer-Encoding: chunked\v\r\n"), 400);
  EXPECT_EQ(verdict("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0"), 400);
}

TEST(RequestFraming, TakesOneContentLengthOrEqualOnes) {
  EXPECT_EQ(verdict("Content-Length: 2\r\nContent-Length: 2\r\n"), 200);
  EXPECT_EQ(verdict("Content-Length: 2, 2\r\n"), 200);
  EXPECT_EQ(verdict("Content-Length: 9223372036854775807\r\n"), 200);
  for (const std::string length : {"2, 3", "+5", "-1", "0x5", "5 5", "", "5,", ",5", "five",
                                   "9223372036854775808", "99999999999999999999"}) {
    EXPECT_EQ(verdict("Content-Length: " + length + "\r\n"), 400) << length;
  }
  EXPECT_EQ(verdict("Content-Length: 2\r\nContent-Length: 3\r\n"), 400);
}

TEST(RequestFraming, LimitsTheBodyWhereAsked) {
  const auto head = request("POST / HTTP/1.1", "Content-Length: 11\r\n");
  EXPECT_EQ(frame_request(head, Limits{.body_bytes = 10}).error().status, 413);
}

TEST(RequestFraming, RefusesMethodsThatNoReverseProxyServes) {
  EXPECT_EQ(verdict("", "CONNECT h:1 HTTP/1.1"), 405);
  EXPECT_EQ(verdict("", "TRACE / HTTP/1.1"), 405);
  EXPECT_EQ(verdict("", "trace / HTTP/1.1"), 200) << "methods are case-sensitive";
  EXPECT_EQ(verdict("Expect: the-unexpected\r\n"), 417);
}

TEST(RequestFraming, KeepsAliveByVersionAndConnection) {
  const auto alive = [](const std::string& line, const std::string& fields) {
    return frame_request(request(line, fields), Limits{})->keep_alive;
  };
  EXPECT_TRUE(alive("GET / HTTP/1.1", ""));
  EXPECT_FALSE(alive("GET / HTTP/1.1", "Connection: x, Close\r\n"));
  EXPECT_FALSE(alive("GET / HTTP/1.0", ""));
  EXPECT_TRUE(alive("GET / HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

std::string options(int count) {
  std::string field = "Connection: ";
  for (int i = 0; i < count; ++i) {
    field += "x" + std::to_string(i) + ", ";
  }
  return field + "\r\n";
}

TEST(RequestFraming, RefusesMoreConnectionOptionsThanAreSurelyStripped) {
  EXPECT_EQ(verdict(options(32)), 200);
  EXPECT_EQ(verdict(options(33)), 400);
  EXPECT_EQ(verdict(options(20) + options(20)), 400);
}

TEST(RequestFraming, SeesAnUpgradeToWebsocketOnly) {
  const auto upgrade = [](const std::string& line, const std::string& fields) {
    return frame_request(request(line, fields), Limits{})->upgrade;
  };
  const std::string get = "GET / HTTP/1.1";
  EXPECT_TRUE(upgrade(get, "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"));
  EXPECT_FALSE(upgrade(get, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"));
  EXPECT_FALSE(upgrade(get, "Upgrade: websocket\r\n"));
  EXPECT_FALSE(upgrade("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_FALSE(upgrade("GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_EQ(verdict("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", get),
            400);
}

TEST(Destination, WantsExactlyOneWellFormedHost) {
  EXPECT_EQ(host_verdict("Host: h:80\r\n"), 200);
  EXPECT_EQ(host_verdict("Host: [::1]:80\r\n"), 200);
  EXPECT_EQ(host_verdict(""), 400);
  EXPECT_EQ(host_verdict("", "GET / HTTP/1.0"), 200);
  EXPECT_EQ(host_verdict("Host: a\r\nHost: a\r\n"), 400);
  for (const std::string host :
       {"", "a b", "a/b", "u@a", "a:b", "a:123456", "[::1", "[x]", "a,b", "a\\b", ":80", "a?b"}) {
    EXPECT_EQ(host_verdict("Host: " + host + "\r\n"), 400) << host;
  }
}

TEST(Destination, ReadsTheHostWithoutCasePortAndDot) {
  const auto head = request("GET /a%2F..//;?q HTTP/1.1", "Host: Demo.LocalHost.:8080\r\n");
  const auto to = destination_of(head);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->host, "demo.localhost");
  EXPECT_EQ(to->port, "8080");
  EXPECT_EQ(to->authority, "Demo.LocalHost.:8080");
  EXPECT_EQ(to->target, "/a%2F..//;?q");
}

TEST(Destination, LetsAnAbsoluteTargetOverrideHost) {
  const auto head = request("GET http://real:81/p?q HTTP/1.1", "Host: other\r\n");
  const auto to = destination_of(head);
  ASSERT_TRUE(to);
  EXPECT_EQ(to->authority, "real:81");
  EXPECT_EQ(to->host, "real");
  EXPECT_EQ(to->target, "/p?q");
  EXPECT_EQ(host_verdict("Host: h\r\n", "GET ftp://x/ HTTP/1.1"), 400);
  EXPECT_EQ(host_verdict("Host: h\r\n", "GET http://u:p@x/ HTTP/1.1"), 400);
  EXPECT_EQ(host_verdict("Host: h\r\n", "GET http:///p HTTP/1.1"), 400);
}

TEST(Destination, TakesAnAsteriskForOptionsOnly) {
  EXPECT_EQ(host_verdict("Host: h\r\n", "OPTIONS * HTTP/1.1"), 200);
  EXPECT_EQ(host_verdict("Host: h\r\n", "GET * HTTP/1.1"), 400);
  EXPECT_EQ(host_verdict("Host: h\r\n", "GET h:80 HTTP/1.1"), 400);
}

ResponseFraming response(const std::string& text, Asked asked = {}) {
  ResponseParser parser(Limits{});
  ResponseHead head;
  const auto parsed = parser.parse(text, head);
  EXPECT_TRUE(parsed && parsed->done) << text;
  const auto framing = frame_response(head, asked);
  return framing ? *framing : ResponseFraming{.length = framing.error().status == 502 ? 502U : 0U};
}

TEST(ResponseFraming, FollowsTheOrderOfTheRfc) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(response(ok + "Content-Length: 5\r\n\r\n").length, 5U);
  EXPECT_EQ(response(ok + "Transfer-Encoding: chunked\r\n\r\n").body, BodyKind::chunked);
  EXPECT_EQ(response(ok + "\r\n").body, BodyKind::until_close);
  EXPECT_FALSE(response(ok + "\r\n").keep_alive);
  EXPECT_EQ(response(ok + "Content-Length: 5\r\n\r\n", {.head = true}).body, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n").body, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n").body, BodyKind::none);
  EXPECT_TRUE(response("HTTP/1.1 103 x\r\n\r\n").interim);
}

TEST(ResponseFraming, GivesA205TheLength0WhateverItsOriginSays) {
  const std::string reset = "HTTP/1.1 205 x\r\n";
  for (const std::string fields :
       {"", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
    const auto framing = response(reset + fields + "\r\n");
    EXPECT_EQ(framing.body, BodyKind::length) << fields;
    EXPECT_EQ(framing.length, 0U) << fields;
    EXPECT_EQ(framing.keep_alive, fields == "Content-Length: 0\r\n") << fields;
  }
}

TEST(ResponseFraming, RefusesWhatIsAmbiguousWith502) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(response(ok + options(33) + "\r\n").length, 502U);
  EXPECT_EQ(response(ok + "Transfer-Encoding: gzip, chunked\r\n\r\n").length, 502U);
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").length, 502U);
  EXPECT_EQ(response("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").length,
            502U);
  EXPECT_EQ(
      response("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", {.upgrade = true})
          .length,
      502U);
  EXPECT_TRUE(response("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                       {.upgrade = true})
                  .switched);
}

}  // namespace
}  // namespace simplon::http
