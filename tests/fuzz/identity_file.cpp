// Any bytes are an identity or an error, and so is what is inside: certificates and requests.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/identity.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simplon::overlay;
  static const Authority authority = make_authority().value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)identity_kind(text);
  const auto identity = parse_identity(text);
  if (identity.ok()) {
    const auto again = parse_identity(to_json(*identity));
    if (!again.ok() || *again != *identity) std::abort();
  }
  const auto grant = read_certificate(text);
  if (grant && grant->name.empty()) std::abort();
  const auto key = spki_of(text);
  if (key && key->size() != 32) std::abort();
  (void)sign_request(authority, text, {.name = "a", .not_after = std::chrono::system_clock::now()});
  return 0;
}
