// What a proxy must not touch: behaviours 42 to 44 and 49 to 51.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Conditions, ranges, caching.
using Behaviour42 = Engine;
/// Repeated fields.
using Behaviour43 = Engine;
/// Names and bytes.
using Behaviour44 = Engine;
/// Nothing is invented.
using Behaviour49 = Engine;
/// CONNECT.
using Behaviour50 = Engine;
/// Codings.
using Behaviour51 = Engine;

TEST_F(Behaviour42, PassesConditionsRangesAndValidatorsUnchanged) {
  const std::string request =
      "GET /v HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1, -5\r\nIf-Range: \"a\"\r\n"
      "If-Match: \"a\", W/\"b\"\r\nIf-None-Match: *\r\n"
      "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
      "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: no-cache\r\n"
      "Pragma: no-cache\r\nDNT: 1\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
  const std::string response =
      "HTTP/1.1 206 Partial Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: s/1\r\n"
      "ETag: W/\"a\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
      "Content-Range: bytes 0-1/9\r\nAccept-Ranges: bytes\r\nVary: Accept\r\nAge: 3\r\n"
      "Expires: 0\r\nCache-Control: private, max-age=\"0\"\r\nContent-Length: 2\r\n\r\nxy";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Behaviour42, PassesA304And412And416) {
  for (const std::string status :
       {"304 Not Modified", "412 Precondition Failed", "416 Range Not Satisfiable"}) {
    const std::string response = "HTTP/1.1 " + status +
                                 "\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nETag: \"a\"\r\n"
                                 "Content-Range: bytes */9\r\nContent-Length: 0\r\n\r\n";
    get();
    EXPECT_EQ(answered(response), response);
  }
}

TEST_F(Behaviour43, KeepsTheOrderAndNumberOfRepeatedFields) {
  const std::string fields =
      "X-A: 1\r\nX-B: 1\r\nX-A: 2, 3\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX-A: \r\n"
      "Accept: a\r\nAccept: b\r\n";
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  EXPECT_EQ(forwarded(request), request);
  const std::string response =
      "HTTP/1.1 200 OK\r\nDate: x\r\nSet-Cookie: a=1; Path=/\r\nX-A: 1\r\nset-cookie: b=2, c\r\n"
      "X-a: 2\r\nSet-Cookie: a=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\nSet-Cookie: a=1; Path=/"
      "\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Digest a=\"b, c\"\r\nContent-Length: 0\r\n"
      "\r\n";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Behaviour44, KeepsTheCaseOfNames) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: h\r\nx-lower: 1\r\nX-UPPER: 2\r\nuSeR-aGeNt: 3\r\nX_under: 4\r\n"
      "\r\n";
  EXPECT_EQ(forwarded(request), request);
  const std::string response =
      "HTTP/1.1 200 OK\r\ndate: x\r\nsErVeR: 1\r\netag: 2\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Behaviour44, PassesEightBitBytesOfValuesAndReasons) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: h\r\nX: gr\xC3\xBC\xDF \xFF\x80\r\nY: a\tb  c\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
  const std::string response =
      "HTTP/1.1 404 Nicht gefunden \xC3\xA4\r\nDate: x\r\nX: \xE4\xFF\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Behaviour44, RefusesThemInNames) {
  EXPECT_EQ(refused_fields("X-\xC3\xA4: 1\r\n"), 400);
  EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\nX-\xC3\xA4: 1\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour49, InventsNoUserAgentNorAnythingElseOfARequest) {
  EXPECT_EQ(forwarded(kGet), kGet) << "no User-Agent, no Accept";
  answered(kOk);
  const std::string empty = "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent:\r\n\r\n";
  EXPECT_THAT(forwarded(empty), HasSubstr("\r\nUser-Agent: \r\n")) << "an empty one is one";
}

TEST_F(Behaviour50, RefusesConnectWhateverItsTarget) {
  for (const std::string target : {"h:22", "h:443", "h", "/", "*", "http://h/", "[::1]:80"}) {
    EXPECT_EQ(refusal("CONNECT " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"), 405) << target;
  }
}

TEST_F(Behaviour50, SaysWhichMethodsThereAre) {
  open();
  EXPECT_THAT(exchange("CONNECT h:22 HTTP/1.1\r\nHost: h:22\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"),
                    HasSubstr("\r\nAllow: GET, "), Not(HasSubstr("CONNECT"))));
  EXPECT_TRUE(ends_->hosts.empty()) << "it was not even routed";
}

TEST_F(Behaviour51, PassesCodingsAndTheirBytes) {
  for (const std::string accept : {"gzip, br;q=0.5", "identity", "*;q=0", ""}) {
    open();
    const std::string request =
        "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: " + accept + "\r\n\r\n";
    EXPECT_EQ(forwarded(request), request);
    std::string body("\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0", 21);
    const std::string response =
        "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        "Content-Length: 21\r\n\r\n" +
        body;
    EXPECT_EQ(answered(response), response);
  }
  open();
  EXPECT_EQ(forwarded(kGet), kGet) << "none is added";
}

}  // namespace
}  // namespace simplon::http
