// The hub role of an agent: invites and enrolls members, knows which member hosts which service,
// and relays bytes between members that cannot reach each other (PROTOCOL.md).
//
// One TCP port serves everything: sessions of members (ALPN simplon/1), enrollment
// (simplon-enroll/1), and relay connections (first byte is not TLS's). Relayed bytes are spliced,
// never decrypted.
// Ownership: the agent's composition. Threads: the control loop, which must outlive it; relay pairs
// live on the loops given.
// Durable: the root, members, open invitations (SHA-256 of the secret only) and name claims. Who is
// online is not.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "net/endpoint.hpp"
#include "net/loop.hpp"
#include "overlay/embedded/enroll.hpp"
#include "overlay/embedded/session_memory.hpp"

namespace simplon::overlay {

inline constexpr std::chrono::hours kDefaultInvitation{1};
inline constexpr std::chrono::hours kMaxInvitation{30 * 24};

struct HubOptions {
  std::filesystem::path database;  ///< the agent's state database
  std::string name;                ///< of the agent that is the hub: its member name
  std::vector<net::Loop*> loops;   ///< of relay pairs; not empty
  std::shared_ptr<MemoryBudget> budget = nullptr;  ///< of its sessions; null: its own
};

struct IssuedInvitation {
  Token token;
  bool loopback_only = false;  ///< every address of the token is this host's own
};

struct IssuedIdentity {
  std::string certificate;             ///< PEM
  std::string trust_bundle;            ///< PEM
  std::vector<std::string> addresses;  ///< "host:port"
  std::chrono::system_clock::time_point expires{};
};

struct HubStats {
  std::uint32_t members_online = 0;
  std::uint32_t relays = 0;  ///< pairs now
  std::uint64_t relayed_bytes = 0;
  std::uint64_t refused_connections = 0;  ///< not TLS, no certificate, foreign, over the limit
};

class Hub {
 public:
  /// Opens or creates the network. The first start makes its root.
  static absl::StatusOr<std::unique_ptr<Hub>> open(net::Loop& control, HubOptions options);
  virtual ~Hub() = default;

  /// Starts to serve. ALREADY_EXISTS: the port is taken (the caller chooses another);
  /// INVALID_ARGUMENT otherwise. Once.
  virtual absl::Status listen(const net::Endpoint& endpoint) = 0;
  /// As bound.
  virtual net::Endpoint bound() const = 0;
  /// What tokens and identities say instead of bound(); empty: bound() (a wildcard address becomes
  /// the host's own addresses).
  virtual void advertise(std::vector<std::string> addresses) = 0;
  virtual std::vector<std::string> addresses() const = 0;
  virtual bool loopback_only() const = 0;

  /// INVALID_ARGUMENT (name, lifetime), ALREADY_EXISTS (a member has that name).
  virtual absl::StatusOr<IssuedInvitation> invite(std::string_view name, bool frontend,
                                                  std::chrono::seconds lifetime) = 0;
  /// Signs a request at once: the caller is authorized. A name that another key holds is
  /// ALREADY_EXISTS.
  virtual absl::StatusOr<IssuedIdentity> sign(std::string_view name, std::string_view request,
                                              bool frontend) = 0;
  /// The hub agent's own identity (may run frontends), the same at every start; also in the file
  /// hub-identity.json beside the database. FAILED_PRECONDITION before listen().
  virtual absl::StatusOr<IdentityFile> own_identity() = 0;

  /// Members other than the hub's own agent exist (a join elsewhere would abandon them).
  virtual bool has_members() const = 0;
  virtual HubStats stats() const = 0;

  /// Asks members' sessions to go away in order and stops accepting.
  virtual void drain() = 0;
};

}  // namespace simplon::overlay
