#include "net/address_range.hpp"

#include <gtest/gtest.h>

namespace simplon::net {
namespace {

bool contains(std::string_view range, std::string_view address) {
  return AddressRange::parse(range).value().contains(*SocketAddress::from_ip(address, 1));
}

TEST(AddressRangeTest, ABlockHasTheAddressesOfItsPrefix) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(contains("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(contains("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(contains("127.0.0.1", "127.0.0.2"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
}

TEST(AddressRangeTest, AMappedIpv4AddressIsAnIpv4Address) {
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
  EXPECT_TRUE(contains("::/0", "10.1.2.3"));
  EXPECT_EQ(AddressRange::parse("::ffff:10.0.0.0/104")->text(), "10.0.0.0/8");
}

TEST(AddressRangeTest, ASocketPathIsInNoBlock) {
  EXPECT_FALSE(AddressRange::parse("::/0")->contains(*SocketAddress::from_path("/run/x")));
}

TEST(AddressRangeTest, TheTextIsTheShortestForm) {
  EXPECT_EQ(AddressRange::parse("10.0.0.0/8")->text(), "10.0.0.0/8");
  EXPECT_EQ(AddressRange::parse("10.0.0.1/32")->text(), "10.0.0.1");
  EXPECT_EQ(AddressRange::parse("FD00:0::/8")->text(), "fd00::/8");
  EXPECT_EQ(AddressRange::parse("::1/128")->text(), "::1");
}

TEST(AddressRangeTest, WhatWouldTrustOthersThanMeantIsRefused) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text :
       {""sv, "/"sv, "10.0.0.0/"sv, "10.0.0.0/33"sv, "10.0.0.0/-1"sv, "10.0.0.0/8x"sv,
        "10.1.0.0/8"sv, "10.0.0/8"sv, "::/129"sv, "fd00::1/8"sv, "fe80::1%lo"sv, "localhost"sv,
        "10.0.0.0/8 "sv, "[::1]"sv, "10.0.0.0/8/8"sv, "127.0.0.1\0"sv, "0x7f.1"sv}) {
    EXPECT_FALSE(AddressRange::parse(text)) << text;
  }
}

}  // namespace
}  // namespace simplon::net
