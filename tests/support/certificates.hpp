// Certificates for tests: an authority and what it issues, made on the spot (P-256).
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/tls_owned.hpp"

namespace simplon::test {

struct Credentials {
  std::string chain;        ///< PEM, leaf first; without the root
  std::string private_key;  ///< PEM
};

struct CertificateOptions {
  std::string subject_alternative;  ///< "DNS:example,IP:127.0.0.1"; empty: none
  long valid_from = -3600;          ///< seconds from now
  long valid_until = 3600;
  bool authority = false;  ///< may issue others itself
};

namespace detail {

using Key = net::OpensslOwned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = net::OpensslOwned<X509, X509_free>;

inline void must(bool done) {
  if (!done) {
    std::abort();
  }
}

template <class Write>
std::string pem(Write write) {
  const net::OpensslOwned<BIO, BIO_free> bio(BIO_new(BIO_s_mem()));
  must(write(bio.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

inline void add_extension(X509* to, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  must(extension != nullptr && X509_add_ext(to, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

inline Certificate make(EVP_PKEY* key, const std::string& name, const CertificateOptions& options,
                        X509* issuer, EVP_PKEY* issuer_key) {
  Certificate out(X509_new());
  static long serial = 1;
  X509_set_version(out.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), options.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), options.valid_until);
  X509_set_pubkey(out.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* const signer = issuer == nullptr ? out.get() : issuer;
  X509_set_issuer_name(out.get(), X509_get_subject_name(signer));
  add_extension(out.get(), signer, NID_basic_constraints,
                issuer == nullptr || options.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!options.subject_alternative.empty()) {
    add_extension(out.get(), signer, NID_subject_alt_name, options.subject_alternative);
  }
  must(X509_sign(out.get(), issuer_key == nullptr ? key : issuer_key, EVP_sha256()) > 0);
  return out;
}

}  // namespace detail

class Authority {
 public:
  explicit Authority(const std::string& name = "test root")
      : key_(EVP_EC_gen("P-256")), root_(detail::make(key_.get(), name, {}, nullptr, nullptr)) {}

  /// An intermediate one, issued by `parent`.
  Authority(const Authority& parent, const std::string& name)
      : key_(EVP_EC_gen("P-256")),
        root_(detail::make(key_.get(), name, {.authority = true}, parent.root_.get(),
                           parent.key_.get())) {}

  /// The root certificate, PEM.
  std::string root() const {
    return detail::pem([&](BIO* bio) { return PEM_write_bio_X509(bio, root_.get()); });
  }

  /// SHA-256 of the root's SubjectPublicKeyInfo, 32 raw bytes.
  std::string root_spki_sha256() const {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(root_.get()), &der);
    std::string out(32, '\0');
    EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(out.data()),
               nullptr, EVP_sha256(), nullptr);
    OPENSSL_free(der);
    return out;
  }

  Credentials issue(const std::string& name, const CertificateOptions& options = {}) const {
    const detail::Key key(EVP_EC_gen("P-256"));
    const auto certificate = detail::make(key.get(), name, options, root_.get(), key_.get());
    return {
        .chain = detail::pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
        .private_key = detail::pem([&](BIO* bio) {
          return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        })};
  }

  /// The certificate (PEM) of a request (PEM); empty: that is none.
  std::string certify(const std::string& request, const std::string& name) const {
    const net::OpensslOwned<BIO, BIO_free> bio(
        BIO_new_mem_buf(request.data(), static_cast<int>(request.size())));
    const net::OpensslOwned<X509_REQ, X509_REQ_free> parsed(
        PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
    if (!parsed || X509_REQ_verify(parsed.get(), X509_REQ_get0_pubkey(parsed.get())) != 1) {
      return {};
    }
    const auto made =
        detail::make(X509_REQ_get0_pubkey(parsed.get()), name, {}, root_.get(), key_.get());
    return detail::pem([&](BIO* out) { return PEM_write_bio_X509(out, made.get()); });
  }

 private:
  detail::Key key_;
  detail::Certificate root_;
};

}  // namespace simplon::test
