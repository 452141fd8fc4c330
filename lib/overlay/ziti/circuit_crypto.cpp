#include "overlay/ziti/circuit_crypto.hpp"

namespace simplon::overlay::ziti {
namespace {

const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

KeyPair KeyPair::make() {
  KeyPair pair;
  crypto_kx_keypair(pair.public_key.data(), pair.secret.bytes.data());
  return pair;
}

KeyPair KeyPair::from_seed(std::span<const unsigned char, crypto_kx_SEEDBYTES> seed) {
  KeyPair pair;
  crypto_kx_seed_keypair(pair.public_key.data(), pair.secret.bytes.data(), seed.data());
  return pair;
}

std::optional<CircuitKeys> dialer_keys(const KeyPair& own, std::span<const std::byte> host) {
  CircuitKeys keys;
  if (host.size() != kPublicKeySize ||
      crypto_kx_client_session_keys(keys.receive.bytes.data(), keys.send.bytes.data(),
                                    own.public_key.data(), own.secret.bytes.data(),
                                    raw(host)) != 0) {
    return std::nullopt;
  }
  return keys;
}

std::optional<CircuitKeys> host_keys(const KeyPair& own, std::span<const std::byte> dialer) {
  CircuitKeys keys;
  if (dialer.size() != kPublicKeySize ||
      crypto_kx_server_session_keys(keys.receive.bytes.data(), keys.send.bytes.data(),
                                    own.public_key.data(), own.secret.bytes.data(),
                                    raw(dialer)) != 0) {
    return std::nullopt;
  }
  return keys;
}

Sealer::Sealer(const CircuitKeys& keys) {
  crypto_secretstream_xchacha20poly1305_init_push(&state_, header_.data(), keys.send.bytes.data());
}

void Sealer::seal(std::span<const std::byte> plain, std::span<std::byte> into) {
  crypto_secretstream_xchacha20poly1305_push(&state_, reinterpret_cast<unsigned char*>(into.data()),
                                             nullptr, raw(plain), plain.size(), nullptr, 0,
                                             crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

bool Opener::start(std::span<const std::byte> header) {
  started_ =
      header.size() == kCryptoHeaderSize &&
      crypto_secretstream_xchacha20poly1305_init_pull(&state_, raw(header), key_.bytes.data()) == 0;
  return started_;
}

std::optional<std::span<std::byte>> Opener::open(std::span<std::byte> body) {
  if (!started_ || body.size() < kSealOverhead) {
    return std::nullopt;
  }
  // The plain text takes the place of its own cipher text, behind the tag: an exact overlap, which
  // the stream cipher allows.
  const auto plain = body.subspan(1, body.size() - kSealOverhead);
  if (crypto_secretstream_xchacha20poly1305_pull(
          &state_, reinterpret_cast<unsigned char*>(plain.data()), nullptr, nullptr, raw(body),
          body.size(), nullptr, 0) != 0) {
    return std::nullopt;
  }
  return plain;
}

}  // namespace simplon::overlay::ziti
