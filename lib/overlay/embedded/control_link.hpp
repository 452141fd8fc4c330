// A member's link to its hub: one session with one control stream, made again whenever it is lost
// (PROTOCOL.md, "Control channel").
//
// Ownership: shared, because its coroutine keeps it; stop() ends it. Threads: the control loop.
// Cancellation: stop() fails what is asked with link_lost.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/endpoint.hpp"
#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/member.hpp"
#include "overlay/embedded/session.hpp"
#include "overlay/network.hpp"
#include "simplon/link/v1/link.pb.h"

namespace simplon::overlay {

/// How long one attempt at one address may take, and the hub to answer.
inline constexpr std::chrono::seconds kConnectDeadline{10};
inline constexpr std::chrono::seconds kAnswerDeadline{10};
/// From then on the status of a link that is up says that the certificate ends.
inline constexpr std::chrono::hours kExpiryWarning{7 * 24};

class ControlLink final : public std::enable_shared_from_this<ControlLink> {
 public:
  using Answer = std::expected<link::v1::HubMessage, base::Failure>;
  struct Handlers {
    std::function<void()> up;       ///< a new session with the hub: register everything again
    std::function<void()> changed;  ///< status() did
    std::function<void(const link::v1::Offer&)> offer;
  };

  ControlLink(net::Loop& control, std::shared_ptr<const Member> member, Handlers handlers);
  void start();
  void stop();

  const LinkStatus& status() const { return status_; }
  /// The address of the hub that answered last; relay connections go there.
  const std::optional<net::Endpoint>& hub() const { return hub_; }

  /// True once the link is up; false at `deadline`, when making it takes longer than a reconnect
  /// does, or after stop().
  net::awaitable<bool> wait_up(net::TimePoint deadline);

  /// Sends a message (its id is filled in) and waits for the answer. A Failed of the hub is a
  /// Failure at hop hub.
  net::awaitable<Answer> ask(link::v1::MemberMessage message, net::TimePoint deadline);
  /// The same without waiting for the answer.
  void tell(link::v1::MemberMessage message);

 private:
  struct Pending {
    explicit Pending(net::Loop& loop) : gate(loop) {}
    net::Gate gate;
    Answer answer = std::unexpected(base::Failure{});
  };
  using PendingPtr = std::shared_ptr<Pending>;

  static net::awaitable<void> run(std::shared_ptr<ControlLink> self);
  // How an attempt at one address ended.
  struct Ended {
    bool was_up = false;
    bool in_order = false;  // the hub went away, it did not vanish
    std::string why;
  };
  // Serves until the link is lost.
  net::awaitable<Ended> attempt(net::Endpoint address);
  net::awaitable<Ended> serve(net::StreamPtr stream, std::shared_ptr<OpenStatus> opened);
  net::awaitable<void> pause(const Ended& last);
  std::string expiry_warning() const;
  void dispatch(const link::v1::HubMessage& message);
  void set(LinkState state, std::string error = {});
  void lost(std::string why);
  void wake_waiters();

  net::Loop& control_;
  const std::shared_ptr<const Member> member_;
  Handlers handlers_;
  LinkStatus status_;
  std::optional<net::Endpoint> hub_;
  SessionPtr session_;
  net::TimePoint up_since_;
  std::unique_ptr<ControlWriter> writer_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, PendingPtr> pending_;
  std::vector<std::weak_ptr<net::Gate>> waiting_;
  std::shared_ptr<net::Gate> backoff_;
  net::TimePoint outage_since_;
  bool stopped_ = false;
};

}  // namespace simplon::overlay
