#include "net/unix.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace simplon::net {
namespace {

constexpr int kBacklog = 4096;
// A unix socket's connect never completes later: with a full queue it must be tried again.
constexpr std::chrono::milliseconds kRetry{10};

bool is_dead_socket(const SocketAddress& address, const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) {
    return false;
  }
  const auto probe = open_socket(AF_UNIX);
  return probe && ::connect(probe->get(), address.data(), address.size()) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

awaitable<Result<StreamPtr>> connect_unix(Loop& loop, std::string path, TimePoint deadline) {
  const auto address = SocketAddress::from_path(path);
  if (!address) {
    co_return std::unexpected(address.error());
  }
  for (;;) {
    auto socket = open_socket(AF_UNIX);
    if (!socket) {
      co_return std::unexpected(socket.error());
    }
    if (::connect(socket->get(), address->data(), address->size()) == 0) {
      co_return make_socket_stream(loop, std::move(*socket));
    }
    if (errno != EAGAIN) {
      co_return std::unexpected(socket_error(errno));
    }
    const TimePoint next = loop.now() + kRetry;
    if (next >= deadline) {
      co_return base::fail(Errc::timed_out);
    }
    co_await sleep_until(loop, next);
  }
}

Result<std::unique_ptr<Acceptor>> listen_unix(Loop& loop, const std::string& path, mode_t mode) {
  const auto address = SocketAddress::from_path(path);
  if (!address) {
    return std::unexpected(address.error());
  }
  auto socket = open_socket(AF_UNIX);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  int bound = ::bind(socket->get(), address->data(), address->size());
  if (bound != 0 && errno == EADDRINUSE && is_dead_socket(*address, path)) {
    ::unlink(path.c_str());
    bound = ::bind(socket->get(), address->data(), address->size());
  }
  if (bound != 0) {
    return std::unexpected(socket_error(errno));
  }
  // Before listen(): until then every connect is refused, whatever the umask made of the file.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(socket->get(), kBacklog) != 0) {
    const auto error = socket_error(errno);
    ::unlink(path.c_str());
    return std::unexpected(error);
  }
  return make_acceptor(loop, std::move(*socket), path);
}

}  // namespace simplon::net
