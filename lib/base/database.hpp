// The agent's durable state: one SQLite file, WAL, synchronous=FULL.
//
// What a finished transaction wrote is there after kill -9 and power loss. The tables are their
// users'; each user migrates its own under its own name, so one file serves several.
//
// Threads: a Database and its statements belong to one thread at a time. Several handles may be
// open on one file; writers wait for each other (up to kBusyTimeout).
// Errors: absl::Status. A full disk is RESOURCE_EXHAUSTED, a damaged file DATA_LOSS, a violated
// constraint ALREADY_EXISTS, the rest INTERNAL or UNAVAILABLE; the message names the file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

struct sqlite3;
struct sqlite3_stmt;

namespace simplon::base {

inline constexpr std::chrono::seconds kBusyTimeout{5};

/// Bytes to be bound as a BLOB, not as text.
struct Blob {
  std::string_view bytes;
};

/// A prepared statement. Values are bound from 1, columns are read from 0. The statement must not
/// outlive its database.
class Statement {
 public:
  /// Binds all values in order and runs to the end; rows, if any, are dropped.
  template <class... Values>
  absl::Status run(const Values&... values) {
    bind_all(values...);
    return finish();
  }

  /// Binds all values in order; then step() yields the rows.
  template <class... Values>
  Statement& bind_all(const Values&... values) {
    reset();
    int index = 0;
    (bind(++index, values), ...);
    return *this;
  }

  /// One more value, by its number; an error is told by the next step().
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, Blob blob);
  void bind(int index, std::nullptr_t);

  /// True: a row can be read. False: there are no more.
  absl::StatusOr<bool> step();

  std::int64_t integer(int column) const;
  /// Text or blob, as bytes.
  std::string text(int column) const;
  bool is_null(int column) const;

  /// Forgets bindings and position.
  void reset();

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  void check(int code);
  absl::Status finish();

  sqlite3* handle_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  absl::Status failed_;  // of prepare or bind; told by the next step
};

class Database {
 public:
  /// Opens the file, creating it with mode 0600. Its folder must exist.
  static absl::StatusOr<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Brings the tables of `owner` to version steps.size(): step i leads from version i to i + 1,
  /// each in a transaction of its own. A file that a newer program wrote is FAILED_PRECONDITION
  /// and stays as it is.
  absl::Status migrate(std::string_view owner, std::span<const std::string_view> steps);

  /// An error of the SQL text is told by the statement's first use.
  Statement prepare(std::string_view sql);

  /// Runs one or more statements that take no values and whose rows are not wanted.
  absl::Status execute(const std::string& sql);

  /// Runs `body` in a transaction: committed if it returns OK, rolled back otherwise. When this
  /// returns OK, the changes are durable. Not nested.
  absl::Status transaction(const std::function<absl::Status()>& body);

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}

  sqlite3* handle_;
};

}  // namespace simplon::base
