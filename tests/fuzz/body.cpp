// A chunked body decodes to the same at every split of its bytes, and written anew it decodes to
// itself.
#include "http/body.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace simplon::http;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Decoded {
  std::string payload;
  std::size_t consumed = 0;
  bool done = false;
  bool refused = false;
  std::size_t trailers = 0;
};

Decoded decode(std::string_view in, std::size_t step) {
  BodyDecoder decoder(BodyKind::chunked, 0, Limits{});
  Decoded result;
  std::size_t end = 0;
  while (!decoder.done() && (result.consumed < end || end < in.size())) {
    if (result.consumed == end) end = std::min(end + step, in.size());
    const auto piece = decoder.decode(in.substr(result.consumed, end - result.consumed));
    if (!piece) {
      result.refused = true;
      return result;
    }
    require(piece->consumed <= end - result.consumed);
    require(piece->payload.size() <= piece->consumed);
    result.payload += piece->payload;
    result.consumed += piece->consumed;
  }
  result.done = decoder.done();
  result.trailers = decoder.trailers().size();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const Decoded whole = decode(in, in.size());
  for (const std::size_t step : {1UL, 2UL, 5UL}) {
    const Decoded split = decode(in, step);
    require(split.done == whole.done && split.refused == whole.refused);
    require(split.payload == whole.payload && split.trailers == whole.trailers);
    if (whole.done) require(split.consumed == whole.consumed);
  }
  if (!whole.done) return 0;
  std::string again;
  if (!whole.payload.empty()) {
    again.append(ChunkHead(whole.payload.size()).text()).append(whole.payload).append(kChunkTail);
  }
  append_last_chunk(again, {});
  const Decoded copy = decode(again, again.size());
  require(copy.done && copy.payload == whole.payload && copy.consumed == again.size());
  return 0;
}
