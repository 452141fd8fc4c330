// Network: the one interface to an overlay, whatever its kind (memory, embedded, ziti).
//
// One suite (tests/unit/overlay/network_suite.hpp) runs over every kind.
//
// Threads: a Network belongs to the control loop; dial() may be awaited on any loop and yields a
// stream of that loop; an inbound stream arrives on the loop of the session that carries it and
// stays there.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "net/async.hpp"
#include "net/stream.hpp"
#include "overlay/rank.hpp"

namespace simplon::overlay {

/// Who is at the other end of an overlay stream, from the certificate of its session.
struct Identity {
  net::Peer peer;
  bool may_run_frontends = false;
};

/// What an overlay stream is for.
enum class StreamKind { http, raw, probe, control };
std::string_view to_string(StreamKind kind) noexcept;

/// Why a dial failed or a stream was refused.
struct Refusal {
  base::Failure failure;      ///< code is one of no_such_service, not_permitted, not_hosted,
                              ///< host_refused, timed_out, link_lost, target_*, draining, memory
  bool not_processed = true;  ///< no byte reached the target: the request may be sent elsewhere
};

/// The host's answer to an open, which arrives after the stream can already be used. Lives on the
/// stream's loop. While it is pending, reads of the stream would block; after a refusal they fail
/// with the refusal's code.
class OpenStatus {
 public:
  enum class State { pending, accepted, refused };
  State state() const { return state_; }
  const Refusal& refusal() const { return refusal_; }

  /// Waits until the host has answered or `deadline` passed (then refused with timed_out).
  net::awaitable<State> decided(net::Loop& loop, net::TimePoint deadline);

  void accept();
  void refuse(Refusal refusal);
  /// Calls `wake` once, when the status is no longer pending (at once, if it is not).
  void when_settled(std::move_only_function<void()> wake);

 private:
  void settle(State state);

  State state_ = State::pending;
  Refusal refusal_;
  std::vector<std::move_only_function<void()>> waiters_;
};

struct DialOptions {
  std::string service;
  StreamKind kind = StreamKind::http;
  std::string connection_id;  ///< joins both agents' logs; made by base::new_id()
  std::string on_behalf_of;   ///< logged at the host, never used for a decision
  bool frontend = false;      ///< opened for a frontend: a share that is not public refuses it
  net::TimePoint deadline;    ///< mandatory
};

struct Dialed {
  net::StreamPtr stream;
  std::shared_ptr<OpenStatus> status;
  std::string path;  ///< "local", "relay", "ziti": how the bytes go
};

/// A stream that somebody opened to a service of ours, not answered yet. Dropping it rejects it
/// (host_refused).
class Inbound {
 public:
  virtual ~Inbound() = default;
  virtual net::Loop& loop() const = 0;
  virtual const Identity& from() const = 0;
  virtual StreamKind kind() const = 0;
  virtual const std::string& connection_id() const = 0;
  virtual const std::string& on_behalf_of() const = 0;
  /// The stream, with the bytes that the dialer sent already; usable before accept().
  virtual net::StreamPtr stream() const = 0;
  /// Tells the dialer that the stream is taken. For raw streams: once the target is connected.
  virtual void accept() = 0;
  virtual void reject(const Refusal& refusal) = 0;
};

enum class LinkState { connecting, up, down };
std::string_view to_string(LinkState state) noexcept;

/// The state of a link or registration, told as it is.
struct LinkStatus {
  LinkState state = LinkState::connecting;
  std::chrono::system_clock::time_point since{};
  std::string last_error;  ///< empty if there was none
};

struct ListenOptions {
  std::string service;
  bool allow_frontends = false;  ///< `public`: streams from frontends are taken
  /// What a stream is for whose dialer does not say it, because it is another program.
  StreamKind unsaid = StreamKind::http;
  /// Nobody chose the name: an overlay where names are scarce makes one of its own (known_as).
  bool any_name = false;
  /// Where the network ranks_hosts(): among all hosts of the service.
  Rank rank{};
};

/// A service that we host. Destroying it withdraws the service; streams that it delivered live on.
class Listener {
 public:
  virtual ~Listener() = default;
  /// Registered at the overlay: others can find the service now.
  virtual LinkStatus status() const = 0;
  /// On the control loop, whenever status() or what follows changed.
  virtual void on_change(std::function<void()> changed) = 0;
  /// Where people reach it from outside of the overlay; mostly nowhere.
  virtual std::vector<std::string> urls() const { return {}; }
  /// What dialers call it, where the overlay chose another name than ListenOptions::service; else
  /// empty.
  virtual std::string known_as() const { return {}; }
  /// Whether what is behind the service works: an overlay that knows several hosts of one service
  /// prefers others while it does not.
  virtual void set_health(bool /*passing*/) {}
};

/// One DNS label: [a-z0-9-]{1,63}, not starting or ending with a hyphen.
bool valid_service_name(std::string_view name) noexcept;

/// What any kind of overlay may call a service: 1 to 256 bytes without control characters.
bool valid_service_text(std::string_view name) noexcept;

class Network {
 public:
  virtual ~Network() = default;
  /// "embedded", "ziti", "memory".
  virtual std::string_view kind() const = 0;
  /// The name by which others see us.
  virtual std::string self() const = 0;
  virtual LinkStatus status() const = 0;
  virtual void on_change(std::function<void()> changed) = 0;
  /// Whether a service can have that name here. A kind with other names than DNS labels says so.
  virtual bool allows_service(std::string_view name) const { return valid_service_name(name); }
  /// Whether ListenOptions::rank means something here.
  virtual bool ranks_hosts() const { return false; }

  /// This process is about to end: listeners that are destroyed from now on do not give their
  /// services up. Where an overlay keeps them beyond that, they stay for the next run.
  virtual void process_ends() {}

  /// Opens a stream to a service, on `loop`; returns as soon as bytes can be written, which may be
  /// before the host has answered. Suspends only while there is no session yet.
  virtual net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                              DialOptions options) = 0;

  /// Hosts a service. `handler` is called on the loop of the session that brings a stream, so from
  /// several threads, one call at a time per loop. An invalid name or one that is not ours to
  /// claim is an error; a lost link is not (the listener registers again by itself).
  virtual net::awaitable<std::expected<std::unique_ptr<Listener>, base::Failure>> listen(
      ListenOptions options, std::function<void(std::unique_ptr<Inbound>)> handler) = 0;
};

}  // namespace simplon::overlay
