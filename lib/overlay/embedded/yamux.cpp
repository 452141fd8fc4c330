#include "overlay/embedded/yamux.hpp"

#include <algorithm>

namespace simplon::overlay {
namespace {

constexpr std::uint16_t kKnownFlags =
    frame_flag::kSyn | frame_flag::kAck | frame_flag::kFin | frame_flag::kRst;

template <class Int>
void put(std::byte* at, Int value) {
  for (std::size_t i = 0; i < sizeof(Int); ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * (sizeof(Int) - 1 - i)));
  }
}

std::uint32_t get(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) {
    value = value << 8 | std::to_integer<std::uint32_t>(byte);
  }
  return value;
}

}  // namespace

FrameBytes encode_frame(const FrameHeader& header) {
  FrameBytes bytes{};
  bytes[1] = static_cast<std::byte>(header.type);
  put(&bytes[2], header.flags);
  put(&bytes[4], header.stream);
  put(&bytes[8], header.length);
  return bytes;
}

base::Result<FrameHeader> decode_frame(std::span<const std::byte, kFrameHeaderSize> bytes) {
  const FrameHeader header{.type = static_cast<FrameType>(bytes[1]),
                           .flags = static_cast<std::uint16_t>(get(bytes.subspan(2, 2))),
                           .stream = get(bytes.subspan(4, 4)),
                           .length = get(bytes.subspan(8, 4))};
  if (bytes[0] != std::byte{0} || header.type > FrameType::go_away ||
      (header.flags & ~kKnownFlags) != 0) {
    return base::fail(base::Errc::protocol_error);
  }
  const bool of_session = header.type == FrameType::ping || header.type == FrameType::go_away;
  if (of_session ? header.stream != 0
                 : header.stream == 0 && (header.type == FrameType::data || header.flags != 0)) {
    return base::fail(base::Errc::protocol_error);
  }
  if (header.type == FrameType::data && header.length > kMaxFramePayload) {
    return base::fail(base::Errc::protocol_error);
  }
  return header;
}

base::Result<void> FrameParser::feed(std::span<const std::byte> bytes, FrameSink& sink) {
  while (!bytes.empty()) {
    if (payload_left_ != 0) {
      const auto part = bytes.first(std::min<std::size_t>(payload_left_, bytes.size()));
      bytes = bytes.subspan(part.size());
      payload_left_ -= static_cast<std::uint32_t>(part.size());
      if (!sink.payload(part, payload_left_ == 0)) {
        return {};
      }
      continue;
    }
    const std::size_t count = std::min(kFrameHeaderSize - have_, bytes.size());
    std::ranges::copy(bytes.first(count), partial_.begin() + static_cast<std::ptrdiff_t>(have_));
    bytes = bytes.subspan(count);
    have_ += count;
    if (have_ < kFrameHeaderSize) {
      break;
    }
    have_ = 0;
    const auto header = decode_frame(partial_);
    if (!header) {
      return std::unexpected(header.error());
    }
    if (header->type == FrameType::data) {
      payload_left_ = header->length;
    }
    if (!sink.frame(*header)) {
      return {};
    }
  }
  return {};
}

}  // namespace simplon::overlay
