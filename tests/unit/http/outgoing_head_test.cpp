#include "http/outgoing_head.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/error_response.hpp"

namespace simplon::http {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string forward(const std::string& text, const Policy& policy = {}, const Client& who = {}) {
  RequestParser parser(Limits{});
  RequestHead head;
  EXPECT_TRUE(parser.parse(text, head));
  const auto framing = frame_request(head, Limits{});
  const auto to = destination_of(head);
  EXPECT_TRUE(framing && to) << text;
  std::string out;
  append_request(out, head,
                 {.framing = *framing,
                  .to = *to,
                  .policy = policy,
                  .client = who,
                  .via = policy.via,
                  .upstream_authority = "upstream:1"});
  return out;
}

std::string deliver(const std::string& text, const Delivery& delivery) {
  ResponseParser parser(Limits{});
  ResponseHead head;
  EXPECT_TRUE(parser.parse(text, head));
  std::string out;
  append_response(out, head, delivery);
  return out;
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n";

TEST(ForwardedRequest, LosesEveryFieldThatConnectionNames) {
  const std::string out = forward(kGet +
                                  "connection: X-A,, close ,\r\nX-A: 1\r\nCONNECTION: x-b\r\n"
                                  "X-B: 2\r\nX-C: 3\r\n\r\n");
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: h\r\nX-C: 3\r\n\r\n");
}

TEST(ForwardedRequest, LosesHopByHopFields) {
  EXPECT_EQ(forward(kGet +
                    "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\n"
                    "HTTP2-Settings: AAA\r\nProxy-Authorization: x\r\nConnection: Upgrade\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(ForwardedRequest, KeepsTrailersOfTe) {
  EXPECT_THAT(forward(kGet + "TE: gzip, Trailers\r\n\r\n"),
              HasSubstr("Connection: TE\r\nTE: trailers\r\n"));
}

TEST(ForwardedRequest, CannotLoseWhatFramesRoutesOrAuthenticatesByConnection) {
  const std::string out = forward(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nCookie: c\r\nAuthorization: a\r\n"
      "X-Forwarded-For: 9.9.9.9\r\n"
      "Connection: Host, Content-Length, Cookie, Authorization, X-Forwarded-For\r\n\r\n",
      {}, {.forwarding = Forwarding::append, .address = "1.2.3.4", .peer = {}});
  for (const char* kept : {"Host: h\r\n", "Content-Length: 1\r\n", "Cookie: c\r\n",
                           "Authorization: a\r\n", "X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n"}) {
    EXPECT_THAT(out, HasSubstr(kept));
  }
}

TEST(ForwardedRequest, CarriesOneContentLength) {
  EXPECT_EQ(
      forward("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\n"),
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
}

TEST(ForwardedRequest, ReplacesForwardingFieldsOfAnUntrustedClient) {
  const std::string out = forward(
      "GET / HTTP/1.1\r\nHost: h:8080\r\nX-Forwarded-For: 9.9.9.9\r\nX_Forwarded_For: 9.9.9.9\r\n"
      "Forwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-Proto: evil\r\n\r\n",
      {}, {.forwarding = Forwarding::replace, .address = "fe80::1", .peer = {}});
  EXPECT_THAT(out, Not(HasSubstr("9.9.9.9")));
  EXPECT_EQ(out,
            "GET / HTTP/1.1\r\nHost: h:8080\r\nX-Forwarded-For: fe80::1\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h:8080\r\nX-Forwarded-Port: 8080\r\n"
            "Forwarded: for=\"[fe80::1]\";host=\"h:8080\";proto=http\r\n\r\n");
}

TEST(ForwardedRequest, AppendsToForwardingFieldsAndKeepsTheFirstProxysView) {
  const std::string out =
      forward(kGet +
                  "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
                  "Forwarded: for=9.9.9.9\r\n\r\n",
              {}, {.forwarding = Forwarding::append, .address = "1.2.3.4", .peer = {}});
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Proto: https\r\n"));
  EXPECT_THAT(out, HasSubstr("Forwarded: for=9.9.9.9, for=1.2.3.4;host=\"h\";proto=http\r\n"));
}

TEST(ForwardedRequest, PassesForwardingFieldsOfATrustedPeer) {
  EXPECT_EQ(forward(kGet + "X-Forwarded-For: 9.9.9.9\r\n\r\n"),
            kGet + "X-Forwarded-For: 9.9.9.9\r\n\r\n");
}

TEST(ForwardedRequest, RewritesHostWhereAskedAndTakesItFromAnAbsoluteTarget) {
  EXPECT_THAT(forward(kGet + "\r\n", {.host_header = "origin:1"}), HasSubstr("Host: origin:1\r\n"));
  EXPECT_EQ(forward("GET http://real/p HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /p HTTP/1.1\r\nHost: real\r\n\r\n");
  EXPECT_THAT(forward("GET / HTTP/1.0\r\n\r\n"), HasSubstr("Host: upstream:1\r\n"));
}

TEST(ForwardedRequest, CountsMaxForwardsDown) {
  EXPECT_THAT(forward("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n"),
              HasSubstr("Max-Forwards: 2\r\n"));
}

TEST(ForwardedRequest, CarriesAWebsocketHandshakeAndNothingElseOfUpgrade) {
  const std::string out = forward(
      kGet +
      "Connection: keep-alive, upgrade\r\nUpgrade: websocket, h2c\r\n"
      "Sec-WebSocket-Key: dGhl==\r\nSec-WebSocket-Extensions: permessage-deflate; a\r\n\r\n");
  EXPECT_EQ(out, kGet +
                     "Sec-WebSocket-Key: dGhl==\r\nSec-WebSocket-Extensions: permessage-deflate; "
                     "a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST(ForwardedResponse, IsFramedAnew) {
  const std::string ok = "HTTP/1.1 200 OK\r\nConnection: close, x-a\r\nX-A: 1\r\nServer: s\r\n";
  EXPECT_EQ(deliver(ok + "Transfer-Encoding: chunked\r\n\r\n", {.body = BodyKind::chunked}),
            "HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(deliver("HTTP/1.0 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
                    {.body = BodyKind::length, .length = 5, .close = true}),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

TEST(ForwardedResponse, KeepsContentLengthForHeadAndDropsItFor204) {
  EXPECT_THAT(deliver("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", {.head = true}),
              HasSubstr("Content-Length: 5\r\n"));
  EXPECT_EQ(deliver("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", {}), "HTTP/1.1 204 No\r\n\r\n");
}

TEST(ForwardedResponse, KeepsEverySetCookieInOrder) {
  const std::string cookies = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b, c\r\n";
  EXPECT_EQ(deliver(cookies + "\r\n", {}), cookies + "\r\n");
}

TEST(ForwardedResponse, OfATargetCannotSpeakInOurName) {
  EXPECT_THAT(deliver("HTTP/1.1 200 OK\r\nSimplon-Error: x\r\n\r\n", {.from_target = true}),
              Not(HasSubstr("Simplon-Error")));
}

TEST(ErrorResponse, NamesHopAndReasonInTextOrJson) {
  const base::Failure failure{base::Hop::share, make_error_code(base::Errc::target_refused), "no"};
  const std::string text = render(error_response(failure), {});
  EXPECT_THAT(text, HasSubstr("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_THAT(text, HasSubstr("Simplon-Error: hop=share; reason=target_refused\r\n"));
  const std::string json = render(error_response(failure), {.json = true, .close = false});
  EXPECT_THAT(json, HasSubstr("\"reason\":\"target_refused\""));
  EXPECT_THAT(json, Not(HasSubstr("Connection: close")));
  EXPECT_THAT(render(error_response(failure), {.head = true}), testing::EndsWith("\r\n\r\n"));
}

TEST(ErrorResponse, HasTheStatusOfWhatFailed) {
  using base::Errc;
  EXPECT_EQ(status_of(Errc::no_such_service), 404);
  EXPECT_EQ(status_of(Errc::not_permitted), 403);
  EXPECT_EQ(status_of(Errc::not_hosted), 503);
  EXPECT_EQ(status_of(Errc::link_lost), 503);
  EXPECT_EQ(status_of(Errc::draining), 503);
  EXPECT_EQ(status_of(Errc::target_refused), 502);
  EXPECT_EQ(status_of(Errc::target_unreachable), 502);
  EXPECT_EQ(status_of(Errc::target_timed_out), 504);
  EXPECT_EQ(status_of(Errc::timed_out), 504);
}

}  // namespace
}  // namespace simplon::http
