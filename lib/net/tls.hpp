// TLS over any Stream: sessions between agents, enrollment, ordinary https targets and listeners.
//
// OpenSSL is driven directly. It reads from the transport into its own buffer of 64 KiB and writes
// to a batch of 64 KiB that leaves in one transport write; both are given back while a stream is
// idle.
//
// Ownership: the TLS stream owns its transport. A TlsContext is immutable and shared, any thread;
// a changed certificate is a new context.
// Ends: shutdown_send() sends close_notify in TLS 1.3, where the peer may go on sending; in TLS 1.2
// that would end both directions, so there it only stops our sending until close(). An end of the
// transport without close_notify is Errc::truncated. carries_reason() is the transport's.
// Cancellation: a handshake that fails closes the transport (an alert may be on its way), one that
// is cancelled or times out resets it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/async.hpp"
#include "net/stream.hpp"

namespace simplon::net {

enum class TlsRole : std::uint8_t { client, server };

/// An application protocol (ALPN). A server may ask a certificate of the clients of one protocol
/// and not of another's, on the same port.
struct TlsProtocol {
  std::string name;
  bool peer_certificate = false;  ///< server: the client must show one that verifies
};

struct TlsOptions {
  TlsRole role = TlsRole::client;
  std::string certificate_chain;  ///< PEM, leaf first; empty: none (clients only)
  std::string private_key;        ///< PEM
  /// PEM. Empty: the system's for a client; nobody for a server.
  std::string trust_roots;
  /// Client, instead of trust_roots: the SPKI SHA-256 (32 raw bytes) of the only root to trust,
  /// which the server sends in its chain. For enrollment, where the root is not known yet.
  std::string pinned_root;
  /// Client, instead of trust_roots: the only server certificate to accept (DER), whoever issued
  /// it. Its names and times are checked as usual.
  std::string pinned_leaf;
  /// Client: every certificate of trust_roots is trusted, also one that is no root itself.
  bool trust_intermediates = false;
  /// In order of preference. A server refuses a client that offers others only.
  std::vector<TlsProtocol> protocols;
  bool protocol_required = false;  ///< also refuse a peer that speaks no ALPN at all
  bool peer_certificate = false;   ///< server without protocols: as in TlsProtocol
  bool tls13_only = false;         ///< otherwise 1.2 and up
};

class TlsContext {
 public:
  /// invalid_argument when a PEM does not parse or the key is not the certificate's; `why` gets a
  /// sentence.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsOptions& options,
                                                        std::string* why = nullptr);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  struct State;  // OpenSSL's side, known to tls*.cpp only
  const State& state() const { return *state_; }

 private:
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class TlsStream : public Stream {
 public:
  using Stream::Stream;
  /// The agreed protocol; empty: none.
  virtual std::string_view protocol() const = 0;
  /// Server: the name that the client asked for; empty: none.
  virtual std::string server_name() const = 0;
};
using TlsStreamPtr = std::shared_ptr<TlsStream>;

/// `server_name` is sent (if it is no IP address) and must be the certificate's; empty: the
/// certificate must only chain to the trusted roots, and the caller checks peer().
/// Errors: bad_certificate, handshake_failed, timed_out, reset, truncated, or the transport's;
/// `why` gets the details in words.
awaitable<Result<TlsStreamPtr>> tls_connect(StreamPtr transport,
                                            std::shared_ptr<const TlsContext> context,
                                            std::string server_name, TimePoint deadline,
                                            std::string* why = nullptr);
/// The certificate (DER) that a server shows, whoever issued it. The handshake verifies nothing,
/// and nothing is ever sent over the connection, which is reset: for a certificate that is verified
/// by other means, and pinned then (pinned_leaf). Errors as of tls_connect.
awaitable<Result<std::string>> fetch_leaf(StreamPtr transport, std::string server_name,
                                          std::vector<TlsProtocol> protocols, TimePoint deadline,
                                          std::string* why = nullptr);
/// A client's refusal of our certificate may arrive here, ours of a TLS 1.3 client's certificate
/// reaches it with its first read.
awaitable<Result<TlsStreamPtr>> tls_accept(StreamPtr transport,
                                           std::shared_ptr<const TlsContext> context,
                                           TimePoint deadline, std::string* why = nullptr);

}  // namespace simplon::net
