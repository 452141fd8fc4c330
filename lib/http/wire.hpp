// The reading and the writing side of a stream that carries HTTP messages.
//
// Ownership: an inlet shares its stream; its buffer is taken from the pool when bytes arrive and
// given back when they are used up, so a connection that waits holds none.
// Threads: the stream's loop. Cancellation: as of the stream's waits.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "net/async.hpp"
#include "net/buffer_pool.hpp"
#include "net/stream.hpp"

namespace simplon::http {

/// What was read of a stream and not yet used.
class Inlet {
 public:
  explicit Inlet(net::StreamPtr stream) : stream_(std::move(stream)) {}

  net::Stream& stream() const { return *stream_; }
  const net::StreamPtr& stream_ptr() const { return stream_; }

  /// Views die with the next fill or consume.
  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(buffer_.data()) + begin_, end_ - begin_};
  }
  void consume(std::size_t count);
  /// All that was ever consumed.
  std::uint64_t consumed() const { return consumed_; }

  /// Reads what is there now: at least one byte, 0 at the end of the stream, would_block, or the
  /// stream's error. limit_exceeded when the buffer is full (net::kPooledBufferSize).
  net::Result<std::size_t> try_fill();
  /// The same, waiting where it would block.
  net::awaitable<net::Result<std::size_t>> fill();

  /// The peer ended its direction; there may be bytes left.
  bool ended() const { return ended_; }

 private:
  net::StreamPtr stream_;
  net::PooledBuffer buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t consumed_ = 0;
  bool ended_ = false;
};

/// All of the buffers are staged, in order; `buffers` is used up on the way.
net::awaitable<net::Result<void>> write_all(net::Stream& stream, std::span<net::Buffer> buffers);

/// Lingering close (RFC 9112 §9.6): ends our direction, and reads on for so long, so that a client
/// that is still sending sees the answer and not a reset. Then closes.
net::awaitable<void> linger(Inlet& inlet, net::Duration for_at_most);

}  // namespace simplon::http
