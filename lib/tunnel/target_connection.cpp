#include "tunnel/target_connection.hpp"

#include <utility>

#include "net/tcp.hpp"
#include "net/unix.hpp"

namespace simplon::tunnel {
namespace {

using base::Errc;

TargetFailure describe(const Target& target, std::error_code error, const std::string& why) {
  Errc code = Errc::target_unreachable;
  if (error == Errc::refused || error == Errc::reset) {
    code = Errc::target_refused;
  } else if (error == Errc::timed_out) {
    code = Errc::target_timed_out;
  } else if (error == Errc::bad_certificate || error == Errc::handshake_failed) {
    code = static_cast<Errc>(error.value());
  }
  const std::string place =
      target.scheme == Target::Scheme::unix_http ? target.text() : target.authority();
  return {.failure = {.hop = base::Hop::target, .code = code, .detail = {}},
          .text = "target " + place + ": " + error.message() + (why.empty() ? "" : ": " + why)};
}

}  // namespace

net::awaitable<std::expected<net::StreamPtr, TargetFailure>> connect_target(
    net::Loop& loop, Target target, std::shared_ptr<const net::TlsContext> tls,
    net::TimePoint deadline) {
  net::Result<net::StreamPtr> stream;
  if (target.scheme == Target::Scheme::unix_http) {
    stream = co_await net::connect_unix(loop, target.path, deadline);
  } else {
    stream = co_await net::connect_tcp(loop, target.host, target.port, deadline);
  }
  std::string why;
  if (stream && target.scheme == Target::Scheme::https && tls != nullptr) {
    auto secured = co_await net::tls_connect(*stream, std::move(tls), target.host, deadline, &why);
    if (secured) {
      stream = net::StreamPtr(std::move(*secured));
    } else {
      stream = std::unexpected(secured.error());
    }
  }
  if (!stream) {
    co_return std::unexpected(describe(target, stream.error(), why));
  }
  co_return std::move(*stream);
}

}  // namespace simplon::tunnel
