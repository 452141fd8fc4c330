// What a proxy must not touch.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST_F(Engine, PassesConditionsRangesCodingsAndValidatorsUnchanged) {
  const std::string request =
      "GET /v HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-None-Match: \"a\"\r\n"
      "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\nAccept-Encoding: gzip, br;q=0.5\r\n"
      "Accept: */*\r\nCache-Control: no-cache\r\nDNT: 1\r\n\r\n";
  EXPECT_EQ(forwarded(request), request);
  const std::string response =
      "HTTP/1.1 206 Partial Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: s/1\r\n"
      "ETag: W/\"a\"\r\nContent-Range: bytes 0-1/9\r\nContent-Encoding: gzip\r\nVary: Accept\r\n"
      "Cache-Control: private\r\nLocation: http://elsewhere/\r\nContent-Length: 2\r\n\r\nxy";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Engine, KeepsTheOrderNumberAndCaseOfRepeatedFields) {
  const std::string response =
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nX-A: 1\r\nset-cookie: b=2, c\r\nX-a: 2\r\n"
      "Set-Cookie: a=3\r\nContent-Length: 0\r\n\r\n";
  get();
  EXPECT_EQ(answered(response), response);
}

TEST_F(Engine, PassesEightBitBytesOfFieldsAndReasons) {
  EXPECT_THAT(forwarded("GET / HTTP/1.1\r\nHost: h\r\nX: gr\xC3\xBC\xDF\r\n\r\n"),
              HasSubstr("X: gr\xC3\xBC\xDF\r\n"));
  const std::string response = "HTTP/1.1 404 Nicht gefunden \xC3\xA4\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(answered(response), response);
}

TEST_F(Engine, InventsNoFields) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), kGet) << "no User-Agent, no Accept";
  EXPECT_EQ(answered("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
      << "no Date, no Server, no Via";
}

TEST_F(Engine, KeepsHostUnlessAskedToRewriteItAndNothingElseThen) {
  open({.host_header = "localhost:3000"});
  client_->send("GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\nReferer: http://h/\r\n\r\n");
  EXPECT_EQ(origin().take(),
            "GET / HTTP/1.1\r\nHost: localhost:3000\r\nOrigin: http://h\r\nReferer: http://h/\r\n"
            "\r\n");
  EXPECT_THAT(answered("HTTP/1.1 302 Found\r\nLocation: http://localhost:3000/\r\n"
                       "Content-Length: 0\r\n\r\n"),
              HasSubstr("Location: http://localhost:3000/\r\n"));
}

TEST_F(Engine, AppendsToWhatProxiesBeforeItSaidOrReplacesIt) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.1\r\nX-Real-IP: 203.0.113.1\r\n"
      "Forwarded: for=203.0.113.1\r\n\r\n";
  open({.forwarding = Forwarding::append, .client_address = "2001:db8::1"});
  client_->send(request);
  EXPECT_THAT(origin().take(),
              AllOf(HasSubstr("X-Forwarded-For: 203.0.113.1, 2001:db8::1\r\n"),
                    HasSubstr("Forwarded: for=203.0.113.1, for=\"[2001:db8::1]\";host=\"h\"")));
  open({.forwarding = Forwarding::replace, .client_address = "192.0.2.1"});
  client_->send(request);
  EXPECT_THAT(origin().take(),
              AllOf(HasSubstr("X-Forwarded-For: 192.0.2.1\r\n"), Not(HasSubstr("203.0.113.1"))));
}

TEST_F(Engine, DropsAnOriginsSimplonErrorWhereItsTargetIs) {
  const std::string response =
      "HTTP/1.1 502 Bad Gateway\r\nSimplon-Error: hop=share; reason=target_refused\r\n"
      "Content-Length: 0\r\n\r\n";
  open({.hop = base::Hop::access});
  get();
  EXPECT_EQ(answered(response), response) << "the share's word";
  open({.hop = base::Hop::share});
  get();
  EXPECT_THAT(answered(response), Not(HasSubstr("Simplon-Error"))) << "a target has none";
}

}  // namespace
}  // namespace simplon::http
