// What Beast 1.81's parser was seen to do with odd messages, one test for each, and what the engine
// makes of it: the same bytes, whatever a later version of the parser does with them.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Beast refuses these by an error code: a 400 (or 505) of ours, and the end of the connection.
using BeastRefuses = Engine;
/// Beast takes these; we do not, or not as they are.
using BeastLetsThrough = Engine;

TEST_F(BeastRefuses, AmbiguousLengths) {
  EXPECT_EQ(refused_fields("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400);
  EXPECT_EQ(refused_fields("Content-Length: 2\r\nContent-Length: 3\r\n"), 400);
  EXPECT_EQ(refused_fields("Content-Length: +2\r\n"), 400);
  EXPECT_EQ(refused_fields("Content-Length: -1\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
}

TEST_F(BeastRefuses, BytesThatAreNotTheGrammar) {
  EXPECT_EQ(refused_fields("Content-Length : 2\r\n"), 400) << "space before the colon";
  EXPECT_EQ(refused_fields(std::string("X: \0\r\n", 6)), 400);
  EXPECT_EQ(refused_fields("X: \x02\r\n"), 400);
  EXPECT_EQ(refused_fields("X: a\v\r\n"), 400);
  EXPECT_EQ(refused_fields("X: a\n"), 400) << "bare LF";
  EXPECT_EQ(refusal("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400) << "two spaces";
  EXPECT_EQ(refusal("GET /\x02 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

TEST_F(BeastLetsThrough, CodingsThatItTakesForNoBody) {
  EXPECT_EQ(refused_fields("Transfer-Encoding: xchunked\r\n"), 501);
  EXPECT_EQ(refused_fields("Transfer-Encoding: identity\r\n"), 501);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked, gzip\r\n"), 501);
}

TEST_F(BeastLetsThrough, CodingsBeforeChunked) {
  EXPECT_EQ(refused_fields("Transfer-Encoding: gzip, chunked\r\n"), 501);
}

TEST_F(BeastLetsThrough, TransferEncodingInHttp10) {
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST_F(BeastLetsThrough, EqualContentLengthsAsSeveralFields) {
  for (const std::string lengths : {"2\r\nContent-Length: 2", "2, 2"}) {
    open();
    EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + lengths + "\r\n\r\nhi"),
              "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  }
}

TEST_F(BeastLetsThrough, NoHostOrTwo) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), 400);
}

TEST_F(BeastLetsThrough, AnAbsoluteTargetWithAnotherHost) {
  EXPECT_EQ(forwarded("GET http://h/p?q HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST_F(BeastLetsThrough, FoldedFields) { EXPECT_EQ(refused_fields("X: a\r\n b\r\n"), 400); }

TEST_F(BeastLetsThrough, EightBitBytesAsWeDo) {
  const std::string request = "GET /\xC3\xA4\xFF HTTP/1.1\r\nHost: h\r\nX: \xC3\xA4\xFF\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
}

TEST_F(BeastRefuses, EmptyLinesThatWeSkipUpToTwoOf) {
  EXPECT_EQ(forwarded("\r\n\r\n" + std::string(kGet)), kGet);
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(forwarded("\r\n\r\n" + std::string(kGet)), kGet);
  EXPECT_EQ(refusal("\r\n\r\n\r\n"), 400);
}

TEST_F(BeastRefuses, AStatusLineWithoutItsLastSpaceThatWeTake) {
  EXPECT_EQ(answer_for("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"),
            "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")
      << "common servers send it";
}

TEST_F(BeastLetsThrough, UnknownMethodsAsWeDoByName) {
  const std::string request = "Frobnicate / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
}

TEST_F(BeastRefuses, LargeHeadsByADefaultThatIsNotOurs) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(60'000, 'a') + "\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
  EXPECT_EQ(refused_fields("X: " + std::string(65'536, 'a') + "\r\n"), 431);
}

TEST_F(BeastLetsThrough, ThousandsOfFields) {
  std::string fields;
  for (int i = 0; i < 5'000; ++i) {
    fields += "a:b\r\n";
  }
  EXPECT_EQ(refused_fields(fields), 431);
  std::string allowed;
  for (int i = 0; i < 127; ++i) {
    allowed += "a: b\r\n";
  }
  open();
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n" + allowed + "\r\n";
  EXPECT_EQ(forwarded(request), request);
}

TEST_F(BeastRefuses, LargeBodiesByADefaultThatIsNotOurs) {
  const std::string request =
      "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000000\r\n\r\nfirst";
  EXPECT_EQ(forwarded(request), request);
  EXPECT_EQ(answer_for("HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\nfirst"),
            "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\nfirst");
}

TEST_F(BeastLetsThrough, AnInterimHeadAsTheWholeMessage) {
  const std::string three =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + std::string(kOk);
  EXPECT_EQ(answer_for(three), three);
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(BeastLetsThrough, BytesBehindAnUpgradeThatItLeavesToUs) {
  open();
  client_->send(kHandshake + "up");
  EXPECT_EQ(answered(kSwitch + "down"), kSwitch + "down");
  EXPECT_EQ(origin().take(), kHandshake + "up");
}

TEST_F(BeastLetsThrough, LengthsOfResponsesThatHaveNoBody) {
  for (const std::string status : {"204 No Content", "304 Not Modified"}) {
    get();
    EXPECT_THAT(answered("HTTP/1.1 " + status + "\r\nContent-Length: 9\r\n\r\n"),
                StartsWith("HTTP/1.1 " + status + "\r\n"));
  }
  forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
              HasSubstr("Content-Length: 9\r\n"));
  EXPECT_EQ(ends_->released, 3) << "nobody waits for nine bytes";
}

TEST_F(BeastLetsThrough, ResponsesWithoutALengthWhoseResetIsNoEnd) {
  EXPECT_EQ(answer_for("HTTP/1.1 200 OK\r\n\r\nab"), std::string(kChunkedOk) + "2\r\nab\r\n");
  origin().stream().reset(base::Errc::truncated);
  EXPECT_EQ(client_->take(), "");
  EXPECT_TRUE(client_->gone());
}

TEST_F(BeastLetsThrough, TrailersAmongTheFields) {
  EXPECT_EQ(answer_for(std::string(kChunkedOk) + "0\r\nContent-Length: 9\r\nX: y\r\n\r\n"),
            std::string(kChunkedOk) + "0\r\nX: y\r\n\r\n")
      << "what Beast makes an error of is dropped";
}

TEST_F(BeastLetsThrough, ChunkExtensionsThatWeDrop) {
  EXPECT_EQ(answer_for(std::string(kChunkedOk) + "2;a=b\r\nok\r\n0;c\r\n\r\n"),
            std::string(kChunkedOk) + "2\r\nok\r\n0\r\n\r\n");
}

TEST_F(BeastLetsThrough, FieldsInAnOrderOfItsOwn) {
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n";
  EXPECT_EQ(forwarded(request), request) << "its container groups them; ours does not";
}

TEST_F(BeastLetsThrough, ExpectationsThatItDoesNotSee) {
  forwarded("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_THAT(answered("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 417 "), HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(client_->ended());
}

TEST_F(BeastLetsThrough, ChunkLinesAndTrailersWithoutBound) {
  std::string trailers;
  for (int i = 0; i < 20'000; ++i) {
    trailers += "a: b\r\n";
  }
  EXPECT_EQ(refused_chunks("0\r\n" + trailers), 431);
  EXPECT_EQ(refused_chunks("0\r\na: " + std::string(200'000, 'b') + "\r\n"), 431);
  EXPECT_EQ(refused_chunks("2;" + std::string(1'000'000, 'a') + "\r\nhi\r\n"), 400);
  EXPECT_EQ(refused_chunks(std::string(100'000, '0') + "2\r\nhi\r\n"), 400);
  EXPECT_EQ(refused_chunks("0\r\nX: a\r\n folded\r\n"), 400);
}

TEST_F(BeastLetsThrough, SmallBodiesOneByteAtATimeAsWeDo) {
  get();
  std::string got;
  for (const char byte : std::string(kChunkedOk) + "3\r\nabc\r\n0\r\n\r\n") {
    got += answered({&byte, 1});
  }
  EXPECT_EQ(got, std::string(kChunkedOk) + "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
}

}  // namespace
}  // namespace simplon::http
