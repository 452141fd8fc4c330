// OpenSSL's objects behind net/tls.hpp. Included by tls*.cpp only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls.hpp"
#include "net/tls_owned.hpp"

namespace simplon::net {

using SslContextPtr = OpensslOwned<SSL_CTX, SSL_CTX_free>;
using SslPtr = OpensslOwned<SSL, SSL_free>;
using X509Ptr = OpensslOwned<X509, X509_free>;
using KeyPtr = OpensslOwned<EVP_PKEY, EVP_PKEY_free>;
using BioPtr = OpensslOwned<BIO, BIO_free>;
using StorePtr = OpensslOwned<X509_STORE, X509_STORE_free>;

struct TlsContext::State {
  SslContextPtr context;
  TlsOptions options;               // without the private key
  std::vector<unsigned char> alpn;  // in the format of the wire, for clients
};

/// SHA-256 of the SubjectPublicKeyInfo, 32 raw bytes.
std::string spki_sha256(X509& certificate);

/// A certificate as DER; empty: it cannot be written.
std::string certificate_der(X509& certificate);

/// The other side's certificate as a Peer; nothing if it showed none.
std::optional<Peer> describe_peer(SSL& ssl);

/// Takes OpenSSL's queued errors: the code that says what they mean, the details in words. `ssl`
/// tells what was wrong with the other side's certificate, where that was it.
std::error_code take_tls_error(Errc fallback, std::string* why, const SSL* ssl = nullptr);

}  // namespace simplon::net
