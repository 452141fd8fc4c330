// Keys and certificates of an embedded network (PROTOCOL.md, "Certificates"): P-256 keys, PKCS #10
// requests, and X.509 certificates issued by the network's own root.
//
// A member's certificate carries its name (CN and the URI SAN "simplon:name/NAME") and its rights
// ("simplon:right/frontend", "simplon:right/hub").
// Pure functions; any thread. PEM and DER of peers is bounded and never trusted to be well-formed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace simplon::overlay {

/// Of a request or certificate that somebody sends.
inline constexpr std::size_t kMaxCertificateBytes = 16 * 1024;

/// A new P-256 private key, PEM (PKCS #8).
base::Result<std::string> make_private_key();

/// A PKCS #10 request for `name`, PEM.
base::Result<std::string> make_request(const std::string& private_key, std::string_view name);

/// The root that issues a network's certificates.
struct Authority {
  std::string certificate;  ///< PEM, self-signed
  std::string private_key;  ///< PEM
};

/// A new network's root, valid for 20 years.
base::Result<Authority> make_authority();

/// What a certificate says of its holder.
struct Grant {
  std::string name;  ///< one DNS label
  bool frontend = false;
  bool hub = false;
  std::chrono::system_clock::time_point not_before{};
  std::chrono::system_clock::time_point not_after{};
  bool operator==(const Grant&) const = default;
};

/// The certificate for the request's key, PEM. The request's own names are ignored.
/// invalid_argument: not a request, its signature does not verify, or its key is not P-256.
base::Result<std::string> sign_request(const Authority& authority, std::string_view request,
                                       const Grant& grant);

/// What a certificate says, PEM or DER; its chain is not verified here. protocol_error: not a
/// certificate of a member.
base::Result<Grant> read_certificate(std::string_view certificate);

/// SHA-256 of the SubjectPublicKeyInfo, 32 raw bytes, of a certificate or a request (PEM or DER).
base::Result<std::string> spki_of(std::string_view certificate_or_request);

/// Whether the PEM key is the first certificate's.
bool key_matches(const std::string& certificate, const std::string& private_key);

/// Whether one of the roots (PEM) signed the first certificate (PEM). Times are not looked at.
bool issued_by(const std::string& certificate, const std::string& roots);

}  // namespace simplon::overlay
