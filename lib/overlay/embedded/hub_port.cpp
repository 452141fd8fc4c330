// A connection to the hub's port: which of the three protocols it speaks, and who is there.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include "base/log.hpp"
#include "overlay/embedded/hub_core.hpp"
#include "overlay/embedded/hub_session.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Result;
using boost::asio::posix::stream_descriptor;

constexpr char kTlsHandshake = 0x16;
constexpr std::size_t kRelayOpening = kRelayGreeting.size() + kTicketBytes;

/// What the first bytes said.
struct Opening {
  net::Fd socket;
  std::optional<std::string> ticket;  ///< a relay connection's; else TLS, nothing of it was read
};

// What of the opening is there: true once it is known. Reads only bytes of the opening, for what
// follows belongs to the other member.
Result<bool> read_opening(int socket, std::string* have) {
  while (true) {
    std::array<char, kRelayOpening> bytes{};
    const bool first = have->empty();
    const std::size_t wanted = first ? 1 : kRelayOpening - have->size();
    const ssize_t got = ::recv(socket, bytes.data(), wanted, first ? MSG_PEEK : 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return false;
      }
      return std::unexpected(net::socket_error(errno));
    }
    if (got == 0) {
      return base::fail(Errc::truncated);
    }
    if (first && bytes[0] == kTlsHandshake) {
      return true;
    }
    if (first && ::recv(socket, bytes.data(), 1, 0) != 1) {
      return base::fail(Errc::reset);
    }
    have->append(bytes.data(), static_cast<std::size_t>(got));
    const std::size_t greeted = std::min(have->size(), kRelayGreeting.size());
    if (have->compare(0, greeted, kRelayGreeting.substr(0, greeted)) != 0) {
      return base::fail(Errc::protocol_error);
    }
    if (have->size() == kRelayOpening) {
      return true;
    }
  }
}

net::awaitable<Result<Opening>> read_opening(std::shared_ptr<HubCore> core, net::Fd socket,
                                             net::TimePoint deadline) {
  stream_descriptor waiting(core->loop.context());
  boost::system::error_code failed;
  if (waiting.assign(socket.get(), failed); failed) {
    co_return base::fail(Errc::limit_exceeded);
  }
  socket.release();
  net::Timer timer(core->loop);
  bool timed_out = false;
  timer.arm(deadline, [&waiting, &timed_out] {
    timed_out = true;
    boost::system::error_code ignored;
    waiting.cancel(ignored);
  });
  std::string have;
  while (true) {
    const auto known = read_opening(waiting.native_handle(), &have);
    if (!known) {
      co_return std::unexpected(known.error());
    }
    if (*known) {
      break;
    }
    const auto [error] = co_await waiting.async_wait(
        stream_descriptor::wait_read, boost::asio::as_tuple(boost::asio::use_awaitable));
    if (timed_out) {
      co_return base::fail(Errc::timed_out);
    }
    if (error) {
      co_return base::fail(Errc::cancelled);
    }
  }
  Opening opening{.socket = net::Fd(waiting.release()), .ticket = std::nullopt};
  if (!have.empty()) {
    opening.ticket = have.substr(kRelayGreeting.size());
  }
  co_return opening;
}

// Member: the certificate was verified; the database says whether its key is (still) a member's.
void begin_session(const std::shared_ptr<HubCore>& core, const net::TlsStreamPtr& stream,
                   const std::string& source) {
  const net::Peer* const peer = stream->peer();
  const auto grant = peer != nullptr ? read_certificate(peer->certificate)
                                     : Result<Grant>(base::fail(Errc::bad_certificate));
  if (!grant) {
    refuse(*core, source, "without a member's certificate");
    return;
  }
  const auto member = core->store->member_by_key(peer->spki_sha256);
  if (!member.ok()) {
    base::log().error("hub: {}", std::string(member.status().message()));
    return;
  }
  // An older certificate of the key may grant more than the member has now.
  if (!*member || (*member)->name != grant->name || (grant->frontend && !(*member)->frontend) ||
      (grant->hub && !(*member)->own)) {
    refuse(*core, source, "with a certificate that is no member's now");
    return;
  }
  if (!HubSession::start(core, stream, **member)) {
    refuse(*core, source, "over the limit of sessions");
  }
}

}  // namespace

void refuse(HubCore& core, const std::string& source, std::string_view why) {
  if (const auto count = core.gate->refused(source, core.loop.now()); count > 0) {
    base::log().warn("hub: refused {} connection{} from {}, the last one {}", count,
                     count == 1 ? "" : "s", source, why);
  }
}

net::awaitable<void> serve_connection(std::shared_ptr<HubCore> core, net::Fd socket,
                                      std::string source, HubGate::Slot slot) {
  const net::TimePoint begun = core->loop.now();
  auto opening = co_await read_opening(core, std::move(socket), begun + kTicketLifetime);
  if (core->stopped) {
    co_return;
  }
  if (!opening) {
    refuse(*core, source, "that spoke neither TLS nor of the relay");
    co_return;
  }
  if (opening->ticket) {
    if (!core->relay.arrive(*opening->ticket, std::move(opening->socket))) {
      refuse(*core, source, "with a relay ticket that is not valid now");
    }
    co_return;
  }
  std::string why;
  auto transport = net::make_socket_stream(core->loop, std::move(opening->socket));
  auto stream =
      co_await net::tls_accept(std::move(transport), core->tls, begun + kHandshakeDeadline, &why);
  if (!stream) {
    refuse(*core, source, why.empty() ? stream.error().message() : why);
    co_return;
  }
  if (core->stopped) {
    (*stream)->reset();
  } else if ((*stream)->protocol() == kEnrollProtocol) {
    co_await serve_enrollment(core, *stream, source);
  } else {
    slot.release();
    begin_session(core, *stream, source);
  }
}

}  // namespace simplon::overlay
