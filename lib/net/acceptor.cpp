#include "net/acceptor.hpp"

#include <cerrno>
#include <utility>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.hpp"

namespace simplon::net {
namespace {

namespace asio = boost::asio;

// Connections taken in one turn: a flood of them must not keep the loop from its other work.
constexpr int kBatch = 16;

Fd spare_descriptor() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};

FileId file_id(const std::string& path) {
  struct stat info{};
  if (path.empty() || ::lstat(path.c_str(), &info) != 0) {
    return {};
  }
  return {info.st_dev, info.st_ino};
}

// The state lives in a shared object, so that a handler may destroy the acceptor that calls it.
class State : public std::enable_shared_from_this<State> {
 public:
  State(Loop& loop, Fd socket)
      : loop_(loop), socket_(loop.context(), socket.release()), pause_(loop) {}

  void start(Acceptor::Handler handler) {
    handler_ = std::move(handler);
    wait();
  }

  void stop() {
    stopped_ = true;
    pause_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  int fd() { return socket_.native_handle(); }

 private:
  void wait() {
    socket_.async_wait(asio::posix::descriptor_base::wait_read,
                       [weak = weak_from_this()](boost::system::error_code error) {
                         if (const auto self = weak.lock(); self && !error && !self->stopped_) {
                           self->accept_batch();
                         }
                       });
  }

  void accept_batch() {
    for (int i = 0; i < kBatch; ++i) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      Fd socket(
          ::accept4(fd(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          out_of_descriptors();
          return;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
          break;
        }
        continue;  // this one connection is gone: ECONNABORTED and the network's errors
      }
      handler_(Accepted{std::move(socket),
                        SocketAddress(reinterpret_cast<const sockaddr*>(&from), size)});
      if (stopped_) {
        return;
      }
    }
    wait();
  }

  // The connection at the head of the queue would be reported again and again: the spare
  // descriptor takes it, so that its client hears of it, and others wait in the queue for a while.
  void out_of_descriptors() {
    spare_.close();
    Fd refused(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC));
    refused.close();
    spare_ = spare_descriptor();
    base::log().warn("out of file descriptors: pausing {} for {} ms", fd(), kAcceptPause.count());
    pause_.arm(loop_.now() + kAcceptPause, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->accept_batch();
      }
    });
  }

  Loop& loop_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> socket_;
  Acceptor::Handler handler_;
  Timer pause_;
  Fd spare_ = spare_descriptor();
  bool stopped_ = false;
};

class SocketAcceptor final : public Acceptor {
 public:
  SocketAcceptor(Loop& loop, Fd socket, std::string unlink_path)
      : path_(std::move(unlink_path)), file_(file_id(path_)) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    bound_ = SocketAddress(reinterpret_cast<const sockaddr*>(&bound), size);
    state_ = std::make_shared<State>(loop, std::move(socket));
  }

  ~SocketAcceptor() override {
    state_->stop();
    // Not the file of somebody who took the path over.
    if (!path_.empty() && file_id(path_) == file_) {
      ::unlink(path_.c_str());
    }
  }

  void start(Handler handler) override { state_->start(std::move(handler)); }
  const SocketAddress& bound() const override { return bound_; }

  Result<std::unique_ptr<Acceptor>> share(Loop& loop) const override {
    Fd copy(::fcntl(state_->fd(), F_DUPFD_CLOEXEC, 0));
    if (!copy) {
      return std::unexpected(socket_error(errno));
    }
    return make_acceptor(loop, std::move(copy));
  }

 private:
  std::string path_;
  FileId file_;
  SocketAddress bound_;
  std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<Acceptor> make_acceptor(Loop& loop, Fd socket, std::string unlink_path) {
  return std::make_unique<SocketAcceptor>(loop, std::move(socket), std::move(unlink_path));
}

}  // namespace simplon::net
