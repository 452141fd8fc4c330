#include "overlay/ziti/certificate.hpp"

#include <array>
#include <ctime>
#include <vector>

#include <absl/strings/escaping.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "net/tls_owned.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using Bio = net::OpensslOwned<BIO, BIO_free_all>;
using Key = net::OpensslOwned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = net::OpensslOwned<X509, X509_free>;
using Request = net::OpensslOwned<X509_REQ, X509_REQ_free>;
using Bundle = net::OpensslOwned<PKCS7, PKCS7_free>;
using Digest = net::OpensslOwned<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcSignature = net::OpensslOwned<ECDSA_SIG, ECDSA_SIG_free>;

// Of a chain or bundle: none has so many.
constexpr std::size_t kMaxCertificates = 256;
// Shorter RSA keys are broken.
constexpr int kMinRsaBits = 2048;

// Leaves OpenSSL's error queue of this thread empty: others tell their failures by it.
class CleanErrors {
 public:
  CleanErrors() { ERR_clear_error(); }
  ~CleanErrors() { ERR_clear_error(); }
  CleanErrors(const CleanErrors&) = delete;
  CleanErrors& operator=(const CleanErrors&) = delete;
};

// Never ask a terminal for the passphrase of an encrypted PEM.
int no_passphrase(char*, int, int, void*) { return 0; }

Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::optional<std::vector<Certificate>> read_all(std::string_view pem) {
  std::vector<Certificate> out;
  const Bio bio = reader(pem);
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    if (out.size() == kMaxCertificates) {
      return std::nullopt;
    }
    out.push_back(std::move(one));
  }
  // The end of the text is an error to OpenSSL.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return std::nullopt;
  }
  return out;
}

std::string name_of(const X509_NAME* name) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    return {};
  }
  return text_of(bio.get());
}

std::optional<std::chrono::system_clock::time_point> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return std::nullopt;
  }
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

bool issued(X509* subject, const std::vector<Certificate>& candidates) {
  for (const Certificate& one : candidates) {
    if (X509_check_issued(one.get(), subject) == X509_V_OK) {
      return true;
    }
  }
  return false;
}

bool is_ec(const EVP_PKEY* key, const char* curve) {
  std::array<char, 64> name{};
  std::size_t size = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(),
                                        &size) == 1 &&
         std::string_view(name.data(), size) == curve;
}

// JSON web signatures of elliptic curves are the two numbers side by side (RFC 7518 §3.4).
std::string ec_signature_der(std::string_view raw, std::size_t half) {
  if (raw.size() != 2 * half) {
    return {};
  }
  const auto* const bytes = reinterpret_cast<const unsigned char*>(raw.data());
  const EcSignature signature(ECDSA_SIG_new());
  BIGNUM* const r = BN_bin2bn(bytes, static_cast<int>(half), nullptr);
  BIGNUM* const s = BN_bin2bn(bytes + half, static_cast<int>(half), nullptr);
  if (!signature || r == nullptr || s == nullptr || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  std::string out;
  if (size > 0) {
    out.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  }
  OPENSSL_free(der);
  return out;
}

struct Kind {
  const char* curve;  // null: RSA
  std::size_t half;   // bytes of one number of the signature
  const EVP_MD* digest;
};

Kind kind_of(Signature algorithm) {
  switch (algorithm) {
    case Signature::rs256:
      return {.curve = nullptr, .half = 0, .digest = EVP_sha256()};
    case Signature::es256:
      return {.curve = "prime256v1", .half = 32, .digest = EVP_sha256()};
    case Signature::es384:
      return {.curve = "secp384r1", .half = 48, .digest = EVP_sha384()};
    case Signature::es512:
      return {.curve = "secp521r1", .half = 66, .digest = EVP_sha512()};
  }
  std::abort();
}

}  // namespace

std::optional<std::size_t> count_certificates(std::string_view pem) {
  const CleanErrors clean;
  const auto all = read_all(pem);
  return all ? std::optional(all->size()) : std::nullopt;
}

bool is_private_key(std::string_view pem) {
  const CleanErrors clean;
  const Bio bio = reader(pem);
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)) != nullptr;
}

std::optional<std::string> missing_issuer(std::string_view chain, std::string_view bundle) {
  const CleanErrors clean;
  const auto own = read_all(chain);
  const auto trusted = read_all(bundle);
  if (!own || own->empty() || !trusted) {
    return "(unreadable)";
  }
  X509* at = own->front().get();
  // Follows the chain as far as it goes; it cannot be longer than it has certificates.
  for (std::size_t steps = 0; steps < own->size(); ++steps) {
    X509* next = nullptr;
    for (const Certificate& one : *own) {
      if (one.get() != at && X509_check_issued(one.get(), at) == X509_V_OK) {
        next = one.get();
        break;
      }
    }
    if (next == nullptr) {
      break;
    }
    at = next;
  }
  const bool self_issued = X509_check_issued(at, at) == X509_V_OK;
  if (self_issued || issued(at, *trusted)) {
    return std::nullopt;
  }
  return name_of(X509_get_issuer_name(at));
}

std::optional<IdentityDates> dates_of(std::string_view chain) {
  const CleanErrors clean;
  const auto all = read_all(chain);
  if (!all || all->empty()) {
    return std::nullopt;
  }
  const X509* const leaf = all->front().get();
  const auto from = time_of(X509_get0_notBefore(leaf));
  const auto until = time_of(X509_get0_notAfter(leaf));
  if (!from || !until) {
    return std::nullopt;
  }
  return IdentityDates{
      .subject = name_of(X509_get_subject_name(leaf)), .not_before = *from, .not_after = *until};
}

base::Result<std::string> read_pkcs7(std::string_view base64) {
  const CleanErrors clean;
  std::string der;
  if (!absl::Base64Unescape({base64.data(), base64.size()}, &der)) {
    return base::fail(Errc::protocol_error);
  }
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const Bundle bundle(d2i_PKCS7(nullptr, &at, static_cast<long>(der.size())));
  if (!bundle || !PKCS7_type_is_signed(bundle.get()) || bundle->d.sign == nullptr) {
    return base::fail(Errc::protocol_error);
  }
  const STACK_OF(X509)* const certificates = bundle->d.sign->cert;
  const int count = sk_X509_num(certificates);
  if (count <= 0 || static_cast<std::size_t>(count) > kMaxCertificates) {
    return base::fail(Errc::protocol_error);
  }
  const Bio out(BIO_new(BIO_s_mem()));
  for (int i = 0; i < count; ++i) {
    if (!out || PEM_write_bio_X509(out.get(), sk_X509_value(certificates, i)) != 1) {
      return base::fail(Errc::protocol_error);
    }
  }
  return text_of(out.get());
}

base::Result<std::string> make_csr(std::string_view private_key, std::string_view common_name) {
  const CleanErrors clean;
  const Bio bio = reader(private_key);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  const Request request(X509_REQ_new());
  const Bio out(BIO_new(BIO_s_mem()));
  if (!key || !request || !out) {
    return base::fail(Errc::invalid_argument);
  }
  const auto add = [&](const char* field, std::string_view value) {
    return X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), field,
                                      MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 || !add("O", "Simplon") ||
      !add("CN", common_name) || X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(out.get(), request.get()) != 1) {
    return base::fail(Errc::invalid_argument);
  }
  return text_of(out.get());
}

bool verify_signature(Signature algorithm, std::string_view certificate, std::string_view text,
                      std::string_view signature) {
  const CleanErrors clean;
  const auto* at = reinterpret_cast<const unsigned char*>(certificate.data());
  const Certificate parsed(d2i_X509(nullptr, &at, static_cast<long>(certificate.size())));
  EVP_PKEY* const key = parsed ? X509_get0_pubkey(parsed.get()) : nullptr;
  if (key == nullptr) {
    return false;
  }
  const Kind kind = kind_of(algorithm);
  std::string bytes(signature);
  if (kind.curve != nullptr) {
    if (!is_ec(key, kind.curve)) {
      return false;
    }
    bytes = ec_signature_der(signature, kind.half);
  } else if (EVP_PKEY_is_a(key, "RSA") != 1 || EVP_PKEY_get_bits(key) < kMinRsaBits) {
    return false;
  }
  const Digest digest(EVP_MD_CTX_new());
  return !bytes.empty() && digest &&
         EVP_DigestVerifyInit(digest.get(), nullptr, kind.digest, nullptr, key) == 1 &&
         EVP_DigestVerify(digest.get(), reinterpret_cast<const unsigned char*>(bytes.data()),
                          bytes.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
}

std::string sha256(std::string_view bytes) {
  std::string out(32, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr,
             EVP_sha256(), nullptr);
  return out;
}

}  // namespace simplon::overlay::ziti
