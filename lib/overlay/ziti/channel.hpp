// Channel: one connection to an edge router, with the circuits and bindings on it.
//
// Ownership: shared. Every circuit and binding keeps its channel alive; when the last owner drops
// it, the transport is reset. close() ends it in order.
// Threads: everything is for the channel's loop, the MemoryBudget excepted.
// Cancellation: dial() and bind() that are cancelled or time out withdraw what they asked for.
//
// There is no flow control for a single circuit on this wire. A circuit whose reader leaves
// kReceiveLimit bytes unread stops the reading of the whole channel until kReceiveResume of them
// are taken. Alone on the channel it may take its time: nobody else waits, a dial that would come
// to a binding of the channel excepted (kStalledHost). With others there, it is reset after
// kStalledReader; or when all its stalls together have held others up for kStalledInAll, where
// kBriefStall of each is free, and what passes between them is forgiven.
// Hostile routers: whatever the router sends ends the channel with a typed error at worst.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/async.hpp"
#include "net/tls.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/ziti/binding.hpp"
#include "overlay/ziti/edge_message.hpp"
#include "overlay/ziti/routers.hpp"

namespace simplon::overlay::ziti {

inline constexpr std::size_t kReceiveLimit = 4UL * 1024 * 1024;
inline constexpr std::size_t kReceiveResume = 256UL * 1024;
/// Less than the time in which a host must answer a dial (5 s), which may wait behind.
inline constexpr std::chrono::seconds kStalledReader{4};
inline constexpr std::chrono::seconds kStalledHost{60};
inline constexpr std::chrono::seconds kStalledInAll{30};
/// A reader of 4 Mbit/s takes kReceiveResume in that time.
inline constexpr std::chrono::milliseconds kBriefStall{500};

inline constexpr std::chrono::seconds kProbeInterval{30};
inline constexpr std::chrono::seconds kProbeTimeout{10};
/// A router that does not accept the login says so by closing within about 5 s of the Hello.
inline constexpr std::chrono::seconds kLoginDoubt{10};

struct DialRequest {
  std::string session_token;
  bool encrypted = true;
  std::string caller;               ///< our name, for the host to log
  std::string app_data;             ///< for the host
  std::string terminator_identity;  ///< one of several hosts; empty: any
  std::string marker;               ///< for the network's logs
  net::TimePoint deadline;          ///< the network itself tries for up to 10 s
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  struct Options {
    Router router;
    std::shared_ptr<const net::TlsContext> tls;
    std::string api_token;
    std::string client_name;
    net::TimePoint deadline;
    /// Of unread bytes, shared by all channels of the agent; null: the channel has its own.
    std::shared_ptr<MemoryBudget> budget = nullptr;
  };

  /// TCP, TLS and Hello. A channel is up before the router has checked the token: one that does not
  /// please it is lost (login_refused) within about five seconds.
  static net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> connect(
      net::Loop& loop, Options options);
  /// The Hello over a transport that is there already.
  static net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> start(
      net::StreamPtr transport, Options options);

  virtual ~Channel() = default;

  /// A circuit to a service; the host has accepted it. The stream's reset() tells the other end no
  /// reason. Towards peers that are no Simplon agents an end without FIN is an end of stream.
  virtual net::awaitable<std::expected<net::StreamPtr, EdgeError>> dial(DialRequest request) = 0;

  /// The router has taken the request; Binding::established() tells when others can dial.
  virtual net::awaitable<std::expected<std::shared_ptr<Binding>, EdgeError>> bind(
      BindRequest request, DialHandler handler) = 0;

  /// OIDC only: a router closes the channel of a legacy session that sends this.
  virtual net::awaitable<std::expected<void, EdgeError>> update_token(std::string jwt) = 0;

  /// Called once, from a handler of its own, when the router or the link ended the channel; not
  /// after close(). Of a channel that is lost already too.
  virtual void on_lost(std::move_only_function<void(const EdgeError&)> lost) = 0;

  virtual bool up() const = 0;
  /// Open ones and those that are being dialed.
  virtual std::size_t circuits() const = 0;
  /// Of the last probe.
  virtual std::optional<std::chrono::nanoseconds> latency() const = 0;
  virtual const Router& router() const = 0;

  /// Ends all circuits and bindings, flushes for at most net::kCloseTimeout, and closes.
  /// Idempotent.
  virtual void close() = 0;
};

}  // namespace simplon::overlay::ziti
