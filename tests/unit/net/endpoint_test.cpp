#include "net/endpoint.hpp"

#include <gmock/gmock.h>

#include "net/resolve.hpp"
#include "unit/net/harness.hpp"

namespace simplon::net::test {
namespace {

using testing::ElementsAre;

TEST(EndpointText, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(parse_endpoint("example.com:80"), (Endpoint{"example.com", 80}));
  EXPECT_EQ(parse_endpoint("127.0.0.1:0"), (Endpoint{"127.0.0.1", 0}));
  EXPECT_EQ(parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535}));
  EXPECT_EQ(parse_endpoint(":8080"), (Endpoint{"", 8080}));
}

TEST(EndpointText, AnythingElseIsAnError) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "example.com"sv, "example.com:"sv, "a:65536"sv, "a:-1"sv, "a:+1"sv, "a:80 "sv,
        "a b:80"sv, "::1:80"sv, "[::1]"sv, "[::1]80"sv, "[1.2.3.4]:80"sv, "[::1:80"sv, "[]:80"sv,
        "http://a:80"sv, "u@a:80"sv, "a:80/"sv, "a\0b:80"sv, "[::1\0x]:80"sv}) {
    EXPECT_EQ(error_of(parse_endpoint(text)), Errc::invalid_argument) << text;
  }
}

TEST(EndpointText, IsWrittenAsItIsRead) {
  for (const char* const text : {"example.com:80", "[::1]:80", ":1", "1.2.3.4:5"}) {
    EXPECT_EQ(to_string(parse_endpoint(text).value()), text);
  }
}

TEST(SocketAddresses, AnAddressIsALiteralAndNothingElse) {
  EXPECT_EQ(SocketAddress::from_ip("127.0.0.1", 80)->ip(), "127.0.0.1");
  EXPECT_EQ(SocketAddress::from_ip("::1", 80)->endpoint(), (Endpoint{"::1", 80}));
  for (const char* const text :
       {"3000", "0x7f.1", "127.1", "localhost", "", "[::1]", "1.2.3.4.5"}) {
    EXPECT_FALSE(SocketAddress::from_ip(text, 80)) << text;
  }
}

TEST(SocketAddresses, AMappedAddressShowsAsWhatItIs) {
  const auto mapped = SocketAddress::from_ip("::ffff:127.0.0.1", 80);
  EXPECT_EQ(mapped->ip(), "127.0.0.1");
  EXPECT_TRUE(mapped->loopback());
  EXPECT_FALSE(SocketAddress::from_ip("128.0.0.1", 80)->loopback());
}

std::vector<std::string> texts(const std::vector<SocketAddress>& addresses) {
  std::vector<std::string> out;
  for (const auto& address : addresses) {
    out.push_back(to_string(address.endpoint()));
  }
  return out;
}

TEST(Resolve, LocalhostAndAllBelowItAreLoopback) {
  for (const char* const name : {"localhost", "demo.localhost", "a.b.LocalHost.", ""}) {
    EXPECT_THAT(texts(resolve_here(name, 80).value()), ElementsAre("127.0.0.1:80", "[::1]:80"))
        << name;
  }
  for (const char* const name : {"notlocalhost", "localhost.example", "example"}) {
    EXPECT_EQ(error_of(resolve_here(name, 80)), Errc::name_not_found) << name;
  }
}

TEST(Resolve, LiteralsAreThemselves) {
  EXPECT_THAT(texts(resolve_here("192.0.2.1", 80).value()), ElementsAre("192.0.2.1:80"));
  EXPECT_THAT(texts(resolve_here("2001:db8::1", 80).value()), ElementsAre("[2001:db8::1]:80"));
}

// A name that cannot exist (RFC 6761 §6.4) ends as an error, whatever the name service is.
TEST(Resolve, ANameThatIsNotThereIsNotFound) {
  Loop loop;
  const auto got =
      run(loop, resolve(loop, "nobody.invalid", 80, loop.now() + std::chrono::seconds(10)));
  EXPECT_FALSE(got);
}

TEST(Resolve, ALookupOutlivesItsLoop) {
  Loop loop;
  const auto never = start(loop, resolve(loop, "nobody.invalid", 80, TimePoint::max()));
  loop.poll();
}

}  // namespace
}  // namespace simplon::net::test
