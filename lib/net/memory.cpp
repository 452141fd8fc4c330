#include "net/memory.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "net/buffer_pool.hpp"

namespace simplon::net {
namespace {

class MemoryStream;

// One direction: a ring, which holds memory only while it holds bytes. The bytes outlive the
// writer, so that a close after a write loses nothing.
struct Pipe {
  explicit Pipe(std::size_t limit) : capacity(limit) {}

  std::size_t put(Buffer from) {
    if (from.empty() || size == capacity) {
      return 0;
    }
    if (data() == nullptr) {
      if (capacity <= kPooledBufferSize) {
        pooled = PooledBuffer::take();
      } else {
        large = std::make_unique_for_overwrite<std::byte[]>(capacity);
      }
    }
    const std::size_t count = std::min(from.size(), capacity - size);
    const std::size_t at = (begin + size) % capacity;
    const std::size_t first = std::min(count, capacity - at);
    std::memcpy(data() + at, from.data(), first);
    std::memcpy(data(), from.data() + first, count - first);
    size += count;
    return count;
  }

  std::size_t get(std::span<std::byte> into) {
    const std::size_t count = std::min(into.size(), size);
    const std::size_t first = std::min(count, capacity - begin);
    std::memcpy(into.data(), data() + begin, first);
    std::memcpy(into.data() + first, data(), count - first);
    begin = (begin + count) % capacity;
    size -= count;
    if (size == 0) {
      clear();
    }
    return count;
  }

  std::string copy() const {
    const char* const at = reinterpret_cast<const char*>(data());
    const std::size_t first = std::min(size, capacity - begin);
    return size == 0 ? std::string{} : std::string(at + begin, first).append(at, size - first);
  }

  void clear() {
    begin = size = 0;
    pooled.release();
    large.reset();
  }

  std::byte* data() const { return large ? large.get() : pooled.data(); }

  const std::size_t capacity;
  PooledBuffer pooled;
  std::unique_ptr<std::byte[]> large;  // instead, for a capacity beyond the pool's buffers
  std::size_t begin = 0;
  std::size_t size = 0;
  bool ended = false;       // the writer will send no more
  bool abandoned = false;   // the reader takes no more
  std::error_code failure;  // reset by the other side of whoever sees it
  MemoryStream* reader = nullptr;
  MemoryStream* writer = nullptr;
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(Loop& loop, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : Stream(loop), in_(std::move(in)), out_(std::move(out)) {
    in_->reader = this;
    out_->writer = this;
  }

  ~MemoryStream() override {
    if (!detached_) {
      cut(make_error_code(Errc::reset));
    }
  }

  Result<std::size_t> try_read(std::span<std::byte> into) override {
    if (closed()) {
      return base::fail(Errc::closed);
    }
    if (in_->failure) {
      return std::unexpected(in_->failure);
    }
    if (in_->size == 0) {
      return in_->ended ? Result<std::size_t>(0) : base::fail(Errc::would_block);
    }
    const std::size_t count = in_->get(into);
    if (in_->writer != nullptr) {
      in_->writer->wake(Event::writable);
      if (in_->size == 0) {
        in_->writer->wake(Event::flushed);
      }
    }
    return count;
  }

  Result<std::size_t> try_write(std::span<const Buffer> from) override {
    if (closed() || out_->ended) {
      return base::fail(Errc::closed);
    }
    if (out_->failure) {
      return std::unexpected(out_->failure);
    }
    if (out_->abandoned) {
      return base::fail(Errc::reset);
    }
    std::size_t wanted = 0;
    std::size_t taken = 0;
    for (const Buffer& piece : from) {
      wanted += piece.size();
      taken += out_->put(piece);
    }
    if (taken == 0 && wanted != 0) {
      return base::fail(Errc::would_block);
    }
    if (out_->reader != nullptr) {
      out_->reader->wake(Event::readable);
    }
    return taken;
  }

  void shutdown_send() override {
    if (closed() || std::exchange(out_->ended, true)) {
      return;
    }
    if (out_->reader != nullptr) {
      out_->reader->wake(Event::readable);
      out_->reader->tell_peer_ended();
    }
    wake(Event::writable);  // a wait for room is over
  }

  std::optional<std::string> peek(std::size_t most) override {
    return in_->size <= most ? std::optional(in_->copy()) : std::nullopt;
  }

  bool carries_reason() const override { return true; }

  void wake(Event event) { notify_later(event); }

 protected:
  void start_wait(Event event) override {
    const bool dead = in_->failure || out_->failure;
    bool ready = false;
    switch (event) {
      case Event::readable:
        ready = dead || in_->size > 0 || in_->ended;
        break;
      case Event::writable:
        ready = dead || out_->ended || out_->abandoned || out_->size < out_->capacity;
        break;
      case Event::flushed:
        ready = dead || out_->abandoned || out_->size == 0;
        break;
    }
    if (ready) {
      notify(event);
    }
  }

  void stop_wait(Event) override {}

  void start_end_watch() override {
    if (in_->failure && !closed()) {
      tell_end_watcher();
    } else if (in_->ended && !closed()) {
      tell_peer_ended();
    }
  }

  // The written bytes stay readable for the other end; there is nothing to wait for.
  void do_close() override {
    if (!std::exchange(out_->ended, true) && out_->reader != nullptr) {
      out_->reader->tell_peer_ended();
    }
    in_->abandoned = true;
    in_->clear();
    detach();
  }

  void do_reset(std::error_code reason) override {
    if (!detached_) {
      cut(reason ? reason : make_error_code(Errc::reset));
    } else {
      out_->failure = reason ? reason : make_error_code(Errc::reset);
      if (out_->reader != nullptr) {
        out_->reader->wake(Event::readable);
        out_->reader->tell_end_watcher();
      }
    }
  }

 private:
  void cut(std::error_code reason) {
    out_->failure = reason;
    in_->failure = reason;
    in_->abandoned = true;
    detach();
    if (out_->reader != nullptr) {
      out_->reader->tell_end_watcher();  // behind who waits, and learns the reason
    }
  }

  void detach() {
    detached_ = true;
    in_->reader = nullptr;
    out_->writer = nullptr;
    if (out_->reader != nullptr) {
      out_->reader->wake(Event::readable);
    }
    if (in_->writer != nullptr) {
      in_->writer->wake(Event::writable);
      in_->writer->wake(Event::flushed);
    }
  }

  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  bool detached_ = false;
};

}  // namespace

std::pair<StreamPtr, StreamPtr> make_memory_pair(Loop& loop, std::size_t capacity) {
  const auto there = std::make_shared<Pipe>(capacity);
  const auto back = std::make_shared<Pipe>(capacity);
  return {std::make_shared<MemoryStream>(loop, back, there),
          std::make_shared<MemoryStream>(loop, there, back)};
}

}  // namespace simplon::net
