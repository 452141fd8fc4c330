// Contexts: what a TLS endpoint shows, trusts and speaks.
#include <algorithm>
#include <utility>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "net/tls_state.hpp"

namespace simplon::net {
namespace {

// One read of the transport fills several records.
constexpr std::size_t kReadBuffer = 64 * 1024;

Result<std::shared_ptr<const TlsContext>> bad(std::string* why, std::string_view what) {
  std::string details;
  [[maybe_unused]] const auto error = take_tls_error(Errc::invalid_argument, &details);
  if (why != nullptr) {
    *why = std::string(what) + (details.empty() ? "" : ": " + details);
  }
  return base::fail(Errc::invalid_argument);
}

// Never ask a terminal for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) { return 0; }

std::vector<X509Ptr> read_certificates(const std::string& pem) {
  std::vector<X509Ptr> out;
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509Ptr one{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    // OpenSSL parses extensions at the first use, into the certificate: here, before every loop's
    // handshakes share it.
    X509_get_extension_flags(one.get());
    out.push_back(std::move(one));
  }
  // The end of the file is an error to OpenSSL; anything else leaves fewer certificates, which the
  // caller checks.
  if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
    ERR_clear_error();
  } else {
    out.clear();
  }
  return out;
}

bool use_certificate(SSL_CTX& context, const TlsOptions& options) {
  const auto chain = read_certificates(options.certificate_chain);
  const BioPtr bio(
      BIO_new_mem_buf(options.private_key.data(), static_cast<int>(options.private_key.size())));
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (chain.empty() || !key || SSL_CTX_use_certificate(&context, chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(&context, key.get()) != 1) {
    return false;
  }
  return std::all_of(chain.begin() + 1, chain.end(), [&](const X509Ptr& issuer) {
    return SSL_CTX_add1_chain_cert(&context, issuer.get()) == 1;
  });
}

bool use_roots(SSL_CTX& context, const TlsOptions& options) {
  if (options.trust_roots.empty()) {
    return options.role == TlsRole::server || !options.pinned_root.empty() ||
           !options.pinned_leaf.empty() || SSL_CTX_set_default_verify_paths(&context) == 1;
  }
  if (options.trust_intermediates) {
    X509_STORE_set_flags(SSL_CTX_get_cert_store(&context), X509_V_FLAG_PARTIAL_CHAIN);
  }
  const auto roots = read_certificates(options.trust_roots);
  return !roots.empty() && std::ranges::all_of(roots, [&](const X509Ptr& root) {
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), root.get()) == 1 &&
           (options.role == TlsRole::client || SSL_CTX_add_client_CA(&context, root.get()) == 1);
  });
}

constexpr int kMustShowCertificate = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

// Chooses the protocol, and with it whether the client must show a certificate. OpenSSL calls it
// before it decides on the certificate request.
int select_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int size, void* arg) {
  const auto& state = *static_cast<const TlsContext::State*>(arg);
  for (const TlsProtocol& ours : state.options.protocols) {
    for (unsigned int i = 0; i < size && i + offered[i] < size; i += offered[i] + 1U) {
      const std::string_view theirs(reinterpret_cast<const char*>(offered + i + 1), offered[i]);
      if (theirs == ours.name) {
        *out = offered + i + 1;
        *out_size = offered[i];
        SSL_set_verify(ssl, ours.peer_certificate ? kMustShowCertificate : SSL_VERIFY_NONE,
                       nullptr);
        return SSL_TLSEXT_ERR_OK;
      }
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A client without ALPN is refused while it can still be told why.
int require_protocol(SSL* ssl, int* alert, void*) {
  const unsigned char* extension = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension,
                                &size) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

// Verifies as usual, with this one certificate trusted.
int verify_with(X509_STORE_CTX* verification, X509* trusted_one) {
  STACK_OF(X509)* const trusted = sk_X509_new_null();
  sk_X509_push(trusted, trusted_one);
  X509_STORE_CTX_set0_trusted_stack(verification, trusted);
  const int verified = X509_verify_cert(verification);
  sk_X509_free(trusted);  // OpenSSL keeps the chain that it built, not this stack
  return verified;
}

// Trusts exactly the certificate of the sent chain whose key is the pinned one, and verifies the
// chain to it.
int verify_pinned(X509_STORE_CTX* verification, void* arg) {
  const auto& state = *static_cast<const TlsContext::State*>(arg);
  STACK_OF(X509)* const sent = X509_STORE_CTX_get0_untrusted(verification);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* const one = sk_X509_value(sent, i);
    if (spki_sha256(*one) == state.options.pinned_root) {
      return verify_with(verification, one);
    }
  }
  X509_STORE_CTX_set_error(verification, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  return 0;
}

int verify_pinned_leaf(X509_STORE_CTX* verification, void* arg) {
  const auto& state = *static_cast<const TlsContext::State*>(arg);
  X509* const leaf = X509_STORE_CTX_get0_cert(verification);
  if (leaf == nullptr || certificate_der(*leaf) != state.options.pinned_leaf) {
    X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
  }
  // Without this flag OpenSSL takes only roots for an anchor.
  X509_STORE_CTX_set_flags(verification, X509_V_FLAG_PARTIAL_CHAIN);
  return verify_with(verification, leaf);
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsOptions& options,
                                                           std::string* why) {
  ERR_clear_error();
  const bool server = options.role == TlsRole::server;
  auto state = std::make_unique<State>();
  state->context.reset(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  state->options = options;
  state->options.private_key.clear();
  SSL_CTX* const context = state->context.get();
  if (context == nullptr) {
    return bad(why, "OpenSSL gave no context");
  }
  SSL_CTX_set_min_proto_version(context, options.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_ciphersuites(
      context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_cipher_list(context, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context,
                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  // No resumption: expiry and revocation are checked at every handshake.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadBuffer);

  if (options.certificate_chain.empty() ? server : !use_certificate(*context, options)) {
    return bad(why, "certificate or private key not usable");
  }
  if (!use_roots(*context, options)) {
    return bad(why, "trust roots not usable");
  }
  if (!options.pinned_root.empty()) {
    SSL_CTX_set_cert_verify_callback(context, verify_pinned, state.get());
  } else if (!options.pinned_leaf.empty()) {
    SSL_CTX_set_cert_verify_callback(context, verify_pinned_leaf, state.get());
  }
  const bool verify = !server || !options.protocols.empty() || options.peer_certificate;
  SSL_CTX_set_verify(context, verify ? kMustShowCertificate : SSL_VERIFY_NONE, nullptr);
  if (server && !options.protocols.empty()) {
    SSL_CTX_set_alpn_select_cb(context, select_protocol, state.get());
    if (options.protocol_required) {
      SSL_CTX_set_client_hello_cb(context, require_protocol, nullptr);
    } else if (!options.peer_certificate) {
      SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    }
  }
  for (const TlsProtocol& protocol : options.protocols) {
    if (protocol.name.empty() || protocol.name.size() > 255) {
      return bad(why, "protocol name not usable");
    }
    state->alpn.push_back(static_cast<unsigned char>(protocol.name.size()));
    state->alpn.insert(state->alpn.end(), protocol.name.begin(), protocol.name.end());
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(state)));
}

}  // namespace simplon::net
