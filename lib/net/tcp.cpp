#include "net/tcp.hpp"

#include <cerrno>
#include <utility>
#include <vector>

#include <netinet/in.h>

#include "net/resolve.hpp"

namespace simplon::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

awaitable<Result<StreamPtr>> connect_address(Loop& loop, SocketAddress address,
                                             TimePoint deadline) {
  auto socket = open_socket(address.family());
  if (!socket) {
    co_return std::unexpected(socket.error());
  }
  if (::connect(socket->get(), address.data(), address.size()) != 0 && errno != EINPROGRESS) {
    co_return std::unexpected(socket_error(errno));
  }
  StreamPtr stream = make_socket_stream(loop, std::move(*socket));
  stream->set_deadline(Direction::send, deadline);
  const auto waited = co_await wait(*stream, Event::writable);
  stream->clear_deadline(Direction::send);
  if (const auto error = waited ? waited : connect_outcome(*stream)) {
    stream->reset();
    co_return std::unexpected(error);
  }
  co_return stream;
}

Result<Fd> bind_and_listen(const SocketAddress& address, bool dual_stack) {
  auto socket = open_socket(address.family());
  if (!socket) {
    return socket;
  }
  const int yes = 1;
  const int v6_only = dual_stack ? 0 : 1;
  ::setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address.family() == AF_INET6) {
    ::setsockopt(socket->get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  }
  if (::bind(socket->get(), address.data(), address.size()) != 0 ||
      ::listen(socket->get(), kBacklog) != 0) {
    return std::unexpected(socket_error(errno));
  }
  return socket;
}

}  // namespace

awaitable<Result<StreamPtr>> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                         TimePoint deadline) {
  const auto addresses = co_await resolve(loop, std::move(host), port, deadline);
  if (!addresses) {
    co_return std::unexpected(addresses.error());
  }
  std::error_code last = make_error_code(Errc::unreachable);
  std::size_t left = addresses->size();
  for (const SocketAddress& address : *addresses) {
    const TimePoint now = loop.now();
    if (now >= deadline) {
      co_return base::fail(Errc::timed_out);
    }
    // A silent first address must leave time for the others.
    const TimePoint until = deadline == TimePoint::max()
                                ? deadline
                                : now + (deadline - now) / static_cast<Duration::rep>(left);
    auto stream = co_await connect_address(loop, address, until);
    if (stream || stream.error() == Errc::cancelled) {
      co_return stream;
    }
    last = stream.error();
    --left;
  }
  co_return std::unexpected(last);
}

Result<std::unique_ptr<Acceptor>> listen_tcp(Loop& loop, const Endpoint& endpoint) {
  Result<Fd> socket = base::fail(Errc::unreachable);
  if (endpoint.host.empty()) {
    socket = bind_and_listen(*SocketAddress::from_ip("::", endpoint.port), true);
    if (!socket && socket.error() == Errc::unreachable) {  // a kernel without IPv6
      socket = bind_and_listen(*SocketAddress::from_ip("0.0.0.0", endpoint.port), false);
    }
  } else {
    const auto addresses = resolve_here(endpoint.host, endpoint.port);
    if (!addresses) {
      return std::unexpected(addresses.error());
    }
    socket = bind_and_listen(addresses->front(), false);
  }
  if (!socket) {
    return std::unexpected(socket.error());
  }
  return make_acceptor(loop, std::move(*socket));
}

}  // namespace simplon::net
