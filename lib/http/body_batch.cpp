#include "http/body_batch.hpp"

namespace simplon::http {

std::expected<void, Verdict> BodyBatch::decode(BodyDecoder& decoder, std::string_view in) {
  runs_ = 0;
  consumed_ = 0;
  payload_ = 0;
  while (runs_ < kRuns && consumed_ < in.size() && !decoder.done()) {
    const auto piece = decoder.decode(in.substr(consumed_));
    if (!piece) {
      return std::unexpected(piece.error());
    }
    consumed_ += piece->consumed;
    if (!piece->payload.empty()) {
      buffers_[2 + runs_++] = net::as_buffer(piece->payload);
      payload_ += piece->payload.size();
    }
  }
  return {};
}

std::span<net::Buffer> BodyBatch::frame(BodyKind as, std::string_view prefix,
                                        const BodyDecoder* end) {
  const bool chunked = as == BodyKind::chunked;
  std::size_t first = 2;
  std::size_t last = 2 + runs_;
  tail_.clear();
  if (chunked && payload_ > 0) {
    chunk_ = ChunkHead(payload_);
    buffers_[--first] = net::as_buffer(chunk_.text());
    tail_ = kChunkTail;
  }
  if (chunked && end != nullptr) {
    append_last_chunk(tail_, end->trailers(), trailers_);
  }
  if (!prefix.empty()) {
    buffers_[--first] = net::as_buffer(prefix);
  }
  if (!tail_.empty()) {
    buffers_[last++] = net::as_buffer(tail_);
  }
  return std::span(buffers_).subspan(first, last - first);
}

}  // namespace simplon::http
