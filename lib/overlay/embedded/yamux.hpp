// The frames of a session: hashicorp's yamux, version 0 (PROTOCOL.md, "Frames").
//
// Pure functions and one incremental parser; no streams, no windows (session.hpp has those).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.hpp"

namespace simplon::overlay {

enum class FrameType : std::uint8_t { data = 0, window_update = 1, ping = 2, go_away = 3 };

namespace frame_flag {
inline constexpr std::uint16_t kSyn = 1;
inline constexpr std::uint16_t kAck = 2;
inline constexpr std::uint16_t kFin = 4;
inline constexpr std::uint16_t kRst = 8;
}  // namespace frame_flag

/// The code of a go-away frame.
enum class GoAway : std::uint32_t { normal = 0, protocol_error = 1, internal_error = 2 };

struct FrameHeader {
  FrameType type = FrameType::data;
  std::uint16_t flags = 0;
  std::uint32_t stream = 0;  ///< 0 is the session itself
  std::uint32_t length = 0;  ///< bytes that follow (data), credit, opaque value, or code

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  bool operator==(const FrameHeader&) const = default;
};

inline constexpr std::size_t kFrameHeaderSize = 12;
using FrameBytes = std::array<std::byte, kFrameHeaderSize>;

/// No stream's window is larger, so no data frame can be.
inline constexpr std::uint32_t kMaxFramePayload = 16 * 1024 * 1024;

FrameBytes encode_frame(const FrameHeader& header);

/// protocol_error: another version, an unknown type or flag, a data frame over kMaxFramePayload,
/// a ping or go-away of a stream, data or a new stream on number 0.
base::Result<FrameHeader> decode_frame(std::span<const std::byte, kFrameHeaderSize> bytes);

/// What a FrameParser finds. Both return false to stop the parser (the session has ended).
class FrameSink {
 public:
  /// A header; for data frames exactly `length` bytes follow through payload(), if it is not 0.
  virtual bool frame(const FrameHeader& header) = 0;
  /// A part of the payload of the last data frame, never empty; valid during the call only.
  virtual bool payload(std::span<const std::byte> bytes, bool last) = 0;

 protected:
  ~FrameSink() = default;
};

/// Cuts a byte stream into frames; holds at most one partial header.
class FrameParser {
 public:
  /// Consumes all of `bytes`, unless the sink stops it or the bytes are no yamux; after an error
  /// the parser is not used again.
  base::Result<void> feed(std::span<const std::byte> bytes, FrameSink& sink);

 private:
  FrameBytes partial_{};
  std::size_t have_ = 0;
  std::uint32_t payload_left_ = 0;
};

}  // namespace simplon::overlay
