// The other end of a connection under test: sends raw bytes and keeps what came back. For tests
// over memory streams on a loop that the test polls itself.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include "net/memory.hpp"

namespace simplon::http {

class RawPeer {
 public:
  explicit RawPeer(net::StreamPtr stream) : stream_(std::move(stream)) {}

  /// Runs the loop until nothing is left to do; what arrives is read.
  void settle() {
    do {
      while (stream_->loop().poll() != 0) {
      }
    } while (!stopped_reading_ && read());
  }

  RawPeer& send(std::string_view text) {
    const std::size_t size = text.size();
    blocked_ = false;
    while (!text.empty()) {
      const auto put = stream_->try_write(net::as_buffer(text));
      if (put) {
        text.remove_prefix(*put);
      } else if (put.error() != base::Errc::would_block) {
        failed_write_ = true;
        break;
      } else {
        const auto room_before = text.size();
        while (stream_->loop().poll() != 0) {
        }
        if (const auto again = stream_->try_write(net::as_buffer(text)); again) {
          text.remove_prefix(*again);
        }
        if (text.size() == room_before) {
          blocked_ = true;
          break;
        }
      }
    }
    sent_ += size - text.size();
    settle();
    return *this;
  }

  /// What came since the last call.
  std::string take() {
    settle();
    return std::exchange(in_, {});
  }
  /// The same without letting the loop run.
  std::string take_now() {
    while (read()) {
    }
    return std::exchange(in_, {});
  }
  const std::string& received() {
    settle();
    return in_;
  }

  void end() { stream_->shutdown_send(), settle(); }
  void reset() { stream_->reset(), settle(); }
  void close() { stream_->close(), settle(); }
  void stop_reading(bool stop) { stopped_reading_ = stop; }

  /// The other side ended its direction in order.
  bool ended() {
    settle();
    return ended_;
  }
  /// The other side's connection was cut.
  std::error_code failure() {
    settle();
    return failure_;
  }
  bool gone() { return ended() || failure(); }
  /// The last send() could not place all it had.
  bool blocked() const { return blocked_; }
  /// Bytes that were taken from us.
  std::size_t sent() const { return sent_; }
  bool write_failed() const { return failed_write_; }
  net::Stream& stream() { return *stream_; }

 private:
  bool read() {
    std::array<std::byte, 16 * 1024> buffer;
    const auto got = stream_->try_read(buffer);
    if (!got) {
      if (got.error() != base::Errc::would_block && got.error() != base::Errc::closed) {
        failure_ = got.error();
      }
      return false;
    }
    if (*got == 0) {
      ended_ = true;
      return false;
    }
    in_.append(reinterpret_cast<const char*>(buffer.data()), *got);
    return true;
  }

  net::StreamPtr stream_;
  std::string in_;
  std::error_code failure_;
  std::size_t sent_ = 0;
  bool ended_ = false;
  bool stopped_reading_ = false;
  bool blocked_ = false;
  bool failed_write_ = false;
};

}  // namespace simplon::http
