// The hosting side of a channel: a service that it is bound to (Binding), and a circuit that
// somebody wants to it (IncomingDial).
//
// Ownership: a Binding is shared, and dropping the last owner closes it; an IncomingDial is its
// handler's. Both may outlive their channel.
// Threads: the channel's loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/stream.hpp"
#include "overlay/rank.hpp"
#include "overlay/ziti/edge_message.hpp"

namespace simplon::overlay::ziti {

class ChannelCore;
struct Offer;

/// Of each text that comes with a dial. What Simplon reads of them is shorter.
inline constexpr std::size_t kMaxDialText = 1024;

struct BindRequest {
  std::string session_token;
  bool encrypted = true;
  std::string listener_id;  ///< the same again replaces the older terminator on that router
  Rank rank{};
  std::string terminator_identity;  ///< to be dialed by name; may be empty
  net::TimePoint deadline;
};

/// A router gives a host 5 s to answer a dial.
inline constexpr std::chrono::milliseconds kAnswerTimeout{4500};

/// A circuit that somebody wants to a service of ours, not answered yet. Dropping it rejects it; so
/// does time (kAnswerTimeout).
class IncomingDial {
 public:
  explicit IncomingDial(std::shared_ptr<Offer> offer);
  ~IncomingDial();
  IncomingDial(const IncomingDial&) = delete;
  IncomingDial& operator=(const IncomingDial&) = delete;

  net::Loop& loop() const;
  /// As the router says; empty if it does not.
  // What the Dial said; empty where it said nothing, or more than kMaxDialText.
  const std::string& dialer_id() const;
  const std::string& dialer_name() const;
  /// As the dialer says: proves nothing.
  const std::string& caller() const;
  const std::string& app_data() const;
  const std::string& circuit() const;

  /// The circuit. One that was answered before, or whose dialer went away, is one that is reset.
  net::StreamPtr accept();
  /// The dialer's network tells it `text`, among words of its own.
  void reject(std::string_view text);

 private:
  std::shared_ptr<Offer> offer_;
};

/// Calls from the loop; must not block. The binding may be closed from within.
using DialHandler = std::function<void(std::unique_ptr<IncomingDial>)>;

class Binding {
 public:
  virtual ~Binding() = default;

  /// The controller knows the terminator: others can dial now.
  virtual bool established() const = 0;
  /// Why it ended, if it did: by the network, or with the channel. Not after close().
  virtual std::optional<EdgeError> ended() const = 0;
  /// Called from a handler of its own once established, and once ended. None after close().
  virtual void on_change(std::function<void()> changed) = 0;

  /// Whether what is behind it works, for the network's statistics: dials come as before.
  virtual void set_health(bool passing) = 0;
  virtual void update(const Rank& rank) = 0;
  /// Withdraws it. Circuits that it brought live on, dials not answered yet are rejected.
  /// Idempotent.
  virtual void close() = 0;
};

}  // namespace simplon::overlay::ziti
