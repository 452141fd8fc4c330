// Any text is a join token or an error; a token written out reads back as itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "overlay/embedded/enroll.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simplon::overlay;
  const auto parsed = parse_token({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) return 0;
  const auto text = encode_token(*parsed);
  if (text.size() > kMaxTokenBytes) return 0;
  const auto again = parse_token(text);
  if (!again.ok() || *again != *parsed) std::abort();
  return 0;
}
