#include "overlay/embedded/relayed.hpp"

#include <utility>

#include "net/tcp.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;

std::unexpected<base::Failure> failed(std::error_code code, std::string detail) {
  const bool kept = code == Errc::timed_out || code == Errc::bad_certificate;
  return std::unexpected(base::Failure{.hop = base::Hop::overlay,
                                       .code = kept ? code : make_error_code(Errc::link_lost),
                                       .detail = std::move(detail)});
}

}  // namespace

net::awaitable<std::expected<RelayedPath, base::Failure>> meet(net::Loop& loop,
                                                               std::shared_ptr<const Member> member,
                                                               net::Endpoint hub,
                                                               std::string ticket, std::string spki,
                                                               net::TlsRole role) {
  const auto deadline = loop.now() + kRelayDeadline;
  const std::string at = "relay " + net::to_string(hub);
  auto tcp = co_await net::connect_tcp(loop, hub.host, hub.port, deadline);
  if (!tcp) {
    co_return failed(tcp.error(), at + ": " + tcp.error().message());
  }
  const net::StreamPtr plain = std::move(*tcp);
  net::limit_unacknowledged(*plain, kDeadAfter);
  const std::string greeting = std::string(kRelayGreeting) + ticket;
  plain->set_deadline(net::Direction::send, deadline);
  if (const auto sent = co_await net::write_all(*plain, net::as_buffer(greeting)); !sent) {
    co_return failed(sent.error(), at + ": " + sent.error().message());
  }
  plain->clear_deadline(net::Direction::send);
  std::string why;
  net::Result<net::TlsStreamPtr> tls = base::fail(Errc::internal);
  if (role == net::TlsRole::client) {
    tls = co_await net::tls_connect(plain, member->client, "", deadline, &why);
  } else {
    tls = co_await net::tls_accept(plain, member->server, deadline, &why);
  }
  if (!tls) {
    co_return failed(tls.error(), "handshake with the other agent: " + tls.error().message() +
                                      (why.empty() ? "" : " (" + why + ")"));
  }
  auto proven = prove(**tls);
  if (!proven || proven->identity.peer.spki_sha256 != spki) {
    (*tls)->reset(Errc::bad_certificate);
    co_return failed(Errc::bad_certificate,
                     "the agent that answered is not the one that was meant");
  }
  co_return RelayedPath{.transport = std::move(*tls), .peer = std::move(proven->identity)};
}

}  // namespace simplon::overlay
