// What specs say about HTTP, in tables of the store: whatever was chosen is a row, so that a tunnel
// of defaults costs none.
//
// Threads and errors: as for base::Database.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/database.hpp"
#include "tunnel/spec.hpp"

namespace simplon::tunnel {

/// Creates the tables; a step of the store's migrations. `setting` is the field's path within
/// HttpSettings; durations are in milliseconds.
inline constexpr std::string_view kStoredHttpStep =
    "CREATE TABLE tunnel_settings ("
    " uid TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE, setting TEXT NOT NULL,"
    " value INTEGER NOT NULL, PRIMARY KEY (uid, setting)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tunnel_header_rules ("
    " uid TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE,"
    " direction TEXT NOT NULL CHECK (direction IN ('request', 'response')),"
    " position INTEGER NOT NULL, action TEXT NOT NULL CHECK (action IN ('add', 'set', 'remove')),"
    " name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (uid, direction, position))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE tunnel_trusted_proxies ("
    " uid TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE, position INTEGER NOT NULL,"
    " proxy TEXT NOT NULL, PRIMARY KEY (uid, position)) STRICT, WITHOUT ROWID;";

class StoredHttp {
 public:
  explicit StoredHttp(base::Database& database);

  /// In the store's transaction, after the tunnel's own row. A deleted tunnel's rows go with it.
  absl::Status insert(const Tunnel& tunnel);

  /// Fills in what all tunnels chose; by uid. A field that nobody knows is DATA_LOSS.
  absl::Status load(const std::unordered_map<std::string, std::shared_ptr<Tunnel>>& tunnels);

 private:
  absl::Status insert_rules(const std::string& uid, std::string_view direction,
                            const std::vector<http::HeaderRule>& rules);

  base::Database& database_;
  base::Statement insert_setting_;
  base::Statement insert_rule_;
  base::Statement insert_proxy_;
};

}  // namespace simplon::tunnel
