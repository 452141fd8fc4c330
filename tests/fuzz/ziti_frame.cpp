// Any bytes of a router are frames or an error, the same however they are cut, and what was read is
// written again as it came.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "overlay/ziti/edge_message.hpp"
#include "overlay/ziti/frame.hpp"

namespace {

using namespace simplon;
using namespace simplon::overlay::ziti;

struct Collector final : FrameSink {
  bool frame(const FrameView& frame) override {
    std::vector<std::byte> out;
    FrameWriter writer(out, frame.content(), frame.sequence());
    for (std::int32_t id = 0; id < 4; ++id) {
      if (const auto value = frame.header(id)) {
        writer.header(id, *value);
      }
    }
    for (const std::int32_t id : {header::kReflected, header::kConnId, header::kFlags}) {
      if (const auto value = frame.header(id)) {
        writer.header(id, *value);
      }
    }
    writer.body(Bytes(frame.body()));
    seen.push_back(std::move(out));
    const EdgeError error = refusal_of(frame);
    if (error.text.empty() || error.text.size() > kMaxErrorText) {
      std::abort();
    }
    return true;
  }
  std::vector<std::vector<std::byte>> seen;
};

struct Outcome {
  std::vector<std::vector<std::byte>> frames;
  std::error_code error;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::vector<std::byte> bytes, std::size_t piece) {
  FrameParser parser;
  Collector sink;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto part = std::span(bytes).subspan(at, std::min(piece, bytes.size() - at));
    if (const auto fed = parser.feed(part, sink); !fed) {
      return {std::move(sink.seen), fed.error()};
    }
  }
  return {std::move(sink.seen), {}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto raw = std::as_bytes(std::span(data, size));
  const std::vector<std::byte> bytes(raw.begin(), raw.end());
  const Outcome whole = read(bytes, std::max<std::size_t>(size, 1));
  for (const std::size_t piece : {1U, 3U, 21U}) {
    if (read(bytes, piece) != whole) {
      std::abort();
    }
  }
  // What our writer makes is read, all of it.
  for (const auto& frame : whole.frames) {
    const Outcome again = read(frame, frame.size());
    if (again.error || again.frames.size() != 1 || again.frames[0] != frame) {
      std::abort();
    }
  }
  return 0;
}
