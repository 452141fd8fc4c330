// Where the agent's own hub listens: what was asked for, and what it got the last time. The latter
// is kept in a table of the state database, because members find the hub there.
// Threads: the control loop.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/options.hpp"
#include "base/database.hpp"
#include "net/endpoint.hpp"

namespace simplon::agent {

class KeptAddress {
 public:
  static absl::StatusOr<KeptAddress> open(const std::filesystem::path& database);

  std::optional<net::Endpoint> get() const { return address_; }
  /// Durable when this returns OK.
  absl::Status set(const net::Endpoint& address);

 private:
  explicit KeptAddress(std::unique_ptr<base::Database> database) : database_(std::move(database)) {}

  std::unique_ptr<base::Database> database_;
  std::optional<net::Endpoint> address_;
};

/// The addresses to try, in order. One whose port nobody chose is looked for where it was the last
/// time; the default may be replaced; one that somebody chose may not.
std::vector<net::Endpoint> hub_candidates(const HubListen& wanted,
                                          const std::optional<net::Endpoint>& kept);

}  // namespace simplon::agent
