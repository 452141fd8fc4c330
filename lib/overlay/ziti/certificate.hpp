// What OpenZiti's identities and enrollment need of certificates: does a key belong to a chain, is
// the chain whole, a signing request, a PKCS #7 bundle, a token's signature.
//
// Pure functions; any thread. PEM and DER of others is bounded by the caller and never trusted to
// be well-formed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "overlay/identity_dates.hpp"

namespace simplon::overlay::ziti {

/// How many certificates a PEM holds; nothing if one of them does not parse.
std::optional<std::size_t> count_certificates(std::string_view pem);

bool is_private_key(std::string_view pem);

/// The issuer's name when neither the chain (PEM, leaf first) nor the bundle (PEM) holds the
/// certificate that issued the chain's last one; nothing when all is there.
std::optional<std::string> missing_issuer(std::string_view chain, std::string_view bundle);

/// Of the chain's first certificate (PEM).
std::optional<IdentityDates> dates_of(std::string_view chain);

/// The certificates of a base64 PKCS #7 bundle (BER), as PEM. protocol_error: not one, or it holds
/// none or more than 256.
base::Result<std::string> read_pkcs7(std::string_view base64);

/// A PKCS #10 request for the key (PEM) with this common name, PEM.
base::Result<std::string> make_csr(std::string_view private_key, std::string_view common_name);

enum class Signature : std::uint8_t { rs256, es256, es384, es512 };

/// Whether a JSON web signature over `text` is by the key of the certificate (DER), which must be
/// of the kind that the algorithm names.
bool verify_signature(Signature algorithm, std::string_view certificate, std::string_view text,
                      std::string_view signature);

std::string sha256(std::string_view bytes);

}  // namespace simplon::overlay::ziti
