// The hub's durable part: root, members, invitations and name claims, in the agent's database
// (tables hub_*).
//
// Owned by the hub; the control loop's thread. What a call reported as done survives a power loss.
// Errors: absl::Status of base/database.hpp, and what each call says.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "base/database.hpp"
#include "overlay/embedded/certificate.hpp"

namespace simplon::overlay {

/// Open and used ones together, until they expire.
inline constexpr std::int64_t kMaxInvitations = 10'000;
/// Of one member: what it may host at once, and names of its past. Beyond, the oldest claim that
/// nobody hosts makes room, so that a member with ever new names never runs out of them.
inline constexpr std::int64_t kMaxClaims = 4096;

class HubStore {
 public:
  using Time = std::chrono::system_clock::time_point;
  using Issue = std::function<absl::StatusOr<std::string>(const std::string& name, bool frontend)>;

  struct Member {
    std::string name;
    std::string spki;         ///< 32 raw bytes
    std::string certificate;  ///< PEM
    bool frontend = false;
    bool own = false;  ///< the hub's own agent
    bool operator==(const Member&) const = default;
  };

  struct Invitation {
    std::string secret_sha256;  ///< 32 raw bytes
    std::string name;
    bool frontend = false;
    Time expires{};
  };

  /// Makes the root if there is none.
  static absl::StatusOr<std::unique_ptr<HubStore>> open(const std::filesystem::path& file);

  const Authority& authority() const { return authority_; }

  absl::StatusOr<std::optional<Member>> member_by_key(std::string_view spki);
  absl::StatusOr<std::optional<Member>> member_by_name(std::string_view name);
  absl::StatusOr<bool> has_members();

  /// A new member, or a new certificate of one. ALREADY_EXISTS: another key has the name, or the
  /// key has another name.
  absl::Status put_member(const Member& member);
  /// The same for the hub's own agent, whose key and name may change: its claims follow.
  absl::Status put_own(const Member& member);

  /// Replaces an unused invitation of the same name. RESOURCE_EXHAUSTED, ALREADY_EXISTS.
  absl::Status add_invitation(const Invitation& invitation, Time now);
  /// Uses the invitation up and makes the member, in one transaction; the same key again gets the
  /// same certificate. PERMISSION_DENIED: unknown, expired, or used by another key.
  absl::StatusOr<std::string> redeem(std::string_view secret_sha256, const std::string& spki,
                                     Time now, const Issue& issue);

  /// Keys (32 raw bytes) of a service name's owners; empty: nobody claimed it.
  absl::StatusOr<std::vector<std::string>> owners(std::string_view service);
  /// The name is `spki`'s from now on, or was. PERMISSION_DENIED: it is another's.
  /// RESOURCE_EXHAUSTED: the member hosts all the names that it may claim. `hosted`: somebody hosts
  /// the service now.
  using Hosted = std::function<bool(std::string_view service)>;
  absl::Status claim(std::string_view service, std::string_view spki, Time now,
                     const Hosted& hosted);

 private:
  absl::Status make_room(std::string_view spki, const Hosted& hosted);
  explicit HubStore(std::unique_ptr<base::Database> database) : database_(std::move(database)) {}

  absl::Status load_root();
  absl::StatusOr<std::optional<Member>> one_member(base::Statement& statement);
  absl::Status write_member(const Member& member);
  absl::StatusOr<std::int64_t> count(std::string_view sql);

  std::unique_ptr<base::Database> database_;
  Authority authority_;
};

}  // namespace simplon::overlay
