#include "tunnel/client_places.hpp"

#include <cstring>

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace simplon::tunnel {
namespace {

std::string from(const char* ip, std::uint16_t port = 1) {
  return client_of(*net::SocketAddress::from_ip(ip, port));
}

class ClientPlacesTest : public testing::Test {
 protected:
  std::shared_ptr<ClientPlaces> places_ = std::make_shared<ClientPlaces>();
};

TEST_F(ClientPlacesTest, EveryAddressHasItsOwn) {
  const auto first = places_->take(from("192.0.2.1", 1), 2);
  const auto second = places_->take(from("192.0.2.1", 2), 2);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(places_->take(from("192.0.2.1", 3), 2));
  EXPECT_TRUE(places_->take(from("192.0.2.2"), 2));
}

TEST_F(ClientPlacesTest, APlaceIsFreeAgainWhenItsConnectionEnds) {
  for (int i = 0; i < 3; ++i) {
    auto place = places_->take(from("192.0.2.1"), 1);
    ASSERT_TRUE(place);
    const ClientPlace moved = std::move(*place);
    EXPECT_FALSE(places_->take(from("192.0.2.1"), 1));
  }
}

TEST_F(ClientPlacesTest, AnIpv6ClientIsTheNetworkThatAHomeIsGiven) {
  const auto place = places_->take(from("2001:db8:0:100::1"), 1);
  EXPECT_TRUE(place);
  EXPECT_FALSE(places_->take(from("2001:db8:0:100:ffff::2"), 1));
  EXPECT_FALSE(places_->take(from("2001:db8:0:1ff::1"), 1));
  EXPECT_TRUE(places_->take(from("2001:db8:0:200::1"), 1));
}

TEST_F(ClientPlacesTest, AnAgentIsItsKeyOrWhereThereIsNoneItsName) {
  const std::string key(32, 'k');
  const auto place = places_->take(client_of(net::Peer{.name = "one", .spki_sha256 = key}), 1);
  EXPECT_TRUE(place);
  EXPECT_FALSE(places_->take(client_of(net::Peer{.name = "other", .spki_sha256 = key}), 1));
  const auto named = places_->take(client_of(net::Peer{.name = "one"}), 1);
  EXPECT_TRUE(named);
  EXPECT_FALSE(places_->take(client_of(net::Peer{.name = "one"}), 1));
}

TEST_F(ClientPlacesTest, AMappedIpv4AddressIsTheIpv4Address) {
  const auto place = places_->take(from("192.0.2.1"), 1);
  EXPECT_TRUE(place);
  EXPECT_FALSE(places_->take(from("::ffff:192.0.2.1"), 1));
  EXPECT_TRUE(places_->take(from("::ffff:192.0.2.2"), 1));
}

TEST_F(ClientPlacesTest, AnIpv4AddressBehindANat64IsTheIpv4Address) {
  const auto place = places_->take(from("192.0.2.1"), 1);
  EXPECT_TRUE(place);
  EXPECT_FALSE(places_->take(from("64:ff9b::c000:201"), 1));
  EXPECT_TRUE(places_->take(from("64:ff9b::c000:202"), 1));
  EXPECT_TRUE(places_->take(from("64:ff9b:0:100::c000:201"), 1)) << "another network";
}

TEST_F(ClientPlacesTest, HostsOfOneLinkAreNotTakenForOneHome) {
  const auto on = [](std::uint32_t link, const char* ip) {
    auto address = *net::SocketAddress::from_ip(ip, 1);
    sockaddr_in6 in6{};
    std::memcpy(&in6, address.data(), sizeof in6);
    in6.sin6_scope_id = link;
    return client_of(net::SocketAddress(reinterpret_cast<const sockaddr*>(&in6), sizeof in6));
  };
  const auto place = places_->take(on(2, "fe80::1"), 1);
  EXPECT_TRUE(place);
  EXPECT_FALSE(places_->take(on(2, "fe80::1"), 1));
  EXPECT_TRUE(places_->take(on(2, "fe80::2"), 1));
  EXPECT_TRUE(places_->take(on(3, "fe80::1"), 1));
}

TEST_F(ClientPlacesTest, AgentsOfWhomNothingIsKnownAreNotTakenForOne) {
  const auto place = places_->take(client_of(net::Peer{}), 1);
  EXPECT_TRUE(place);
  EXPECT_TRUE(places_->take(client_of(net::Peer{}), 1));
}

TEST_F(ClientPlacesTest, WithoutALimitNobodyIsCounted) {
  const auto uncounted = places_->take(from("192.0.2.1"), 0);
  EXPECT_TRUE(uncounted);
  EXPECT_TRUE(places_->take(from("192.0.2.1"), 1));
}

TEST_F(ClientPlacesTest, APlaceMayOutliveItsTunnel) {
  const auto place = places_->take(from("192.0.2.1"), 1);
  places_.reset();
}

}  // namespace
}  // namespace simplon::tunnel
