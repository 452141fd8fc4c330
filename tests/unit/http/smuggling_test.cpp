// Requests that two readers could understand differently, as raw bytes, in the order of the list of
// a correct proxy's behaviours. What is refused must not reach an origin, and ends the connection.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using std::chrono::seconds;
using testing::AnyOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Smuggling : public Engine {
 protected:
  /// The status of the refusal of these bytes; 0 if anything went on to an origin, or if the
  /// connection could still carry another request.
  int refusal(const std::string& bytes, const Policy& policy = {}) {
    open(policy);
    const int before = ends_->connects;
    client_->send(bytes + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string answer = client_->take();
    if (ends_->connects != before || !client_->ended() || answer.size() < 12) {
      return 0;
    }
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "answered twice";
    return std::stoi(answer.substr(9, 3));
  }

  /// The same for the fields of a POST with Host.
  int post(const std::string& fields) {
    return refusal("POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
  }

  /// The same for a chunked body whose head was in order: the origin must not see the body's end.
  int chunks(const std::string& body, const Limits& limits = {}) {
    open({.limits = limits});
    client_->send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_->send(body + "0\r\n\r\n");
    const std::string answer = client_->take();
    EXPECT_THAT(origin().take(), Not(HasSubstr("0\r\n\r\n"))) << body;
    EXPECT_TRUE(origin().gone()) << body;
    return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3));
  }
};

// 1
TEST_F(Smuggling, FieldsThatConnectionNamesStopHereInBothDirections) {
  EXPECT_EQ(
      forwarded("GET / HTTP/1.1\r\nHost: h\r\ncOnnection: , x-HOP ,,keep-alive\r\n"
                "X-Hop: 1\r\nConnection:\r\nCONNECTION: other\r\nOther: 2\r\nX-End: 3\r\n\r\n"),
      "GET / HTTP/1.1\r\nHost: h\r\nX-End: 3\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nconnection: other, keep-alive\r\n"
                     "X-Hop: 1\r\nOTHER: 2\r\nX-End: 3\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX-End: 3\r\nContent-Length: 0\r\n\r\n");
}

// 2
TEST_F(Smuggling, HopByHopFieldsStopHereInBothDirections) {
  const std::string hop_by_hop =
      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, deflate\r\n"
      "Upgrade: h2c, irc/6.9\r\nProxy-Authenticate: Basic\r\nProxy-Authorization: Basic x\r\n";
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\n" + hop_by_hop + "\r\n"), kGet);
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n" + hop_by_hop + "Content-Length: 2\r\n\r\nok"), kOk);
}

// 3
TEST_F(Smuggling, ConnectionCannotNameWhatFramesRoutesAuthenticatesOrIsAddedHere) {
  open({.forwarding = Forwarding::append, .client_address = "192.0.2.1"});
  client_->send(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nAuthorization: a\r\n"
      "Cookie: c\r\nConnection: Host, Content-Length, Cookie, Authorization, "
      "X-Forwarded-For, X-Forwarded-Proto, Forwarded\r\n\r\nhi");
  const std::string got = origin().take();
  for (const char* kept : {"Host: h\r\n", "Content-Length: 2\r\n", "Authorization: a\r\n",
                           "Cookie: c\r\n", "X-Forwarded-For: 192.0.2.1\r\n",
                           "X-Forwarded-Proto: http\r\n", "Forwarded: for=192.0.2.1"}) {
    EXPECT_THAT(got, HasSubstr(kept));
  }
}

// 4
TEST_F(Smuggling, ContentLengthWithTransferEncodingIsRefused) {
  EXPECT_EQ(post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), 400);
  EXPECT_THAT(post("Transfer-Encoding: x\r\nContent-Length: 4\r\n"), AnyOf(400, 501));
}

// 5
TEST_F(Smuggling, TransferEncodingOtherThanOneChunkedIsRefused) {
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400);
  for (const std::string coding :
       {"xchunked", "chunkedx", "identity", "gzip, chunked", "chunked, gzip", "chunked, chunked",
        "chunked,", ",chunked", "\"chunked\"", "chunked;a=b", "", "c hunked"}) {
    EXPECT_THAT(post("Transfer-Encoding: " + coding + "\r\n"), AnyOf(400, 501)) << coding;
  }
  EXPECT_EQ(post("Transfer-Encoding: chunked\v\r\n"), 400);
  EXPECT_EQ(post("Transfer-Encoding: \fchunked\r\n"), 400);
  EXPECT_EQ(post("Transfer-Encoding: chunk\xC3\xA9\r\n"), 501);
  EXPECT_EQ(post("Transfer_Encoding : chunked\r\n"), 400);
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

// 6
TEST_F(Smuggling, ContentLengthsThatDifferOrAreNoNumberAreRefused) {
  EXPECT_EQ(post("Content-Length: 4\r\nContent-Length: 5\r\n"), 400);
  for (const std::string length : {"4, 5", "+5", "-1", "0x5", "5 5", "5.0", "5e1", "", "\"5\"",
                                   "9223372036854775808", "18446744073709551617"}) {
    EXPECT_EQ(post("Content-Length: " + length + "\r\n"), 400) << length;
  }
}

TEST_F(Smuggling, EqualContentLengthsAreForwardedAsOne) {
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n"
                        "Content-Length: 2\r\n\r\nhi"),
              EndsWith("Host: h\r\nContent-Length: 2\r\n\r\nhi"));
}

// 7
TEST_F(Smuggling, SpaceBetweenNameAndColonIsRefusedInARequestAndStrippedFromAResponse) {
  EXPECT_EQ(post("Content-Length : 4\r\n"), 400);
  EXPECT_EQ(post("Content-Length\t: 4\r\n"), 400);
  EXPECT_EQ(post(" Content-Length: 4\r\n"), 400) << "a fold of Host, which it spoils";
  open();
  get();
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"),
              StartsWith("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"));
}

// 8
TEST_F(Smuggling, AFoldedFieldIsReadAndForwardedAsOneLine) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n \t2\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1 2\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX-B: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX-B: 1 2\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n , gzip\r\n"), 501);
  EXPECT_EQ(post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n"), 400);
}

// 9
TEST_F(Smuggling, ControlBytesAndBareLineEndsAreRefused) {
  EXPECT_EQ(post("X: a\rb\r\n"), 400);
  EXPECT_EQ(post("X: a\nContent-Length: 4\r\n"), 400);
  EXPECT_EQ(post(std::string("X: a\0b\r\n", 8)), 400);
  EXPECT_EQ(post("X: a\x7f\r\n"), 400);
  EXPECT_EQ(post("X\x01: a\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(refusal("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\rHost: h\r\r"), 400);
}

// 10
TEST_F(Smuggling, EmptyLinesBeforeARequestAreSkippedAndJunkIsNot) {
  EXPECT_EQ(forwarded("\r\n\r\n" + std::string(kGet)), kGet);
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(forwarded("\r\n" + std::string(kGet)), kGet);
  EXPECT_EQ(refusal("\r\n\r\n\r\n"), 400);
  EXPECT_EQ(refusal("x\r\n" + std::string(kGet)), 400);
  EXPECT_EQ(refusal(" " + std::string(kGet)), 400);
}

// 11
TEST_F(Smuggling, AMissingRepeatedOrMalformedHostIsRefused) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://h/ HTTP/1.1\r\n\r\n"), 400);
  for (const std::string host :
       {"", "a b", "a/b", "u@h", "h:x", "h:80:80", "[::1", "a,b", "a\\b"}) {
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 400) << host;
  }
}

TEST_F(Smuggling, AnAbsoluteTargetReplacesHost) {
  EXPECT_EQ(forwarded("GET http://h/p?q HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(ends_->hosts.back(), "h");
}

// 12
TEST_F(Smuggling, TargetsTravelByteForByte) {
  for (const std::string target : {"/a%2Fb", "//a//b", "/../a/./b", "/;a;b", "/?a=%00&b=/..;",
                                   "/caf\xC3\xA9", "/a?b?c", "/%zz", "/a\\b", "/{x}|y"}) {
    open();
    EXPECT_THAT(forwarded("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"),
                StartsWith("GET " + target + " HTTP/1.1\r\n"));
  }
  open();
  EXPECT_THAT(forwarded("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("OPTIONS * "));
}

TEST_F(Smuggling, TargetsInAFormThatTheirMethodHasNotAreRefused) {
  EXPECT_EQ(refusal("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET index.html HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

TEST_F(Smuggling, AnAbsoluteTargetNeverChoosesWhereWeConnect) {
  open();
  client_->send("GET http://169.254.169.254/latest HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET /latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
      << "to the upstream of the route, as any other request";
}

// 13
TEST_F(Smuggling, MethodsAreCaseSensitiveAndUnknownOnesPass) {
  EXPECT_THAT(forwarded("get / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("get / "));
  answered(kOk);
  EXPECT_THAT(forwarded("PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("PROPFIND / "));
  for (const std::string method : {"TRACE", "TRACK", "CONNECT"}) {
    EXPECT_EQ(refusal(method + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 405);
  }
  EXPECT_EQ(refusal("CONNECT h:22 HTTP/1.1\r\nHost: h:22\r\n\r\n"), 405);
  EXPECT_EQ(refusal("G(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

TEST_F(Smuggling, OptionsCountsMaxForwardsDownAndIsAnsweredHereAtZero) {
  EXPECT_THAT(forwarded("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n"),
              HasSubstr("Max-Forwards: 0\r\n"));
  answered(kOk);
  client_->send("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");
  EXPECT_EQ(client_->take(),
            "HTTP/1.1 200 OK\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(ends_->connects, 1);
}

// 14
TEST_F(Smuggling, OtherVersionsAreAnsweredAndClosed) {
  EXPECT_EQ(refusal("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/3.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.10\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / http/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /\r\n\r\n"), 400) << "HTTP/0.9";
}

// 15
TEST_F(Smuggling, ChunkSizesThatAreNotPlainHexadecimalAreRefused) {
  for (const std::string chunk :
       {"0x2\r\nhi\r\n", "+2\r\nhi\r\n", "-2\r\nhi\r\n", " 2\r\nhi\r\n", "2 x\r\nhi\r\n",
        "\r\nhi\r\n", "g\r\nhi\r\n", "2\nhi\r\n", "2\rhi\r\n", "2\r\nhi\n", "2\r\nhi",
        "2\r\nhix\r\n", "ffffffffffffffff\r\nhi", "10000000000000002\r\nhi\r\n",
        "00000000000000002\r\nhi\r\n", "8000000000000000\r\nhi"}) {
    EXPECT_EQ(chunks(chunk), 400) << chunk;
  }
}

// 16
TEST_F(Smuggling, ChunkExtensionsAreBoundedCheckedAndDropped) {
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2;a=b;c=\"x;\\\"\" ;d\r\nhi\r\n0;e\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
  EXPECT_EQ(chunks("2;" + std::string(5000, 'a') + "\r\nhi\r\n"), 400);
  EXPECT_EQ(chunks("2;a\nb\r\nhi\r\n"), 400) << "a line end to some readers";
  EXPECT_EQ(chunks("2;a=\"\r\nhi\r\n"), 400) << "a quoted string that other readers go on with";
}

// 17
TEST_F(Smuggling, TrailersTravelAndNeverFrameRouteOrAuthenticate) {
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nX-Unannounced: 2\r\n"
                        "Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: evil\r\n"
                        "Authorization: x\r\nCookie: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
              EndsWith("\r\n\r\n0\r\nX-Sum: 1\r\nX-Unannounced: 2\r\n\r\n"));
  EXPECT_EQ(chunks("0\r\nX : 1\r\n\r\n"), 400);
  EXPECT_EQ(chunks("0\r\nX: 1\r\n folded\r\n\r\n"), 400);
  EXPECT_EQ(chunks("0\r\nX: 1\n\r\n"), 400);
}

// 18
TEST_F(Smuggling, HeadsAreBounded) {
  EXPECT_EQ(refusal("GET /" + std::string(17'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
  EXPECT_EQ(post("X: " + std::string(70'000, 'a') + "\r\n"), 431);
  std::string many;
  for (int i = 0; i < 200; ++i) {
    many += "X: 1\r\n";
  }
  EXPECT_EQ(post(many), 431);
  EXPECT_EQ(chunks("0\r\n" + many), 431);
}

// 19
TEST_F(Smuggling, ALimitedBodyIsAnswered413) {
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
                    {.limits = {.body_bytes = 10}}),
            413);
  EXPECT_EQ(chunks("8\r\n01234567\r\n8\r\n01234567\r\n", {.body_bytes = 10}), 413);
}

// 20
TEST_F(Smuggling, SlowHeadsEndWith408HoweverTheyDrip) {
  open();
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: 1\r\n";
  for (std::size_t i = 0; i < head.size(); ++i) {
    client_->send(head.substr(i, 1));
    advance(seconds(2));
  }
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(ends_->connects, 0);
}

// 21
TEST_F(Smuggling, BytesBehindARequestAreTheNextRequestsAndNobodyElses) {
  open();
  client_->send(
      "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n"
      "Host: h\r\n\r\n");
  EXPECT_THAT(origin().take(), EndsWith("\r\n\r\nabc"));
  answered("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(ends_->origins.size(), 2U);
  EXPECT_EQ(origin().take(), "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(ends_->origins[0]->take(), "");
}

TEST_F(Smuggling, NothingIsReadBehindARequestThatCloses) {
  open();
  client_->send("GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + std::string(kGet));
  origin().take();
  EXPECT_THAT(answered(kOk), HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(ends_->connects, 1);
}

// 22
TEST_F(Smuggling, NothingIsForwardedBeforeItsHeadIsWholeAndValid) {
  open();
  client_->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n");
  EXPECT_EQ(ends_->connects, 0);
  client_->send("Bad Field: 1\r\n\r\nbody");
  EXPECT_EQ(ends_->connects, 0);
  open();
  get();
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX: 1\r\n"), "");
  EXPECT_THAT(answered("Bad Field: 1\r\n\r\nbody"), StartsWith("HTTP/1.1 502 "));
}

TEST_F(Smuggling, AnOriginThatTalksOutOfTurnAnswersNobody) {
  get();
  answered(kOk);
  origin().send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  open();
  EXPECT_EQ(forwarded(kGet), kGet);
  ASSERT_EQ(ends_->origins.size(), 2U) << "a connection with stray bytes serves no other client";
  EXPECT_EQ(answered(kOk), kOk);
}

}  // namespace
}  // namespace simplon::http
