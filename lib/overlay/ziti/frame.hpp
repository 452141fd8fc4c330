// The frames between an edge client and an edge router ("channel v2"): 20 bytes that say what
// follows, typed headers, a body. All integers are little-endian.
//
// Pure functions and one incremental parser; what the frames mean is edge_message.hpp's and
// channel.hpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace simplon::overlay::ziti {

inline constexpr std::size_t kFrameHeadSize = 20;
/// Our limits; the protocol has none beyond the Hello. A body is one Data message of some peer, and
/// whole ones of 1 MiB have been seen.
inline constexpr std::size_t kMaxFrameHeaders = 64UL * 1024;
inline constexpr std::size_t kMaxFrameBody = 1024UL * 1024;

using Bytes = std::span<const std::byte>;

/// A whole frame where it was received; valid during the call that it is handed to.
class FrameView {
 public:
  /// `headers` has been checked (check_headers).
  FrameView(std::int32_t content, std::int32_t sequence, Bytes headers, std::span<std::byte> body)
      : content_(content), sequence_(sequence), headers_(headers), body_(body) {}

  std::int32_t content() const { return content_; }
  std::int32_t sequence() const { return sequence_; }
  /// May be changed by whoever the frame is handed to: bodies are decrypted in place.
  std::span<std::byte> body() const { return body_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(body_.data()), body_.size()};
  }

  bool has(std::int32_t id) const { return header(id).has_value(); }
  std::optional<Bytes> header(std::int32_t id) const;
  /// Nothing, too, when the value has not exactly 4 bytes.
  std::optional<std::uint32_t> number(std::int32_t id) const;
  /// Empty when there is none.
  std::string_view string(std::int32_t id) const;
  /// One byte, 1.
  bool flag(std::int32_t id) const;

 private:
  std::int32_t content_;
  std::int32_t sequence_;
  Bytes headers_;
  std::span<std::byte> body_;
};

/// Whether these bytes are headers and nothing else.
bool check_headers(Bytes headers);

/// Appends one frame to `to`: the constructor, the headers, then body() or end() once.
class FrameWriter {
 public:
  FrameWriter(std::vector<std::byte>& to, std::int32_t content, std::int32_t sequence);
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  FrameWriter& header(std::int32_t id, Bytes value);
  FrameWriter& text(std::int32_t id, std::string_view value) {
    return header(id, std::as_bytes(std::span(value)));
  }
  FrameWriter& u8(std::int32_t id, std::uint8_t value);
  FrameWriter& u16(std::int32_t id, std::uint16_t value);
  FrameWriter& u32(std::int32_t id, std::uint32_t value);
  FrameWriter& u64(std::int32_t id, std::uint64_t value);
  FrameWriter& flag(std::int32_t id, bool value = true) { return u8(id, value ? 1 : 0); }

  /// The body's place, to be filled before anything else is appended.
  std::span<std::byte> body(std::size_t size);
  void body(Bytes bytes);
  void body(std::string_view bytes) { body(std::as_bytes(std::span(bytes))); }
  /// A number of 4 bytes.
  void body_u32(std::uint32_t value);
  void end() { body(0); }

 private:
  std::vector<std::byte>& to_;
  const std::size_t begin_;
};

/// What a FrameParser finds.
class FrameSink {
 public:
  /// False stops the parser (the channel has ended).
  virtual bool frame(const FrameView& frame) = 0;

 protected:
  ~FrameSink() = default;
};

/// Cuts a byte stream into frames. A frame that is whole within the bytes is handed out where it
/// is; of others at most one is held.
class FrameParser {
 public:
  /// Consumes all of `bytes`, unless the sink stops it. other_version: the peer says that it speaks
  /// other versions; protocol_error: no frames, headers that do not add up, or larger than the
  /// limits. After an error the parser is not used again.
  base::Result<void> feed(std::span<std::byte> bytes, FrameSink& sink);

 private:
  std::vector<std::byte> partial_;
};

}  // namespace simplon::overlay::ziti
