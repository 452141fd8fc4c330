// Any text is an enrollment token or an error, any bytes a certificate bundle or an error, and no
// token verifies with a certificate that did not sign it.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <absl/strings/escaping.h>

#include "overlay/ziti/enroll_jwt.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simplon::overlay::ziti;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'000'000'000)};
  const auto parsed = parse_enroll_token(text, now);
  if (parsed.ok() && (parsed->expires <= now || parsed->signature.empty() ||
                      !parsed->controller.starts_with("https://"))) {
    std::abort();
  }
  if (parsed.ok() && parsed->verify(text).ok()) std::abort();
  (void)read_pkcs7(text);
  (void)read_pkcs7(absl::Base64Escape({text.data(), text.size()}));
  if (verify_signature(Signature::rs256, text, "text", text)) std::abort();
  return 0;
}
