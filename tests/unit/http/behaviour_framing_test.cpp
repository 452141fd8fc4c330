// Where a body and a message end, and how large they may be: behaviours 15 to 19, 21 and 22, as raw
// bytes. What is refused must not reach an origin, and ends the connection.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Chunk sizes.
using Behaviour15 = Engine;
/// Chunk extensions.
using Behaviour16 = Engine;
/// Trailers.
using Behaviour17 = Engine;
/// Bounds of heads.
using Behaviour18 = Engine;
/// Bounds of bodies.
using Behaviour19 = Engine;
/// Pipelining.
using Behaviour21 = Engine;
/// Nothing travels before it is known to be valid.
using Behaviour22 = Engine;

TEST_F(Behaviour15, RefusesChunkSizesThatAreNotPlainHexadecimal) {
  for (const std::string chunk :
       {"0x2\r\nhi\r\n", "+2\r\nhi\r\n", "-2\r\nhi\r\n", " 2\r\nhi\r\n", "2 x\r\nhi\r\n",
        "2_0\r\nhi\r\n", "\r\nhi\r\n", "g\r\nhi\r\n", "2g\r\nhi\r\n", ";a\r\nhi\r\n"}) {
    EXPECT_EQ(refused_chunks(chunk), 400) << chunk;
  }
}

TEST_F(Behaviour15, RefusesChunksWithoutTheirLineEnds) {
  for (const std::string chunk :
       {"2\nhi\r\n", "2\rhi\r\n", "2\r\r\nhi\r\n", "2\r\nhi\n", "2\r\nhi\r", "2\r\nhi",
        "2\r\nhix\r\n", "2\r\nh\r\n", "2\r\nhi\r\n\r\n"}) {
    EXPECT_EQ(refused_chunks(chunk), 400) << chunk;
  }
}

TEST_F(Behaviour15, RefusesSizesThatOverflowOrAreLong) {
  for (const std::string chunk : {"ffffffffffffffff\r\nhi", "8000000000000000\r\nhi",
                                  "10000000000000002\r\nhi\r\n", "00000000000000002\r\nhi\r\n"}) {
    EXPECT_EQ(refused_chunks(chunk), 400) << chunk;
  }
  EXPECT_EQ(refused_chunks(std::string(100'000, '0') + "2\r\nhi\r\n"), 400);
}

TEST_F(Behaviour15, TakesSizesOfUpToSixteenDigitsInAnyCase) {
  EXPECT_EQ(forwarded(std::string(kPost) + "0000000000000002\r\nhi\r\nA\r\n0123456789\r\n"
                                           "a\r\n0123456789\r\n00\r\n\r\n"),
            std::string(kPost) + "16\r\nhi01234567890123456789\r\n0\r\n\r\n");
}

TEST_F(Behaviour15, CutsAResponseWhoseChunksAreMalformed) {
  for (const std::string chunk : {"0x2\r\nhi\r\n", "2\r\nhix", "zz\r\n", "ffffffffffffffff\r\n"}) {
    open();
    get();
    answered(kChunkedOk);
    EXPECT_THAT(answered(chunk), Not(HasSubstr("0\r\n\r\n"))) << chunk;
    EXPECT_TRUE(client_->gone());
    EXPECT_TRUE(origin().failure());
  }
}

TEST_F(Behaviour16, IgnoresChunkExtensionsAndDropsThemInBothDirections) {
  const std::string body = "2;a=b;c=\"x;\\\"\" ;d\r\nhi\r\n0;e\r\n\r\n";
  EXPECT_EQ(forwarded(std::string(kPost) + body), std::string(kPost) + "2\r\nhi\r\n0\r\n\r\n");
  EXPECT_EQ(answered(std::string(kChunkedOk) + body),
            std::string(kChunkedOk) + "2\r\nhi\r\n0\r\n\r\n");
}

TEST_F(Behaviour16, BoundsExtensions) {
  EXPECT_EQ(refused_chunks("2;" + std::string(5000, 'a') + "\r\nhi\r\n"), 400);
  EXPECT_EQ(refused_chunks("2" + std::string(5000, ' ') + "\r\nhi\r\n"), 400);
  open();
  EXPECT_EQ(forwarded(std::string(kPost) + "2;" + std::string(4000, 'a') + "\r\nhi\r\n"),
            std::string(kPost) + "2\r\nhi\r\n");
}

TEST_F(Behaviour16, RefusesExtensionsThatReadersEndElsewhere) {
  EXPECT_EQ(refused_chunks("2;a\nb\r\nhi\r\n"), 400) << "a line end to some readers";
  EXPECT_EQ(refused_chunks("2;a\rb\r\nhi\r\n"), 400);
  EXPECT_EQ(refused_chunks("2;a=\"\r\nhi\r\n"), 400) << "a quoted string that others go on with";
  EXPECT_EQ(refused_chunks(std::string("2;a\0\r\nhi\r\n", 10)), 400);
}

TEST_F(Behaviour17, TrailersTravelWhereAllowedAnnouncedOrNot) {
  const std::string trailers = "0\r\nX-Sum: 1\r\nX-Unannounced: 2\r\nETag: \"e\"\r\n\r\n";
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n"
                        "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        trailers),
              AllOf(EndsWith("\r\n\r\n" + trailers), HasSubstr("Trailer: X-Sum\r\n"),
                    HasSubstr("TE: trailers\r\n")));
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "2\r\nok\r\n" +
                     trailers),
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" +
                trailers);
}

TEST_F(Behaviour17, TrailersNeverFrameRouteOrAuthenticate) {
  const std::string acting =
      "Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: evil\r\nAuthorization: x\r\n"
      "Cookie: a\r\nSet-Cookie: b\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"
      "Connection: close\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
      "Simplon-Error: x\r\nProxy-Authorization: x\r\nLocation: /x\r\nTrailer: x\r\nTE: x\r\n";
  EXPECT_THAT(forwarded(std::string(kPost) + "0\r\n" + acting + "X-Sum: 1\r\n\r\n"),
              EndsWith("\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"));
  EXPECT_EQ(answered(std::string(kChunkedOk) + "0\r\n" + acting + "X-Sum: 1\r\n\r\n"),
            std::string(kChunkedOk) + "0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_EQ(ends_->released, 1) << "nor close connections";
}

TEST_F(Behaviour17, RefusesMalformedTrailers) {
  EXPECT_EQ(refused_chunks("0\r\nX : 1\r\n\r\n"), 400);
  EXPECT_EQ(refused_chunks("0\r\nX: 1\r\n folded\r\n\r\n"), 400);
  EXPECT_EQ(refused_chunks("0\r\nX: 1\n\r\n"), 400);
  EXPECT_EQ(refused_chunks("0\r\nX\r\n\r\n"), 400);
  EXPECT_EQ(refused_chunks(std::string("0\r\nX: a\0b\r\n\r\n", 13)), 400);
}

TEST_F(Behaviour17, AnHttp10ClientGetsTheBodyWithoutThem) {
  open();
  client_->send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answered(std::string(kChunkedOk) + "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
              EndsWith("\r\n\r\nok"));
}

TEST_F(Behaviour18, HeadsAreBounded) {
  EXPECT_EQ(refusal("GET /" + std::string(17'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
  EXPECT_EQ(refused_fields("X: " + std::string(70'000, 'a') + "\r\n"), 431) << "one field";
  std::string half;
  for (int i = 0; i < 70; ++i) {
    half += "X: " + std::string(1'000, 'a') + "\r\n";
  }
  EXPECT_EQ(refused_fields(half), 431) << "all together";
  std::string many;
  for (int i = 0; i < 128; ++i) {
    many += "X: 1\r\n";
  }
  EXPECT_EQ(refused_fields(many), 431) << "their number, Host included";
  EXPECT_EQ(refused_chunks("0\r\n" + many), 431) << "and that of trailers";
  EXPECT_EQ(refused_chunks("0\r\nX: " + std::string(20'000, 'a') + "\r\n"), 431);
}

TEST_F(Behaviour18, HeadsWithinTheBoundsPass) {
  std::string fields;
  for (int i = 0; i < 100; ++i) {
    fields += "X: " + std::string(400, 'a') + "\r\n";
  }
  const std::string request =
      "GET /" + std::string(15'000, 'a') + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  EXPECT_EQ(forwarded(request), request);
}

TEST_F(Behaviour18, AnUnfinishedHeadTakesNoMoreThanTheBound) {
  open();
  client_->send("GET / HTTP/1.1\r\nHost: h\r\nX: ");
  std::size_t sent = 0;
  while (sent < 1'000'000 && !client_->gone()) {
    client_->send(std::string(1'000, 'a'));
    sent += 1'000;
  }
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 431 "));
  EXPECT_LE(sent, 66'000U);
  open();
  client_->send("GET /");
  for (sent = 0; sent < 1'000'000 && !client_->gone(); sent += 1'000) {
    client_->send(std::string(1'000, 'a'));
  }
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 414 "));
  EXPECT_LE(sent, 18'000U);
}

TEST_F(Behaviour18, AnOriginsHeadIsBoundedToo) {
  EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
  EXPECT_TRUE(origin().gone());
}

TEST_F(Behaviour19, ALimitedBodyIsAnswered413AndTheConnectionCloses) {
  const Policy policy{.limits = {.body_bytes = 10}};
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", policy), 413);
  EXPECT_EQ(refused_chunks("8\r\n01234567\r\n8\r\n01234567\r\n", policy.limits), 413);
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour19, ABodyAtTheLimitPassesAndResponsesAreNotLimited) {
  open({.limits = {.body_bytes = 10}});
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789"),
              EndsWith("\r\n\r\n0123456789"));
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + std::string(20, 'x')),
              EndsWith("\r\n\r\n" + std::string(20, 'x')));
  forwarded(std::string(kPost) + "a\r\n0123456789\r\n0\r\n\r\n");
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour19, ThereIsNoLimitByDefault) {
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000000\r\n\r\nx"),
              EndsWith("Content-Length: 5000000000\r\n\r\nx"));
}

TEST_F(Behaviour21, PipelinedRequestsAreAnsweredInOrderAndNoneIsLost) {
  open();
  client_->send(
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\n"
      "Content-Length: 4\r\n\r\nbodyGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /5 "
      "HTTP/1.1\r\nHost: h\r\n\r\n");
  for (const std::string number : {"1", "2", "3", "4", "5"}) {
    const std::string seen = origin().take();
    EXPECT_THAT(seen, HasSubstr(" /" + number + " HTTP/1.1\r\n"));
    EXPECT_EQ(seen.find(" HTTP/1.1"), seen.rfind(" HTTP/1.1")) << "one at a time";
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + number;
    EXPECT_EQ(answered(answer), answer);
  }
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour21, BytesBehindARequestAreTheNextRequestsAndNobodyElses) {
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

TEST_F(Behaviour21, AnotherClientOnTheSameOriginConnectionSeesNothingOfThem) {
  open();
  client_->send(std::string(kGet) + "GET /half");
  EXPECT_EQ(origin().take(), kGet);
  answered(kOk);
  const auto first = std::move(client_);
  open();
  client_->send("GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answered(kOk), kOk);
  first->send(" HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour21, NothingIsReadBehindARequestThatCloses) {
  open();
  client_->send("GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + std::string(kGet));
  origin().take();
  EXPECT_THAT(answered(kOk), HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(ends_->connects, 1);
  EXPECT_EQ(origin().take(), "");
}

TEST_F(Behaviour22, NothingIsForwardedBeforeItsHeadIsWholeAndValid) {
  open();
  client_->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n");
  EXPECT_EQ(ends_->connects, 0);
  client_->send("Bad Field: 1\r\n\r\nbody");
  EXPECT_EQ(ends_->connects, 0);
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 400 "));
  open();
  get();
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX: 1\r\n"), "");
  EXPECT_THAT(answered("Bad Field: 1\r\n\r\nbody"),
              AllOf(StartsWith("HTTP/1.1 502 "), Not(HasSubstr("\r\n\r\nbody"))));
}

TEST_F(Behaviour22, AFramingErrorEndsBothConnections) {
  open();
  get();
  answered(kOk);
  forwarded(std::string(kPost) + "2\r\nhi\r\n");
  ASSERT_EQ(ends_->origins.size(), 1U);
  client_->send("zz\r\n" + std::string(kGet));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(client_->ended());
  EXPECT_TRUE(origin().failure());
  EXPECT_TRUE(ends_->pool.empty()) << "it serves nobody else";
}

TEST_F(Behaviour22, AnOriginThatTalksOutOfTurnAnswersNobody) {
  get();
  answered(kOk);
  origin().send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  open();
  EXPECT_EQ(forwarded(kGet), kGet);
  ASSERT_EQ(ends_->origins.size(), 2U) << "a connection with stray bytes serves no other client";
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour22, AnOriginThatSaysMoreThanItsResponseIsDropped) {
  get();
  EXPECT_EQ(answered(std::string(kOk) + "HTTP/1.1 200 OK\r\n"), kOk);
  EXPECT_EQ(ends_->released, 0);
  EXPECT_TRUE(origin().gone());
}

}  // namespace
}  // namespace simplon::http
