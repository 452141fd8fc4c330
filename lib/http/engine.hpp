// The proxy engine: one client connection in, requests out to wherever the ends say.
//
// Share, access and frontend are this engine with different ends (design: acceptor × router ×
// connector × policy). It knows nothing of overlays; lib/tunnel supplies the ends. After a 101 the
// engine writes both sides' leftover bytes and becomes net::splice.
//
// Threads: everything of one client connection stays on the client stream's loop; an Ends object
// may serve connections of several loops and says itself what it shares.
// Cancellation: closing the client or the upstream ends serve(); stop() of the Connection drains.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "http/drain.hpp"
#include "http/policy.hpp"
#include "net/async.hpp"
#include "net/splice.hpp"
#include "net/stream.hpp"

namespace simplon::http {

/// A connection to the upstream, leased for one request after the other.
struct Upstream {
  net::StreamPtr stream;
  bool reused = false;    ///< has served a request before: it may turn out to be closed already
  std::string authority;  ///< the upstream's own host:port, for rewriting; may be empty
  /// Set while the far end may still refuse without having processed anything (overlay streams):
  /// the failure, once there is one. Called when reading the response fails.
  std::function<std::optional<base::Failure>()> refusal;
  std::shared_ptr<net::SpliceCounters> counters;  ///< of a connection that passes unparsed, or null
};

/// Where a client connection's requests go. One per tunnel, shared by its connections.
class Ends {
 public:
  virtual ~Ends() = default;

  /// The key of the upstream for a request, from its (validated, lower-case, port-less) host. A
  /// constant for share and access; Host → service for a frontend. A failure becomes 404.
  virtual std::expected<std::string, base::Failure> route(std::string_view host) = 0;

  /// A connection for that route, on `loop`. A failure becomes 502, 503 or 504 by its code.
  /// `fresh`: not a pooled one, because a pooled one just turned out to be dead.
  virtual net::awaitable<std::expected<Upstream, base::Failure>> connect(
      net::Loop& loop, std::string route, std::string connection_id, bool fresh,
      net::TimePoint deadline) = 0;

  /// The upstream connection can serve another request (of this or another client).
  virtual void release(const std::string& route, Upstream upstream) = 0;

  /// A connection that carries a client's HTTP/2 unparsed, to which `first`, the preface and what
  /// came behind it, has been sent. There is no Host to route by and no policy to apply. A failure
  /// becomes a GOAWAY. The default speaks HTTP/1.1 only: other_version.
  virtual net::awaitable<std::expected<Upstream, base::Failure>> connect_http2(
      net::Loop& loop, std::string connection_id, std::string first, net::TimePoint deadline);

  /// One line for the access log and counters; default: nothing.
  struct Outcome {
    std::string_view method;
    std::string_view target;
    int status = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    bool upgraded = false;
    bool refused = false;  ///< the answer is the engine's own error
  };
  virtual void finished(const Outcome&) {}

 protected:
  /// Sends `first`, and counts it.
  static net::awaitable<net::Result<void>> begin_http2(const Upstream& upstream, std::string first,
                                                       net::TimePoint deadline);
};

/// Serves one client connection until it ends. `who` is at its other end.
net::awaitable<void> serve(net::StreamPtr client, std::shared_ptr<Ends> ends,
                           std::shared_ptr<const Policy> policy, Client who,
                           std::string connection_id, std::shared_ptr<Drain> drain);

}  // namespace simplon::http
