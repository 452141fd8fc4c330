// Buffers of 64 KiB that are taken when bytes are there and given back when they are gone, so that
// an idle connection holds none.
//
// Owned by whoever took it. A buffer goes back to the stock of the thread that gives it back (a
// loop has one thread): no locks. A stock keeps at most kPooledBuffersKept of them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace simplon::net {

/// One turn's worth of a bulk stream: larger ones fall out of the processor's second cache.
inline constexpr std::size_t kPooledBufferSize = 64 * 1024;
/// 4 MiB a thread at most.
inline constexpr std::size_t kPooledBuffersKept = 64;

class PooledBuffer {
 public:
  /// Empty.
  PooledBuffer() = default;
  PooledBuffer(PooledBuffer&&) noexcept = default;
  PooledBuffer& operator=(PooledBuffer&& other) noexcept;
  ~PooledBuffer() { release(); }

  /// From this thread's stock, or new. The bytes are indeterminate.
  static PooledBuffer take();
  /// Gives the bytes back; empty afterwards.
  void release();

  explicit operator bool() const { return bytes_ != nullptr; }
  std::span<std::byte> bytes() const {
    return {bytes_.get(), bytes_ == nullptr ? 0 : kPooledBufferSize};
  }
  std::byte* data() const { return bytes_.get(); }

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

/// How many buffers this thread took more than it gave back. For tests.
std::ptrdiff_t pooled_buffers_in_use();

}  // namespace simplon::net
