// The end-to-end encryption of a circuit: X25519 keys of both ends (crypto_kx), then one XChaCha20-
// Poly1305 secretstream in each direction.
//
// The keys are relayed by the network and not signed: this keeps out routers that only listen.
// Values of one loop; secrets are wiped when they go. sodium_init() has been called (main does).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include <sodium.h>

namespace simplon::overlay::ziti {

inline constexpr std::size_t kPublicKeySize = crypto_kx_PUBLICKEYBYTES;
/// The first Data body of a direction, alone in its message and not encrypted.
inline constexpr std::size_t kCryptoHeaderSize = crypto_secretstream_xchacha20poly1305_HEADERBYTES;
/// By how much a Data body is longer than what it carries.
inline constexpr std::size_t kSealOverhead = crypto_secretstream_xchacha20poly1305_ABYTES;

/// Wiped when it goes.
template <std::size_t Size>
struct Secret {
  Secret() = default;
  ~Secret() { sodium_memzero(bytes.data(), Size); }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;

  std::array<unsigned char, Size> bytes{};
};

struct KeyPair {
  static KeyPair make();
  /// For known-answer tests.
  static KeyPair from_seed(std::span<const unsigned char, crypto_kx_SEEDBYTES> seed);

  std::span<const std::byte> public_bytes() const { return std::as_bytes(std::span(public_key)); }

  std::array<unsigned char, kPublicKeySize> public_key{};
  Secret<crypto_kx_SECRETKEYBYTES> secret;
};

/// Of one circuit, as one end sees them.
struct CircuitKeys {
  Secret<crypto_kx_SESSIONKEYBYTES> receive;
  Secret<crypto_kx_SESSIONKEYBYTES> send;
};

/// Nothing when the peer's key is not of kPublicKeySize bytes or no acceptable point.
std::optional<CircuitKeys> dialer_keys(const KeyPair& own, std::span<const std::byte> host);
std::optional<CircuitKeys> host_keys(const KeyPair& own, std::span<const std::byte> dialer);

/// The sending direction. Messages must leave in the order in which they were sealed.
class Sealer {
 public:
  explicit Sealer(const CircuitKeys& keys);
  ~Sealer() { sodium_memzero(&state_, sizeof state_); }
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  std::span<const std::byte> header() const { return std::as_bytes(std::span(header_)); }
  /// `into` has kSealOverhead bytes more than `plain`.
  void seal(std::span<const std::byte> plain, std::span<std::byte> into);

 private:
  crypto_secretstream_xchacha20poly1305_state state_;
  std::array<unsigned char, kCryptoHeaderSize> header_{};
};

/// The receiving direction.
class Opener {
 public:
  explicit Opener(const CircuitKeys& keys) : key_(keys.receive) {}
  ~Opener() { sodium_memzero(&state_, sizeof state_); }
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  bool started() const { return started_; }
  /// The peer's header; false if it is none.
  bool start(std::span<const std::byte> header);
  /// Decrypts in place; what came out is a part of `body`. Nothing when it was not sealed by the
  /// peer, in this order.
  std::optional<std::span<std::byte>> open(std::span<std::byte> body);

 private:
  Secret<crypto_kx_SESSIONKEYBYTES> key_;
  crypto_secretstream_xchacha20poly1305_state state_{};
  bool started_ = false;
};

}  // namespace simplon::overlay::ziti
