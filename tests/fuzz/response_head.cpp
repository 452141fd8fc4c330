// A response head reads the same at every split of its bytes, and what is forwarded of it is read
// by the client as the same message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/forwarding.hpp"

namespace {

using namespace simplon::http;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Read {
  ResponseHead head;
  std::size_t consumed = 0;
  bool done = false;
};

Read read(std::string_view in, std::size_t step) {
  ResponseParser parser{Limits{}};
  Read result;
  for (std::size_t end = std::min(step, in.size());; end = std::min(end + step, in.size())) {
    const auto parsed =
        parser.parse(in.substr(result.consumed, end - result.consumed), result.head);
    if (!parsed) return result;
    result.consumed += parsed->consumed;
    result.done = parsed->done;
    if (result.done || end == in.size()) return result;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const Read whole = read(in, in.size());
  for (const std::size_t step : {1UL, 2UL, 7UL}) {
    const Read split = read(in, step);
    require(split.done == whole.done);
    if (whole.done) require(split.consumed == whole.consumed);
  }
  if (!whole.done) return 0;
  for (const bool upgrade : {false, true}) {
    const auto framing = frame_response(whole.head, {.upgrade = upgrade});
    if (!framing) continue;
    const BodyKind body =
        framing->body == BodyKind::until_close ? BodyKind::chunked : framing->body;
    std::string out;
    append_response(out, whole.head, {.body = body, .length = framing->length});
    const Read again = read(out, out.size());
    if (!again.done && out.size() > in.size()) continue;
    require(again.done && again.consumed == out.size());
    require(again.head.status == whole.head.status);
    const auto framed = frame_response(again.head, {.upgrade = upgrade});
    require(framed && framed->body == body && framed->length == framing->length);
    require(framed->switched == framing->switched && framed->interim == framing->interim);
  }
  return 0;
}
