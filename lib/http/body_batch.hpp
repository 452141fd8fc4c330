// The body bytes at hand, decoded from one framing and written in another in one go.
//
// Views of the bytes that were given to decode(): they must stay until the batch was written.
// Threads: none of its own.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "http/body.hpp"
#include "net/stream.hpp"

namespace simplon::http {

class BodyBatch {
 public:
  /// What the rules are views of outlives the batch.
  explicit BodyBatch(TrailerRules trailers = {}) : trailers_(trailers) {}

  /// Takes runs of payload from `in`, as many as fit in one write. Verdicts: of the decoder.
  std::expected<void, Verdict> decode(BodyDecoder& decoder, std::string_view in);

  std::size_t consumed() const { return consumed_; }
  std::uint64_t payload() const { return payload_; }

  /// `prefix` and the payload, as one chunk where `as` is chunked; with `end`, also what ends the
  /// body. No empty buffers; none at all if there is nothing to write. Valid until the next call.
  std::span<net::Buffer> frame(BodyKind as, std::string_view prefix, const BodyDecoder* end);

 private:
  static constexpr std::size_t kRuns = 32;

  // Slots for the prefix and the chunk's head, the runs, and the tail.
  std::array<net::Buffer, kRuns + 3> buffers_;
  std::size_t runs_ = 0;
  std::size_t consumed_ = 0;
  std::uint64_t payload_ = 0;
  ChunkHead chunk_{0};
  TrailerRules trailers_;
  std::string tail_;
};

}  // namespace simplon::http
