// A listening socket, TCP or unix (made by listen_tcp, listen_unix).
//
// Ownership: destroying it stops listening; connections that it delivered live on.
// Threads: its loop. An accepted socket may be moved to any loop, where make_socket_stream turns it
// into a stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/socket.hpp"

namespace simplon::net {

struct Accepted {
  Fd socket;
  SocketAddress from;
};

class Acceptor {
 public:
  using Handler = std::move_only_function<void(Accepted)>;

  virtual ~Acceptor() = default;
  /// Calls `handler` for each connection, on the loop, until the acceptor is destroyed (which
  /// `handler` may do). Once. When descriptors run out, connections are closed and accepting
  /// pauses for kAcceptPause.
  virtual void start(Handler handler) = 0;
  /// The address it is bound to: with the port that was chosen for port 0.
  virtual const SocketAddress& bound() const = 0;
  Endpoint endpoint() const { return bound().endpoint(); }
  /// A second acceptor of the same socket for another loop: both take from one queue, so that no
  /// connection is lost when one of them goes.
  virtual Result<std::unique_ptr<Acceptor>> share(Loop& loop) const = 0;
};

inline constexpr std::chrono::milliseconds kAcceptPause{100};

/// Over a bound and listening socket. `unlink_path`: a socket file to remove at the end.
std::unique_ptr<Acceptor> make_acceptor(Loop& loop, Fd socket, std::string unlink_path = {});

}  // namespace simplon::net
