// The networks that this agent is a member of: its own hub's, and those that it joined.
//
// An identity file in the state folder's overlays/ is the whole truth about a membership: NAME.json
// makes this agent a member of the network that it calls NAME. Its own hub's network is called
// "default" and exists while no joined one has that name.
// Owned by the agent. Threads: the control loop. End: destroy the supervisor first.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/options.hpp"
#include "agent/overlay_source.hpp"
#include "agent/state_dir.hpp"
#include "overlay/embedded/enroll.hpp"
#include "overlay/embedded/hub.hpp"
#include "overlay/membership.hpp"
#include "tunnel/registry.hpp"
#include "tunnel/supervisor.hpp"

namespace simplon::agent {

inline constexpr char kDefaultOverlay[] = "default";
/// Each holds a connection to its hub.
inline constexpr std::size_t kMaxOverlays = 64;

struct OverlayInfo {
  std::string name;
  std::string kind;
  std::string identity;
  bool hub = false;
  overlay::LinkStatus link;
  std::vector<std::string> addresses;
  std::optional<overlay::ziti::ZitiDetails> ziti;
};

class Overlays {
 public:
  using Joined = std::move_only_function<void(absl::StatusOr<OverlayInfo>)>;
  using Removed = std::move_only_function<void(absl::Status)>;

  Overlays(net::Loop& control, std::vector<net::Loop*> loops, const Options& options,
           const StateDir& state, tunnel::Supervisor& supervisor, tunnel::Registry& registry);

  /// Brings up what the state folder says. An error when the own hub cannot serve; a membership
  /// that does not work is only `down`.
  absl::Status start();

  /// INVALID_ARGUMENT, FAILED_PRECONDITION (that overlay is in use), ABORTED (another change is
  /// under way), or what the hub says.
  void join(const std::string& token, const std::string& name, bool replace, Joined done);
  /// The same for a network of any other kind; besides, what obtain() says.
  void add(Source source, const std::string& name, bool replace, Joined done);
  /// NOT_FOUND, FAILED_PRECONDITION, ABORTED.
  void remove(const std::string& name, bool force, Removed done);

  std::vector<OverlayInfo> list() const;
  /// Tries everything between this host and that network. NOT_FOUND.
  absl::Status check(const std::string& name, overlay::CheckReport report,
                     std::move_only_function<void()> done);
  /// By the identity in "default" if that was joined, else as the options say.
  std::string agent_name() const;
  /// FAILED_PRECONDITION says why this agent is none.
  absl::StatusOr<overlay::Hub*> hub() const;
  /// Asks the hub's members to go away in order.
  void drain_hub();

 private:
  struct Entry {
    std::string name;
    overlay::Membership file;
    overlay::Entrance entrance{};  // no network: `failed` says why
    std::string failed;
    bool own_hub = false;
  };

  const Entry* find(const std::string& name) const;
  std::filesystem::path file_of(const std::string& name) const;
  absl::Status start_own_hub();
  void bring_up(Entry entry);
  OverlayInfo info(const Entry& entry) const;
  /// A new identity waits here until the tunnels of the overlay that it replaces are gone.
  std::filesystem::path staged_file_of(const std::string& name) const;
  absl::Status may_take(const std::string& name, bool replace) const;
  absl::Status begin(const std::string& name, bool replace) const;
  void start_change(Source source, const std::string& name, bool replace, Joined done);
  static net::awaitable<void> change(net::Loop* loop, Source source, std::filesystem::path staged,
                                     Overlays* self, std::weak_ptr<char> alive);
  void obtained(absl::StatusOr<overlay::Membership> membership);
  /// Deletes its tunnels; no new ones come until end_change(). With an error it stays as it is.
  void give_up(const std::string& name, Removed done);
  /// Makes the staged identity the membership.
  absl::Status settle(const std::string& name);
  void enter(const std::string& name, overlay::Membership file);
  /// Ends the change with an error.
  void fail(const absl::Status& status, overlay::Membership made);
  /// Ends the change, and with an error what was staged for it.
  Joined end_change();
  void forget(const std::string& name, std::move_only_function<void()> done);
  static net::awaitable<void> take_back(net::Loop* loop, overlay::Membership file, std::string name,
                                        std::weak_ptr<char> alive,
                                        std::move_only_function<void()> done);

  net::Loop& control_;
  std::vector<net::Loop*> loops_;
  Options options_;
  const StateDir& state_;
  tunnel::Supervisor& supervisor_;
  tunnel::Registry& registry_;
  // Of unread bytes: one for all that peers can make this agent keep, whatever network they are on.
  const std::shared_ptr<overlay::MemoryBudget> budget_ = std::make_shared<overlay::MemoryBudget>();
  std::unique_ptr<overlay::Hub> hub_;  // before the networks: they go first
  std::vector<Entry> members_;
  // The one change that is under way.
  struct Change {
    std::string name;
    bool replace = false;
    bool made_there = false;  // the network has something that only this change knows of
    Joined joined;
  };
  std::optional<Change> change_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace simplon::agent
