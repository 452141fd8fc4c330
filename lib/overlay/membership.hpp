// What makes us a member of a network, of whichever kind: the content of one identity file, told
// apart by that content. The only place that knows all kinds.
//
// Plain values and functions, any thread; enter() on the control loop.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "net/async.hpp"
#include "net/loop.hpp"
#include "overlay/check.hpp"
#include "overlay/embedded/identity.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/network.hpp"
#include "overlay/ziti/identity_file.hpp"
#include "overlay/ziti/ziti_network.hpp"
#include "overlay/zrok/zrok_client.hpp"

namespace simplon::overlay {

using Membership = std::variant<IdentityFile, ziti::IdentityFile, zrok::Membership>;

/// As Network::kind().
std::string_view kind_of(const Membership& membership) noexcept;
/// Our name there, where the file says it; else empty, and only the network knows.
std::string name_of(const Membership& membership);
/// Of the hub, the controllers or the instance, in the order to try.
std::vector<std::string> addresses_of(const Membership& membership);

/// INVALID_ARGUMENT: of no kind, or a part is missing or does not parse. `folder` is what
/// references to other files are relative to; empty: they are refused.
absl::StatusOr<Membership> parse_membership(std::string_view json,
                                            const std::filesystem::path& folder);
/// With everything inline, so that it means the same anywhere.
std::string to_json(const Membership& membership);

/// As parse_membership() and read_identity_text(); messages name the file.
absl::StatusOr<Membership> load_membership(const std::filesystem::path& file);
absl::Status save_membership(const Membership& membership, const std::filesystem::path& file,
                             bool replace);

struct Entrance {
  std::unique_ptr<Network> network;
  /// On the control loop, while the network lives. Empty: an embedded network has none.
  std::function<ziti::ZitiDetails()> details;
  /// Starts a check of everything between this host and the network, on the control loop; a check
  /// may outlive the network.
  std::function<net::awaitable<void>(CheckReport)> check;
};

/// Connects in the background, for ever. `loops`: of streams; not empty; may be the control loop.
/// `budget`: of unread bytes, shared by all networks of the agent; null: this one has its own.
/// INVALID_ARGUMENT: the identity does not work.
absl::StatusOr<Entrance> enter(net::Loop& control, Membership membership,
                               std::vector<net::Loop*> loops, std::shared_ptr<MemoryBudget> budget);

/// How long leave() may take.
inline constexpr std::chrono::seconds kLeaveDeadline{10};

/// Takes back at the network what joining made there, when its Network is gone: an environment of
/// zrok. An error says that it stays, and changes nothing here.
net::awaitable<absl::Status> leave(net::Loop* loop, Membership membership);

}  // namespace simplon::overlay
