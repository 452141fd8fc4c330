// What certificates and requests say: everything that parses bytes of others.
#include <ctime>

#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/certificate_openssl.hpp"
#include "overlay/network.hpp"

namespace simplon::overlay {
namespace openssl {

Certificate first_certificate(std::string_view pem) {
  if (pem.size() > kMaxCertificateBytes) {
    return nullptr;
  }
  const Bio bio = reader(pem);
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
}

Request first_request(std::string_view pem) {
  if (pem.size() > kMaxCertificateBytes) {
    return nullptr;
  }
  const Bio bio = reader(pem);
  return Request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
}

Key private_key(std::string_view pem) {
  if (pem.size() > kMaxCertificateBytes) {
    return nullptr;
  }
  const Bio bio = reader(pem);
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
}

}  // namespace openssl

namespace {

using base::Errc;
using base::Result;
using openssl::CleanErrors;

constexpr std::string_view kPemMark = "-----BEGIN";
constexpr std::string_view kNameUri = "simplon:name/";
constexpr std::string_view kFrontendUri = "simplon:right/frontend";
constexpr std::string_view kHubUri = "simplon:right/hub";

std::string_view bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

openssl::Certificate any_certificate(std::string_view bytes) {
  if (bytes.size() > kMaxCertificateBytes) {
    return nullptr;
  }
  if (bytes.starts_with(kPemMark)) {
    return openssl::first_certificate(bytes);
  }
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const end = at + bytes.size();
  openssl::Certificate out(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  return at == end ? std::move(out) : nullptr;
}

openssl::Request any_request(std::string_view bytes) {
  if (bytes.size() > kMaxCertificateBytes) {
    return nullptr;
  }
  if (bytes.starts_with(kPemMark)) {
    return openssl::first_request(bytes);
  }
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const end = at + bytes.size();
  openssl::Request out(d2i_X509_REQ(nullptr, &at, static_cast<long>(bytes.size())));
  return at == end ? std::move(out) : nullptr;
}

bool read_time(const ASN1_TIME* from, std::chrono::system_clock::time_point* to) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(from, &parts) != 1) {
    return false;
  }
  // Years that the clock's nanoseconds cannot hold are no certificate of ours.
  if (parts.tm_year < 0 || parts.tm_year > 300) {
    return false;
  }
  *to = std::chrono::system_clock::from_time_t(timegm(&parts));
  return true;
}

// The URIs of the subject's alternative names: exactly one name, and rights.
bool read_uris(X509* certificate, Grant* into) {
  const net::OpensslOwned<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) {
    return false;
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) {
      continue;
    }
    const std::string_view uri = bytes_of(name->d.uniformResourceIdentifier);
    if (uri.starts_with(kNameUri)) {
      if (!into->name.empty()) {
        return false;
      }
      into->name = uri.substr(kNameUri.size());
    } else if (uri == kFrontendUri) {
      into->frontend = true;
    } else if (uri == kHubUri) {
      into->hub = true;
    }
  }
  return valid_service_name(into->name);
}

bool has_common_name(X509* certificate, std::string_view name) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0 &&
         bytes_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))) == name;
}

std::string hash_of(X509_PUBKEY* key) {
  unsigned char* der = nullptr;
  const int size = key != nullptr ? i2d_X509_PUBKEY(key, &der) : -1;
  if (size <= 0) {
    return {};
  }
  std::string out(32, '\0');
  const bool hashed =
      EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(out.data()),
                 nullptr, EVP_sha256(), nullptr) == 1;
  OPENSSL_free(der);
  return hashed ? out : std::string();
}

}  // namespace

Result<Grant> read_certificate(std::string_view certificate) {
  const CleanErrors clean;
  const auto parsed = any_certificate(certificate);
  Grant grant;
  if (!parsed || X509_check_ca(parsed.get()) != 0 || !read_uris(parsed.get(), &grant) ||
      !has_common_name(parsed.get(), grant.name) ||
      !read_time(X509_get0_notBefore(parsed.get()), &grant.not_before) ||
      !read_time(X509_get0_notAfter(parsed.get()), &grant.not_after)) {
    return base::fail(Errc::protocol_error);
  }
  return grant;
}

Result<std::string> spki_of(std::string_view certificate_or_request) {
  const CleanErrors clean;
  std::string hash;
  if (const auto certificate = any_certificate(certificate_or_request)) {
    hash = hash_of(X509_get_X509_PUBKEY(certificate.get()));
  } else if (const auto request = any_request(certificate_or_request)) {
    hash = hash_of(X509_REQ_get_X509_PUBKEY(request.get()));
  }
  if (hash.empty()) {
    return base::fail(Errc::invalid_argument);
  }
  return hash;
}

bool key_matches(const std::string& certificate, const std::string& private_key) {
  const CleanErrors clean;
  const auto parsed = openssl::first_certificate(certificate);
  const auto key = openssl::private_key(private_key);
  return parsed && key && X509_check_private_key(parsed.get(), key.get()) == 1;
}

bool issued_by(const std::string& certificate, const std::string& roots) {
  const CleanErrors clean;
  const auto parsed = openssl::first_certificate(certificate);
  if (!parsed || roots.size() > kMaxCertificateBytes) {
    return false;
  }
  const auto bio = openssl::reader(roots);
  while (const openssl::Certificate root{
      PEM_read_bio_X509(bio.get(), nullptr, openssl::no_passphrase, nullptr)}) {
    EVP_PKEY* const key = X509_get0_pubkey(root.get());
    if (key != nullptr && X509_check_issued(root.get(), parsed.get()) == X509_V_OK &&
        X509_verify(parsed.get(), key) == 1) {
      return true;
    }
  }
  return false;
}

}  // namespace simplon::overlay
