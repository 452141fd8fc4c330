#include "http/wire.hpp"

#include <cstring>

namespace simplon::http {
namespace {

constexpr std::size_t kLeastRoom = 16 * 1024;            // below it, bytes are moved to make room
constexpr std::size_t kMostLingered = 64 * 1024 * 1024;  // a sender that fast does not stop

}  // namespace

void Inlet::consume(std::size_t count) {
  begin_ += count;
  consumed_ += count;
  if (begin_ == end_) {
    buffer_.release();
    begin_ = end_ = 0;
  }
}

net::Result<std::size_t> Inlet::try_fill() {
  if (ended_) {
    return 0;
  }
  if (!buffer_) {
    buffer_ = net::PooledBuffer::take();
  } else if (begin_ > 0 && net::kPooledBufferSize - end_ < kLeastRoom) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const auto room = buffer_.bytes().subspan(end_);
  if (room.empty()) {
    return base::fail(base::Errc::limit_exceeded);
  }
  const auto got = stream_->try_read(room);
  if (got) {
    ended_ = *got == 0;
    end_ += *got;
  }
  if (begin_ == end_) {
    buffer_.release();
    begin_ = end_ = 0;
  }
  return got;
}

net::awaitable<net::Result<std::size_t>> Inlet::fill() {
  for (;;) {
    const auto got = try_fill();
    if (got || got.error() != base::Errc::would_block) {
      co_return got;
    }
    if (const auto error = co_await net::wait(*stream_, net::Event::readable)) {
      co_return std::unexpected(error);
    }
  }
}

net::awaitable<net::Result<void>> write_all(net::Stream& stream, std::span<net::Buffer> buffers) {
  for (;;) {
    while (!buffers.empty() && buffers.front().empty()) {
      buffers = buffers.subspan(1);
    }
    if (buffers.empty()) {
      co_return net::Result<void>{};
    }
    const auto put = stream.try_write(buffers);
    if (!put) {
      if (put.error() != base::Errc::would_block) {
        co_return std::unexpected(put.error());
      }
      if (const auto error = co_await net::wait(stream, net::Event::writable)) {
        co_return std::unexpected(error);
      }
      continue;
    }
    for (std::size_t left = *put; left > 0;) {
      net::Buffer& first = buffers.front();
      const std::size_t taken = std::min(left, first.size());
      first = first.subspan(taken);
      left -= taken;
      if (first.empty()) {
        buffers = buffers.subspan(1);
      }
    }
  }
}

net::awaitable<void> linger(Inlet& inlet, net::Duration for_at_most) {
  net::Stream& stream = inlet.stream();
  stream.shutdown_send();
  stream.set_deadline(net::Direction::receive, stream.loop().now() + for_at_most);
  for (std::size_t discarded = 0; discarded < kMostLingered;) {
    inlet.consume(inlet.bytes().size());
    const auto got = co_await inlet.fill();
    if (!got || *got == 0) {
      break;
    }
    discarded += *got;
  }
  stream.close();
}

}  // namespace simplon::http
