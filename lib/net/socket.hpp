// Kernel stream sockets, TCP or unix: the descriptor, and the Stream over it.
//
// A socket's stream stages nothing in this process: what try_write took is in the kernel, so
// Event::flushed is immediate, and close() leaves delivery to the kernel. Its close() sends FIN and
// reads on, discarding, until the peer ends too or kCloseTimeout passed: a socket closed over
// unread bytes would answer with RST, and the peer could lose what it had not read yet.
// Urgent data is read as ordinary bytes in their place.
#pragma once

#include <chrono>
#include <system_error>
#include <utility>

#include "net/endpoint.hpp"
#include "net/stream.hpp"

namespace simplon::net {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void close();

 private:
  int fd_ = -1;
};

/// A failed system call's errno as an error of ours where there is one: refused, reset,
/// unreachable, timed_out, address_in_use, not_permitted, not_found, limit_exceeded; else generic.
std::error_code socket_error(int error) noexcept;

/// A non-blocking, close-on-exec stream socket.
Result<Fd> open_socket(int family);

/// The stream over a connected (or connecting) non-blocking socket. TCP gets TCP_NODELAY and
/// keep-alive probes after a minute of silence.
StreamPtr make_socket_stream(Loop& loop, Fd socket);

/// For a stream of make_socket_stream: the outcome of a non-blocking connect. No error for others.
std::error_code connect_outcome(Stream& stream);

/// For TCP streams: resets the connection when sent bytes stay unacknowledged for so long. Only for
/// peers that always read, because a closed receive window counts too. Others ignore it.
void limit_unacknowledged(Stream& stream, std::chrono::milliseconds limit);

}  // namespace simplon::net
