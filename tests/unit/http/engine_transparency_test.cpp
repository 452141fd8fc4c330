// What a proxy must not touch.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

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
  open({}, {.forwarding = Forwarding::append, .address = "2001:db8::1", .peer = {}});
  client_->send(request);
  EXPECT_THAT(origin().take(),
              AllOf(HasSubstr("X-Forwarded-For: 203.0.113.1, 2001:db8::1\r\n"),
                    HasSubstr("Forwarded: for=203.0.113.1, for=\"[2001:db8::1]\";host=\"h\"")));
  open({}, {.forwarding = Forwarding::replace, .address = "192.0.2.1", .peer = {}});
  client_->send(request);
  EXPECT_THAT(origin().take(),
              AllOf(HasSubstr("X-Forwarded-For: 192.0.2.1\r\n"), Not(HasSubstr("203.0.113.1"))));
}

}  // namespace
}  // namespace simplon::http
