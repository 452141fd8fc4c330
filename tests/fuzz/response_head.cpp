// A response head reads the same at every split of its bytes, and what is forwarded of it is read
// by the client as the same message.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/outgoing_head.hpp"
#include "split_reading.hpp"

using namespace simplon::http;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const auto whole = fuzz::read_at_every_split<ResponseParser, ResponseHead>(in);
  if (!whole.done) return 0;
  for (const bool upgrade : {false, true}) {
    const auto framing = frame_response(whole.head, {.upgrade = upgrade});
    if (!framing) continue;
    const BodyKind body =
        framing->body == BodyKind::until_close ? BodyKind::chunked : framing->body;
    std::string out;
    append_response(out, whole.head, {.body = body, .length = framing->length});
    const auto again = fuzz::read<ResponseParser, ResponseHead>(out, out.size());
    if (!again.done && out.size() > in.size()) continue;
    require(again.done && again.consumed == out.size());
    require(again.head.status == whole.head.status);
    const auto framed = frame_response(again.head, {.upgrade = upgrade});
    require(framed && framed->body == body && framed->length == framing->length);
    require(framed->switched == framing->switched && framed->interim == framing->interim);
  }
  return 0;
}
