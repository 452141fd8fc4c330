// Any text is an endpoint or an error; an endpoint written out reads back as itself.
#include "net/endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simplon::net;
  const auto parsed = parse_endpoint({reinterpret_cast<const char*>(data), size});
  if (!parsed) return 0;
  const auto again = parse_endpoint(to_string(*parsed));
  if (!again || *again != *parsed) std::abort();
  return 0;
}
