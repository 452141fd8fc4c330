#include "base/database.hpp"

#include <cerrno>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

namespace simplon::base {
namespace {

// absl::string_view is not std::string_view in this release of abseil.
std::string sentence(sqlite3* handle) {
  const char* name = sqlite3_db_filename(handle, "main");
  return absl::StrCat("database ", name != nullptr && *name != '\0' ? name : "in memory", ": ",
                      sqlite3_errmsg(handle));
}

absl::Status error(sqlite3* handle, int code) {
  switch (code & 0xff) {  // the primary code; the rest is detail
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(sentence(handle));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(sentence(handle));
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(sentence(handle));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
      return absl::UnavailableError(sentence(handle));
    default:
      return absl::InternalError(sentence(handle));
  }
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Statement::check(int code) {
  if (code != SQLITE_OK && failed_.ok()) {
    failed_ = error(handle_, code);
  }
}

void Statement::bind(int index, std::int64_t value) {
  check(sqlite3_bind_int64(statement_.get(), index, value));
}

void Statement::bind(int index, std::string_view text) {
  // An empty view may have no data pointer, which would bind NULL.
  check(sqlite3_bind_text64(statement_.get(), index, text.data() != nullptr ? text.data() : "",
                            text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind(int index, Blob blob) {
  const auto& bytes = blob.bytes;
  check(sqlite3_bind_blob64(statement_.get(), index, bytes.data() != nullptr ? bytes.data() : "",
                            bytes.size(), SQLITE_TRANSIENT));
}

void Statement::bind(int index, std::nullptr_t) {
  check(sqlite3_bind_null(statement_.get(), index));
}

absl::StatusOr<bool> Statement::step() {
  if (!failed_.ok()) {
    return failed_;
  }
  switch (const int code = sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return error(handle_, code);
  }
}

absl::Status Statement::finish() {
  absl::Status result;
  for (bool more = true; more;) {
    const auto row = step();
    more = row.ok() && *row;
    result = row.status();
  }
  reset();
  return result;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Statement::reset() {
  if (statement_ != nullptr) {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
    failed_ = absl::OkStatus();
  }
}

absl::StatusOr<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  // SQLite would create it readable for all; its companion files take over the mode of this one.
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrCat("database ", file.string(), ": cannot be opened: ", std::strerror(errno)));
  }
  ::close(fd);
  const std::string name = file.string();
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(name.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (code != SQLITE_OK) {
    return absl::UnavailableError(absl::StrCat("database ", name, ": ", sqlite3_errstr(code)));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, std::chrono::milliseconds(kBusyTimeout).count());
  absl::Status ready = database->execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
      "CREATE TABLE IF NOT EXISTS schema_version (owner TEXT PRIMARY KEY, version INTEGER NOT NULL)"
      " STRICT;");
  if (!ready.ok()) {
    return ready;
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::migrate(std::string_view owner, std::span<const std::string_view> steps) {
  Statement read = prepare("SELECT version FROM schema_version WHERE owner = ?");
  const auto found = read.bind_all(owner).step();
  if (!found.ok()) {
    return found.status();
  }
  auto version = *found ? static_cast<std::size_t>(read.integer(0)) : 0;
  read.reset();
  if (version > steps.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the state was written by a newer version of Simplon (", std::string(owner),
                     " ", version, ", this one knows ", steps.size(), ")"));
  }
  Statement write = prepare(
      "INSERT INTO schema_version VALUES (?, ?) ON CONFLICT DO UPDATE SET version = "
      "excluded.version");
  for (; version < steps.size(); ++version) {
    const absl::Status done = transaction([&] {
      const absl::Status stepped = execute(std::string(steps[version]));
      return stepped.ok() ? write.run(owner, static_cast<std::int64_t>(version + 1)) : stepped;
    });
    if (!done.ok()) {
      return done;
    }
  }
  return absl::OkStatus();
}

Statement Database::prepare(std::string_view sql) {
  Statement out;
  out.handle_ = handle_;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  out.statement_.reset(statement);
  out.check(code);
  return out;
}

absl::Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : error(handle_, code);
}

absl::Status Database::transaction(const std::function<absl::Status()>& body) {
  // IMMEDIATE: a lock that cannot be had fails here, not in the middle.
  if (const absl::Status begun = execute("BEGIN IMMEDIATE"); !begun.ok()) {
    return begun;
  }
  absl::Status result = body();
  if (result.ok()) {
    result = execute("COMMIT");
  }
  if (!result.ok() && sqlite3_get_autocommit(handle_) == 0) {
    (void)execute("ROLLBACK");
  }
  return result;
}

}  // namespace simplon::base
