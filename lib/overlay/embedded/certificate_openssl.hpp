// OpenSSL's objects as owned values, and PEM in and out; for certificate*.cpp only.
// Plain functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/tls_owned.hpp"

namespace simplon::overlay::openssl {

using Bio = net::OpensslOwned<BIO, BIO_free_all>;
using Key = net::OpensslOwned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = net::OpensslOwned<X509, X509_free>;
using Request = net::OpensslOwned<X509_REQ, X509_REQ_free>;

/// Leaves OpenSSL's error queue of this thread empty: others tell their failures by it.
class CleanErrors {
 public:
  CleanErrors() { ERR_clear_error(); }
  ~CleanErrors() { ERR_clear_error(); }
  CleanErrors(const CleanErrors&) = delete;
  CleanErrors& operator=(const CleanErrors&) = delete;
};

/// Never ask a terminal for the passphrase of an encrypted PEM.
inline int no_passphrase(char*, int, int, void*) { return 0; }

inline Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// What `write(BIO*)` wrote; empty when it failed.
template <class Write>
std::string written(Write write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) {
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

/// The first certificate of a PEM, or null.
Certificate first_certificate(std::string_view pem);
Request first_request(std::string_view pem);
Key private_key(std::string_view pem);

}  // namespace simplon::overlay::openssl
