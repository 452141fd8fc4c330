// Enrollment tokens and certificate bundles for tests, made with OpenSSL.
#pragma once

#include <string>
#include <string_view>

#include <absl/strings/escaping.h>
#include <nlohmann/json.hpp>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "support/certificates.hpp"

namespace simplon::overlay::ziti::test {

using nlohmann::json;

inline std::string base64url(const std::string& bytes) {
  std::string out = absl::WebSafeBase64Escape(bytes);
  while (out.ends_with('=')) {
    out.pop_back();
  }
  return out;
}

/// A signer: a key, and a self-signed certificate for it.
struct Signer {
  simplon::test::detail::Key key;
  simplon::test::detail::Certificate certificate;

  std::string der() const {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(certificate.get(), &bytes);
    std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return out;
  }
};
inline Signer make_signer(EVP_PKEY* key) {
  Signer out{.key = simplon::test::detail::Key(key), .certificate = nullptr};
  out.certificate = simplon::test::detail::make(key, "signer", {}, nullptr, nullptr);
  return out;
}
inline Signer ec_signer(const char* curve = "P-256") { return make_signer(EVP_EC_gen(curve)); }
inline Signer rsa_signer(unsigned bits = 2048) { return make_signer(EVP_RSA_gen(bits)); }

inline simplon::test::detail::Key key_of(const std::string& pem) {
  const net::OpensslOwned<BIO, BIO_free> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return simplon::test::detail::Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

/// The signature of a JSON web token; `half` as in RFC 7518 §3.4, 0 for RSA.
inline std::string sign(EVP_PKEY* key, const EVP_MD* digest, std::size_t half,
                        const std::string& text) {
  const net::OpensslOwned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key);
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size());
  std::string der(size, '\0');
  EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(der.data()), &size, bytes,
                 text.size());
  der.resize(size);
  if (half == 0) {
    return der;
  }
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const net::OpensslOwned<ECDSA_SIG, ECDSA_SIG_free> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string out(2 * half, '\0');
  auto* const raw = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw, static_cast<int>(half));
  BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw + half, static_cast<int>(half));
  return out;
}

/// A token with this header and these claims, signed as ES256 by the key (PEM).
inline std::string make_token(const json& header, const json& claims, const std::string& key) {
  const std::string text = base64url(header.dump()) + "." + base64url(claims.dump());
  return text + "." + base64url(sign(key_of(key).get(), EVP_sha256(), 32, text));
}

/// base64 of a PKCS #7 bundle of the certificates in a PEM, in lines as controllers write it.
inline std::string make_bundle(const std::string& pem) {
  const net::OpensslOwned<PKCS7, PKCS7_free> bundle(PKCS7_new());
  PKCS7_set_type(bundle.get(), NID_pkcs7_signed);
  PKCS7_content_new(bundle.get(), NID_pkcs7_data);
  const net::OpensslOwned<BIO, BIO_free> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (const simplon::test::detail::Certificate one{
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    PKCS7_add_certificate(bundle.get(), one.get());
  }
  unsigned char* der = nullptr;
  const int size = i2d_PKCS7(bundle.get(), &der);
  const std::string text =
      absl::Base64Escape({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 64) {
    out += text.substr(i, 64) + "\n";
  }
  return out;
}

}  // namespace simplon::overlay::ziti::test
