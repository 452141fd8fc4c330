#include "net/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/end_poll.hpp"

namespace simplon::net {
namespace {

namespace asio = boost::asio;

// More pieces than this go out with the next call.
constexpr std::size_t kMaxPieces = 64;

// What the kernel holds for a peer that does not take it. What is on its way is not limited;
// without this a thousand slow readers fill the host's TCP memory, 4 MiB each, and new connections
// starve.
constexpr int kMaxUnsent = 256 * 1024;

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

class SocketStream final : public Stream, private EndPoll::Watched {
 public:
  SocketStream(Loop& loop, Fd socket)
      : Stream(loop), socket_(loop.context(), socket.release()), timer_(loop) {}

  ~SocketStream() override {
    if (socket_.is_open()) {
      abort();
    }
  }

  int fd() { return socket_.native_handle(); }

  Result<std::size_t> try_read(std::span<std::byte> into) override {
    if (closed()) {
      return base::fail(Errc::closed);
    }
    for (;;) {
      const ssize_t count = ::recv(fd(), into.data(), into.size(), 0);
      if (count > 0) {
        return static_cast<std::size_t>(count);
      }
      if (count == 0) {
        // After a failed write the kernel reports a reset connection as ended.
        if (failure_) {
          return std::unexpected(failure_);
        }
        ended_ = true;
        return 0;
      }
      if (would_block(errno)) {
        return failure_ ? Result<std::size_t>(std::unexpected(failure_))
                        : base::fail(Errc::would_block);
      }
      if (errno != EINTR) {
        return failed(errno);
      }
    }
  }

  Result<std::size_t> try_write(std::span<const Buffer> from) override {
    if (closed() || sending_ended_) {
      return base::fail(Errc::closed);
    }
    if (failure_) {
      return std::unexpected(failure_);
    }
    std::array<iovec, kMaxPieces> pieces{};
    std::size_t count = 0;
    for (const Buffer& piece : from) {
      if (count == pieces.size()) {
        break;
      }
      if (!piece.empty()) {
        pieces[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
      }
    }
    if (count == 0) {
      return 0;
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    for (;;) {
      const ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
      if (sent >= 0) {
        return static_cast<std::size_t>(sent);
      }
      if (would_block(errno)) {
        return base::fail(Errc::would_block);
      }
      if (errno != EINTR) {
        return failed(errno);
      }
    }
  }

  std::optional<std::string> peek(std::size_t most) override {
    int there = 0;
    if (closed() || ::ioctl(fd(), FIONREAD, &there) != 0 || there < 0 ||
        static_cast<std::size_t>(there) > most) {
      return std::nullopt;
    }
    std::string out(static_cast<std::size_t>(there), '\0');
    // Less where urgent data divides it.
    if (there != 0 && ::recv(fd(), out.data(), out.size(), MSG_PEEK) != there) {
      return std::nullopt;
    }
    return out;
  }

  void shutdown_send() override {
    if (!closed() && !std::exchange(sending_ended_, true)) {
      ::shutdown(fd(), SHUT_WR);
      notify_later(Event::writable);
    }
  }

 protected:
  void start_wait(Event event) override {
    if (event == Event::flushed || failure_ || (event == Event::writable && sending_ended_)) {
      notify(event);
    } else if (event == Event::readable && !std::exchange(read_wait_, true)) {
      socket_.async_wait(
          asio::posix::descriptor_base::wait_read,
          [weak = weak_from_this()](boost::system::error_code error) {
            if (const auto self = std::static_pointer_cast<SocketStream>(weak.lock())) {
              self->read_wait_ = false;
              self->arrived(Event::readable, error);
            }
          });
    } else if (event == Event::writable && !std::exchange(write_wait_, true)) {
      socket_.async_wait(
          asio::posix::descriptor_base::wait_write,
          [weak = weak_from_this()](boost::system::error_code error) {
            if (const auto self = std::static_pointer_cast<SocketStream>(weak.lock())) {
              self->write_wait_ = false;
              self->arrived(Event::writable, error);
            }
          });
    }
  }

  // The reactor's wait stays: it costs nothing, and the next wait of that event takes it over.
  void stop_wait(Event) override {}

  void start_end_watch() override {
    if (failure_) {
      tell_end_watcher();
      return;
    }
    if (peer_ended_) {
      tell_peer_ended();
    }
    if (!closed() && !ends_) {
      ends_ = loop().end_poll();
      if (ends_ && !ends_->add(fd(), *this)) {
        ends_.reset();
      }
    }
  }

  void do_close() override {
    if (failure_ || (sending_ended_ && ended_)) {
      abandon();
      return;
    }
    if (!std::exchange(sending_ended_, true) && ::shutdown(fd(), SHUT_WR) != 0) {
      abandon();  // never connected, or gone
      return;
    }
    if (ended_) {
      abandon();
      return;
    }
    timer_.arm(
        loop().now() + kCloseTimeout,
        [self = std::static_pointer_cast<SocketStream>(shared_from_this())] { self->abandon(); });
    discard();
  }

  void do_reset(std::error_code) override {
    if (socket_.is_open()) {
      abort();
    }
  }

 private:
  Result<std::size_t> failed(int error) {
    remember(error);
    return std::unexpected(failure_);
  }

  void remember(int error) {
    failure_ = socket_error(error);
    if (error == EPIPE || error == ETIMEDOUT) {
      failure_ = make_error_code(Errc::reset);  // for good, unlike a wait's timed_out
    }
  }

  void arrived(Event event, boost::system::error_code error) {
    if (error) {
      return;  // the descriptor is being closed
    }
    if (!closed()) {
      notify(event);
    } else if (event == Event::readable && socket_.is_open()) {
      discard();
    }
  }

  void end_seen(std::uint32_t events) override {
    if (closed()) {
      return;
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      remember(error);
    }
    if (failure_) {
      tell_end_watcher();
    } else if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0 && !std::exchange(peer_ended_, true)) {
      tell_peer_ended();
    }
  }

  // One buffer a turn, so that a peer that keeps sending does not keep the loop.
  void discard() {
    std::array<std::byte, 16 * 1024> scrap;
    const ssize_t count = ::recv(fd(), scrap.data(), scrap.size(), 0);
    if (count == 0 || (count < 0 && !would_block(errno) && errno != EINTR)) {
      abandon();
    } else {
      start_wait(Event::readable);
    }
  }

  void abandon() {
    timer_.cancel();
    if (const auto ends = std::exchange(ends_, nullptr)) {
      ends->remove(fd());
    }
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  void abort() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    abandon();
  }

  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> socket_;
  Timer timer_;                    // for kCloseTimeout
  std::shared_ptr<EndPoll> ends_;  // while it watches this
  std::error_code failure_;
  bool ended_ = false;          // the peer's direction was read to its end
  bool peer_ended_ = false;     // it has one
  bool sending_ended_ = false;  // ours
  bool read_wait_ = false;      // the reactor has a wait of ours
  bool write_wait_ = false;
};

}  // namespace

void Fd::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

std::error_code socket_error(int error) noexcept {
  switch (error) {
    case ECONNREFUSED:
      return Errc::refused;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return Errc::reset;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return Errc::unreachable;
    case ETIMEDOUT:
      return Errc::timed_out;
    case EADDRINUSE:
      return Errc::address_in_use;
    case EACCES:
    case EPERM:
      return Errc::not_permitted;
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return Errc::limit_exceeded;
    default:
      return {error, std::generic_category()};
  }
}

Result<Fd> open_socket(int family) {
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    return std::unexpected(socket_error(errno));
  }
  return socket;
}

StreamPtr make_socket_stream(Loop& loop, Fd socket) {
  // Urgent bytes are bytes like others, in their place (RFC 6093 §3); else recv skips them.
  set_option(socket.get(), SOL_SOCKET, SO_OOBINLINE, 1);
  int domain = AF_UNIX;
  socklen_t size = sizeof domain;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
  if (domain != AF_UNIX) {
    const int fd = socket.get();
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kMaxUnsent);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
  }
  return std::make_shared<SocketStream>(loop, std::move(socket));
}

std::error_code connect_outcome(Stream& stream) {
  auto* const socket = dynamic_cast<SocketStream*>(&stream);
  if (socket == nullptr || socket->closed()) {
    return {};
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? std::error_code{} : socket_error(error);
}

void limit_unacknowledged(Stream& stream, std::chrono::milliseconds limit) {
  auto* const socket = dynamic_cast<SocketStream*>(&stream);
  if (socket != nullptr && !socket->closed()) {
    set_option(socket->fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(limit.count()));
  }
}

}  // namespace simplon::net
