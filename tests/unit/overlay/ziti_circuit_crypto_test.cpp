#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "overlay/ziti/circuit_crypto.hpp"

namespace simplon::overlay::ziti {
namespace {

template <class Range>
std::string hex(const Range& bytes) {
  std::string out;
  for (const unsigned char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

struct ZitiCircuitCrypto : testing::Test {
  ZitiCircuitCrypto() {
    EXPECT_GE(sodium_init(), 0);
    std::array<unsigned char, crypto_kx_SEEDBYTES> seed{};
    std::iota(seed.begin(), seed.end(), static_cast<unsigned char>(0));
    dialer = KeyPair::from_seed(seed);
    seed[0] = 1;
    host = KeyPair::from_seed(seed);
  }

  /// One message through both ends.
  static std::optional<std::string> pass(Sealer& sealer, Opener& opener, std::string_view text) {
    std::vector<std::byte> body(text.size() + kSealOverhead);
    sealer.seal(std::as_bytes(std::span(text)), body);
    const auto plain = opener.open(body);
    return plain ? std::optional(
                       std::string(reinterpret_cast<const char*>(plain->data()), plain->size()))
                 : std::nullopt;
  }

  KeyPair dialer;
  KeyPair host;
};

TEST_F(ZitiCircuitCrypto, KeysAreThoseOfTheKnownAnswers) {
  EXPECT_EQ(kCryptoHeaderSize, 24U);
  EXPECT_EQ(kSealOverhead, 17U);
  EXPECT_EQ(hex(dialer.public_key),
            "0e0216223f147143d32615a91189c288c1728cba3cc5f9f621b1026e03d83129");
  EXPECT_EQ(hex(dialer.secret.bytes),
            "cb2f5160fc1f7e05a55ef49d340b48da2e5a78099d53393351cd579dd42503d6");
  EXPECT_EQ(hex(host.public_key),
            "cc034cfcd643e7d419fc535943f5af94224da6386cae5e88daf34167e9d84d0a");
  const auto here = dialer_keys(dialer, host.public_bytes());
  const auto there = host_keys(host, dialer.public_bytes());
  ASSERT_TRUE(here && there);
  EXPECT_EQ(hex(here->receive.bytes),
            "749519c68059bce69f7cfcc7b387a3de1a1e8237d110991323bf62870115731a");
  EXPECT_EQ(hex(here->send.bytes),
            "62c8f4fa81800abd0577d99918d129b65deb789af8c8351f391feb0cbf238604");
  EXPECT_EQ(here->receive.bytes, there->send.bytes);
  EXPECT_EQ(here->send.bytes, there->receive.bytes);
}

TEST_F(ZitiCircuitCrypto, WhatIsSealedIsOpenedInOrder) {
  Sealer sealer(*dialer_keys(dialer, host.public_bytes()));
  Opener opener(*host_keys(host, dialer.public_bytes()));
  ASSERT_TRUE(opener.start(sealer.header()));
  EXPECT_EQ(pass(sealer, opener, "one"), "one");
  EXPECT_EQ(pass(sealer, opener, ""), "");
  const std::string large(1'000'000, 'l');
  EXPECT_EQ(pass(sealer, opener, large), large);
}

TEST_F(ZitiCircuitCrypto, WhatWasChangedOrReorderedIsNotOpened) {
  Sealer sealer(*dialer_keys(dialer, host.public_bytes()));
  const auto keys = *host_keys(host, dialer.public_bytes());
  Opener opener(keys);
  ASSERT_TRUE(opener.start(sealer.header()));
  std::vector<std::byte> first(3 + kSealOverhead);
  std::vector<std::byte> second(3 + kSealOverhead);
  sealer.seal(std::as_bytes(std::span("one", 3)), first);
  sealer.seal(std::as_bytes(std::span("two", 3)), second);
  EXPECT_FALSE(opener.open(second));
  auto broken = first;
  broken[5] ^= std::byte{1};
  Opener other(keys);
  ASSERT_TRUE(other.start(sealer.header()));
  EXPECT_FALSE(other.open(broken));
  EXPECT_FALSE(other.open(std::span(first).first(kSealOverhead - 1)));
}

TEST_F(ZitiCircuitCrypto, NothingIsOpenedBeforeTheHeader) {
  Opener opener(*host_keys(host, dialer.public_bytes()));
  std::vector<std::byte> body(100);
  EXPECT_FALSE(opener.open(body));
  EXPECT_FALSE(opener.start(std::span(body).first(23)));
  EXPECT_FALSE(opener.start(std::span(body).first(25)));
  EXPECT_FALSE(opener.started());
}

TEST_F(ZitiCircuitCrypto, AKeyThatIsNoneIsRefused) {
  const std::array<std::byte, kPublicKeySize> zero{};
  EXPECT_FALSE(dialer_keys(dialer, zero));
  EXPECT_FALSE(host_keys(host, zero));
  EXPECT_FALSE(dialer_keys(dialer, host.public_bytes().first(31)));
  EXPECT_FALSE(host_keys(host, {}));
}

}  // namespace
}  // namespace simplon::overlay::ziti
