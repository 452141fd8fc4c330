// The only mutable set of tunnels: desired state, decided here, kept by the Store, acted on by an
// Actor (the supervisor).
//
// A create or delete is checked against everything that was decided before it, including what the
// store has still to write, and is answered and acted on once it is durable.
//
// Threads: the control loop. Snapshots are immutable and may go anywhere.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>

#include "tunnel/spec.hpp"
#include "tunnel/store.hpp"

namespace simplon::tunnel {

inline constexpr std::size_t kMaxTunnels = 10'000;
inline constexpr std::size_t kMaxRequestIdBytes = 128;

/// What makes tunnels real. Called on the control loop; must not call back into the registry.
class Actor {
 public:
  /// The last say before a tunnel is stored: fills in its overlay and its listening port, both of
  /// which it then keeps. An error refuses the create.
  virtual absl::Status prepare(Tunnel& tunnel) = 0;
  /// A prepared tunnel could not be stored.
  virtual void abandon(const Tunnel& tunnel) = 0;
  virtual void start(TunnelPtr tunnel) = 0;
  /// Takes no more connections; running ones get `drain`. `released` is called, from here or later,
  /// once its port and its service are free again.
  virtual void stop(const Tunnel& tunnel, std::chrono::seconds drain,
                    std::move_only_function<void()> released) = 0;

 protected:
  ~Actor() = default;
};

class Registry {
 public:
  using Created = std::move_only_function<void(absl::StatusOr<TunnelPtr>)>;
  using Removed = std::move_only_function<void(absl::Status)>;
  using Snapshot = std::shared_ptr<const std::map<std::string, TunnelPtr, std::less<>>>;

  Registry(Store& store, Actor& actor);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Takes over what is stored and starts it. Once, before anything else.
  absl::Status load();

  /// INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION, RESOURCE_EXHAUSTED, or the store's.
  void create(Tunnel tunnel, const std::string& request_id, Created done);
  /// Answers once it takes no more connections. NOT_FOUND, or the store's.
  void remove(std::string_view name, std::chrono::seconds drain, Removed done);

  /// Deletes every tunnel of that overlay, also those that the store has still to write or is
  /// erasing already. Answers when all are gone, or the first error once each one's fate is known.
  void remove_overlay(std::string_view overlay, std::chrono::seconds drain, Removed done);
  /// Tunnels of that overlay, whether they are durable or only decided.
  std::size_t count_overlay(std::string_view overlay) const;

  /// The durable tunnels by name; the same object until one changes.
  Snapshot snapshot() const;
  TunnelPtr find(std::string_view name) const;

 private:
  struct Entry {
    Record record;
    bool stored = false;
    bool removing = false;
    std::vector<Created> waiting;  // for the commit: the caller and repeats of its request
    std::vector<Removed> leaving;  // for the end of a delete that others asked for
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  absl::Status check_free(const Tunnel& tunnel) const;
  void added(const std::string& name, const absl::Status& status);
  void gone(const std::string& name, std::chrono::seconds drain, const absl::Status& status,
            Removed done);

  Store& store_;
  Actor& actor_;
  Entries entries_;
  std::unordered_map<std::string, std::string> requests_;  // request id → name
  mutable Snapshot snapshot_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // for the store's late answers
};

}  // namespace simplon::tunnel
