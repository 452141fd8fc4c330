// What the network issues: keys, requests, its root, members' certificates.
#include "overlay/embedded/certificate.hpp"

#include <array>
#include <ctime>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>

#include "overlay/embedded/certificate_openssl.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Result;
using openssl::CleanErrors;
using std::chrono::system_clock;

constexpr std::chrono::years kRootLifetime{20};
// Members' clocks may be behind the hub's.
constexpr std::chrono::hours kClockSkew{1};
constexpr long kVersion3 = 2;  // as X.509 counts
// Of a serial number; the first bit is cleared, for it is a sign.
constexpr std::size_t kSerialBytes = 16;

bool set_serial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return false;
  }
  bytes[0] &= 0x7f;
  bytes[0] |= 0x40;
  const net::OpensslOwned<BIGNUM, BN_free> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, system_clock::time_point from, system_clock::time_point until) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(from)) !=
             nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(until)) != nullptr;
}

bool set_common_name(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const net::OpensslOwned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string to_pem(X509* certificate) {
  return openssl::written([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string to_pem(EVP_PKEY* key) {
  return openssl::written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Result<std::string> not_empty(std::string pem) {
  if (pem.empty()) {
    return base::fail(Errc::internal);
  }
  return pem;
}

// By name: a curve spelled out by its parameters would travel into the certificate.
bool is_p256(const EVP_PKEY* key) {
  std::array<char, 32> group{};
  int explicit_parameters = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
         std::string_view(group.data()) == SN_X9_62_prime256v1 &&
         EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                &explicit_parameters) == 1 &&
         explicit_parameters == 0;
}

// Certificates of both kinds, before what tells them apart.
openssl::Certificate begin_certificate(EVP_PKEY* key, std::string_view name) {
  openssl::Certificate out(X509_new());
  if (!out || X509_set_version(out.get(), kVersion3) != 1 || !set_serial(out.get()) ||
      !set_common_name(X509_get_subject_name(out.get()), name) ||
      X509_set_pubkey(out.get(), key) != 1) {
    return nullptr;
  }
  return out;
}

}  // namespace

Result<std::string> make_private_key() {
  const CleanErrors clean;
  const openssl::Key key(EVP_EC_gen(SN_X9_62_prime256v1));
  if (!key) {
    return base::fail(Errc::internal);
  }
  return not_empty(to_pem(key.get()));
}

Result<std::string> make_request(const std::string& private_key, std::string_view name) {
  const CleanErrors clean;
  const auto key = openssl::private_key(private_key);
  if (!key || !valid_service_name(name)) {
    return base::fail(Errc::invalid_argument);
  }
  const openssl::Request request(X509_REQ_new());
  if (!request || !set_common_name(X509_REQ_get_subject_name(request.get()), name) ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0) {
    return base::fail(Errc::internal);
  }
  return not_empty(
      openssl::written([&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request.get()); }));
}

Result<Authority> make_authority() {
  const CleanErrors clean;
  const openssl::Key key(EVP_EC_gen(SN_X9_62_prime256v1));
  if (!key) {
    return base::fail(Errc::internal);
  }
  const auto root = begin_certificate(key.get(), "Simplon network");
  const auto now = system_clock::now();
  if (!root || !set_times(root.get(), now - kClockSkew, now + kRootLifetime) ||
      X509_set_issuer_name(root.get(), X509_get_subject_name(root.get())) != 1 ||
      !add_extension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(root.get(), root.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(root.get(), key.get(), EVP_sha256()) <= 0) {
    return base::fail(Errc::internal);
  }
  Authority out{.certificate = to_pem(root.get()), .private_key = to_pem(key.get())};
  if (out.certificate.empty() || out.private_key.empty()) {
    return base::fail(Errc::internal);
  }
  return out;
}

Result<std::string> sign_request(const Authority& authority, std::string_view request,
                                 const Grant& grant) {
  const CleanErrors clean;
  const auto root = openssl::first_certificate(authority.certificate);
  const auto root_key = openssl::private_key(authority.private_key);
  if (!root || !root_key || X509_check_private_key(root.get(), root_key.get()) != 1) {
    return base::fail(Errc::internal);
  }
  const auto asked = openssl::first_request(request);
  EVP_PKEY* const key = asked ? X509_REQ_get0_pubkey(asked.get()) : nullptr;
  if (key == nullptr || !is_p256(key) || X509_REQ_verify(asked.get(), key) != 1 ||
      !valid_service_name(grant.name) || grant.not_after <= grant.not_before) {
    return base::fail(Errc::invalid_argument);
  }
  std::string names = "URI:simplon:name/" + grant.name;
  if (grant.frontend) {
    names += ",URI:simplon:right/frontend";
  }
  if (grant.hub) {
    names += ",URI:simplon:right/hub";
  }
  const auto leaf = begin_certificate(key, grant.name);
  if (!leaf || !set_times(leaf.get(), grant.not_before, grant.not_after) ||
      X509_set_issuer_name(leaf.get(), X509_get_subject_name(root.get())) != 1 ||
      !add_extension(leaf.get(), root.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(leaf.get(), root.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(leaf.get(), root.get(), NID_ext_key_usage, "clientAuth,serverAuth") ||
      !add_extension(leaf.get(), root.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(leaf.get(), root.get(), NID_authority_key_identifier, "keyid:always") ||
      !add_extension(leaf.get(), root.get(), NID_subject_alt_name, names) ||
      X509_sign(leaf.get(), root_key.get(), EVP_sha256()) <= 0) {
    return base::fail(Errc::internal);
  }
  return not_empty(to_pem(leaf.get()));
}

}  // namespace simplon::overlay
