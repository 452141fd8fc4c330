#include "ctl/test/websocket_url.hpp"

#include <gtest/gtest.h>

namespace simplon::ctl {
namespace {

std::string parsed(std::string_view typed) {
  const auto url = parse_websocket_url(typed);
  return url ? std::string(url->tls ? "wss" : "ws") + " " + url->host + " " +
                   std::to_string(url->port) + " " + url->path
             : "error: " + url.error();
}

TEST(WebsocketUrl, AHostAndPortIsTheEchoOfTheTestEndpoint) {
  EXPECT_EQ(parsed("localhost:9090"), "ws localhost 9090 /echo");
  EXPECT_EQ(parsed("9090"), "ws localhost 9090 /echo");
  EXPECT_EQ(parsed("example.org"), "ws example.org 80 /echo");
  EXPECT_EQ(parsed("[::1]:9090"), "ws ::1 9090 /echo");
  EXPECT_EQ(parsed("[::1]"), "ws ::1 80 /echo");
}

TEST(WebsocketUrl, AUrlKeepsItsPathAndQuery) {
  EXPECT_EQ(parsed("ws://example.org/"), "ws example.org 80 /");
  EXPECT_EQ(parsed("wss://example.org/chat?room=1"), "wss example.org 443 /chat?room=1");
  EXPECT_EQ(parsed("wss://example.org:8443"), "wss example.org 8443 /echo");
  EXPECT_EQ(parsed("localhost:9090/other"), "ws localhost 9090 /other");
  EXPECT_EQ(parsed("localhost:9090?x"), "ws localhost 9090 /echo?x");
}

TEST(WebsocketUrl, TheUrlOfATunnelIsTaken) {
  EXPECT_EQ(parsed("http://demo.localhost:8080"), "ws demo.localhost 8080 /echo");
  EXPECT_EQ(parsed("https://demo.example.org"), "wss demo.example.org 443 /echo");
}

TEST(WebsocketUrl, TheHostHeaderLeavesOutTheSchemesPort) {
  EXPECT_EQ(parse_websocket_url("example.org")->authority(), "example.org");
  EXPECT_EQ(parse_websocket_url("wss://example.org")->authority(), "example.org");
  EXPECT_EQ(parse_websocket_url("ws://example.org:443")->authority(), "example.org:443");
  EXPECT_EQ(parse_websocket_url("[::1]:9090")->authority(), "[::1]:9090");
}

TEST(WebsocketUrl, WhatIsNoneIsRefused) {
  for (const auto* typed : {"", ":", "/", "ws://", "ftp://x", "x:y", "x:0", "x:65536", "::1",
                            "x/a b", "x/a\r\nHost: y", "x/#top", "ws://a@b/", "ws:///path"}) {
    EXPECT_TRUE(parsed(typed).starts_with("error: ")) << typed << " became " << parsed(typed);
  }
}

}  // namespace
}  // namespace simplon::ctl
