#include "net/buffer_pool.hpp"

#include <utility>
#include <vector>

namespace simplon::net {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// Every buffer is new, so that a use after release is seen.
constexpr std::size_t kKept = 0;
#else
constexpr std::size_t kKept = kPooledBuffersKept;
#endif
#else
constexpr std::size_t kKept = kPooledBuffersKept;
#endif

thread_local std::ptrdiff_t in_use = 0;
// A buffer of a static object may come back after this thread's stock has died.
thread_local bool stock_gone = false;

struct Stock {
  ~Stock() { stock_gone = true; }
  std::vector<std::unique_ptr<std::byte[]>> buffers;
};

Stock& stock() {
  thread_local Stock here;
  return here;
}

}  // namespace

PooledBuffer& PooledBuffer::operator=(PooledBuffer&& other) noexcept {
  if (this != &other) {
    release();
    bytes_ = std::move(other.bytes_);
  }
  return *this;
}

PooledBuffer PooledBuffer::take() {
  PooledBuffer out;
  ++in_use;
  if (!stock_gone && !stock().buffers.empty()) {
    out.bytes_ = std::move(stock().buffers.back());
    stock().buffers.pop_back();
  } else {
    out.bytes_ = std::make_unique_for_overwrite<std::byte[]>(kPooledBufferSize);
  }
  return out;
}

void PooledBuffer::release() {
  if (bytes_ == nullptr) {
    return;
  }
  --in_use;
  if (!stock_gone && stock().buffers.size() < kKept) {
    stock().buffers.push_back(std::move(bytes_));
  }
  bytes_.reset();
}

std::ptrdiff_t pooled_buffers_in_use() { return in_use; }

}  // namespace simplon::net
