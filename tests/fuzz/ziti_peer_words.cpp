// What peers on an OpenZiti network say in texts: a dialer's application data, a host's rejection
// inside the network's own words.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "overlay/ziti/app_data.hpp"
#include "overlay/ziti/refusals.hpp"

using namespace simplon::overlay;
using namespace simplon::overlay::ziti;

namespace {

void must(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto said = decode_app_data(text)) {
    const std::string again = encode_app_data(*said);
    must(again.size() <= kMaxAppData);
    must(decode_app_data(again) == said);
  }
  const Refusal refusal = dial_refusal(refusal_of(text), text.substr(0, 256));
  must(refusal.not_processed && !refusal.failure.message().empty());
  for (const char c : refusal.failure.detail) {
    const auto byte = static_cast<unsigned char>(c);  // UTF-8, so above 0x7f, too
    must(byte >= 0x20 && byte != 0x7f);
  }
  must(decode_rejection(encode_rejection(refusal)).has_value());
  return 0;
}
