// What OpenSSL knows about the other side and about failures, in our words.
#include <array>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "net/tls_state.hpp"

namespace simplon::net {

std::string spki_sha256(X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  std::string out(32, '\0');
  if (size > 0) {
    EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(out.data()),
               nullptr, EVP_sha256(), nullptr);
  }
  OPENSSL_free(der);
  return out;
}

std::string certificate_der(X509& certificate) {
  std::string out;
  unsigned char* der = nullptr;
  if (const int size = i2d_X509(&certificate, &der); size > 0) {
    out.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
  }
  return out;
}

std::optional<Peer> describe_peer(SSL& ssl) {
  const X509Ptr certificate(SSL_get1_peer_certificate(&ssl));
  if (!certificate) {
    return std::nullopt;
  }
  Peer peer;
  const X509_NAME* const subject = X509_get_subject_name(certificate.get());
  if (const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0) {
    const ASN1_STRING* const name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char* utf8 = nullptr;
    if (const int size = ASN1_STRING_to_UTF8(&utf8, name); size >= 0) {
      peer.name.assign(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
      OPENSSL_free(utf8);
    }
  }
  peer.spki_sha256 = spki_sha256(*certificate);
  peer.certificate = certificate_der(*certificate);
  return peer;
}

std::error_code take_tls_error(Errc fallback, std::string* why, const SSL* ssl) {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (first == 0) {
    return make_error_code(fallback);
  }
  if (why != nullptr) {
    const char* const reason = ERR_reason_error_string(first);
    *why = reason != nullptr ? reason : "unknown TLS error";
  }
  if (ERR_GET_LIB(first) != ERR_LIB_SSL) {
    // A signature by an authority of the trusted one's name: the crypto library complains first.
    if (ssl != nullptr && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0 &&
        SSL_get_verify_result(ssl) != X509_V_OK) {
      if (why != nullptr) {
        *why = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
      }
      return Errc::bad_certificate;
    }
    return make_error_code(fallback);
  }
  switch (ERR_GET_REASON(first)) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return Errc::truncated;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      if (why != nullptr && ssl != nullptr && SSL_get_verify_result(ssl) != X509_V_OK) {
        *why = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
      }
      return Errc::bad_certificate;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:  // an authority of the same name, with another key
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return Errc::bad_certificate;
    default:
      return make_error_code(fallback);
  }
}

}  // namespace simplon::net
