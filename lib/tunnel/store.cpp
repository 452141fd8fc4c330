#include "tunnel/store.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace simplon::tunnel {
namespace {

constexpr std::string_view kOwner = "tunnels";
// Step 2 is what a spec may say about HTTP.
constexpr std::array<std::string_view, 5> kSteps{
    "CREATE TABLE tunnels ("
    " uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, create_time INTEGER NOT NULL,"
    " kind TEXT NOT NULL CHECK (kind IN ('share', 'access', 'frontend')),"
    " overlay TEXT NOT NULL, service TEXT NOT NULL, target TEXT NOT NULL,"
    " public INTEGER NOT NULL, rewrite_host TEXT NOT NULL, listen TEXT NOT NULL,"
    " protocol TEXT NOT NULL CHECK (protocol IN ('', 'http', 'tcp')), zone TEXT NOT NULL,"
    " request_id TEXT UNIQUE, fingerprint BLOB) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tunnel_labels ("
    " uid TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE, key TEXT NOT NULL,"
    " value TEXT NOT NULL, PRIMARY KEY (uid, key)) STRICT, WITHOUT ROWID;",
    "ALTER TABLE tunnels RENAME COLUMN rewrite_host TO host_header;"
    "ALTER TABLE tunnels ADD COLUMN rewrite_references INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tunnels ADD COLUMN peer_header TEXT NOT NULL DEFAULT '';",
    kStoredHttpStep, "ALTER TABLE tunnels ADD COLUMN any_name INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE tunnels ADD COLUMN ziti_cost INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tunnels ADD COLUMN ziti_precedence TEXT NOT NULL DEFAULT 'default'"
    " CHECK (ziti_precedence IN ('default', 'required', 'failed'));"};

constexpr std::string_view kSelect =
    "SELECT uid, name, create_time, kind, overlay, service, target, public, host_header, listen,"
    " protocol, zone, request_id, fingerprint, rewrite_references, peer_header, any_name,"
    " ziti_cost, ziti_precedence FROM tunnels ORDER BY name";

using std::chrono::microseconds;
using std::chrono::system_clock;

// What the column may hold, by the number of the precedence.
constexpr std::array<std::string_view, 3> kPrecedences{"default", "required", "failed"};

overlay::Rank read_rank(const base::Statement& row) {
  const std::string precedence = row.text(18);
  const auto* found = std::ranges::find(kPrecedences, precedence);
  return {.cost = static_cast<std::uint16_t>(row.integer(17)),
          .precedence = static_cast<overlay::Precedence>(found - kPrecedences.begin())};
}

Spec read_spec(const base::Statement& row) {
  const std::string kind = row.text(3);
  if (kind == "share") {
    return Share{.service = row.text(5),
                 .overlay = row.text(4),
                 .target = row.text(6),
                 .open_to_frontends = row.integer(7) != 0,
                 .host_header = row.text(8),
                 .rewrite_references = row.integer(14) != 0,
                 .peer_header = row.text(15),
                 .any_name = row.integer(16) != 0,
                 .rank = read_rank(row)};
  }
  if (kind == "access") {
    return Access{.service = row.text(5),
                  .overlay = row.text(4),
                  .listen = row.text(9),
                  .protocol = row.text(10) == "tcp" ? Protocol::tcp : Protocol::http};
  }
  return Frontend{.overlay = row.text(4), .listen = row.text(9), .zone = row.text(11)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::open(const std::filesystem::path& file,
                                                   net::Loop& control) {
  auto database = base::Database::open(file);
  if (!database.ok()) {
    return database.status();
  }
  if (auto migrated = (*database)->migrate(kOwner, kSteps); !migrated.ok()) {
    return migrated;
  }
  return std::unique_ptr<Store>(new Store(std::move(*database), control));
}

Store::Store(std::unique_ptr<base::Database> database, net::Loop& control)
    : control_(control),
      database_(std::move(database)),
      insert_(database_->prepare(
          "INSERT INTO tunnels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
      insert_label_(database_->prepare("INSERT INTO tunnel_labels VALUES (?, ?, ?)")),
      http_(*database_),
      erase_(database_->prepare("DELETE FROM tunnels WHERE uid = ?")),
      thread_([this] { run(); }) {}

Store::~Store() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

absl::StatusOr<std::vector<Record>> Store::load() {
  std::map<std::string, std::map<std::string, std::string>> labels;
  base::Statement label = database_->prepare("SELECT uid, key, value FROM tunnel_labels");
  auto row = label.step();
  for (; row.ok() && *row; row = label.step()) {
    labels[label.text(0)][label.text(1)] = label.text(2);
  }
  if (!row.ok()) {
    return row.status();
  }
  std::vector<Record> records;
  std::unordered_map<std::string, std::shared_ptr<Tunnel>> by_uid;
  base::Statement select = database_->prepare(kSelect);
  row = select.step();
  for (; row.ok() && *row; row = select.step()) {
    auto tunnel = std::make_shared<Tunnel>();
    tunnel->uid = select.text(0);
    tunnel->name = select.text(1);
    tunnel->create_time = system_clock::time_point(microseconds(select.integer(2)));
    tunnel->spec = read_spec(select);
    tunnel->labels = std::move(labels[tunnel->uid]);
    by_uid[tunnel->uid] = tunnel;
    records.push_back({.tunnel = std::move(tunnel),
                       .request_id = select.text(12),
                       .fingerprint = select.text(13)});
  }
  if (!row.ok()) {
    return row.status();
  }
  if (auto loaded = http_.load(by_uid); !loaded.ok()) {
    return loaded;
  }
  return records;
}

void Store::put(Record record, Done done) {
  enqueue({.put = std::move(record), .erase = {}, .done = std::move(done)});
}

void Store::erase(std::string uid, Done done) {
  enqueue({.put = {}, .erase = std::move(uid), .done = std::move(done)});
}

void Store::enqueue(Mutation mutation) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(mutation));
  }
  wake_.notify_one();
}

void Store::run() {
  for (;;) {
    std::vector<Mutation> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) {
        return;
      }
      batch.swap(queue_);
    }
    std::vector<absl::Status> results(batch.size(), commit(batch));
    if (batch.size() > 1 && !results.front().ok()) {
      // One that cannot be stored must not refuse the others.
      for (std::size_t i = 0; i < batch.size(); ++i) {
        results[i] = commit(std::span(&batch[i], 1));
      }
    }
    control_.post([batch = std::move(batch), results = std::move(results)]() mutable {
      for (std::size_t i = 0; i < batch.size(); ++i) {
        batch[i].done(std::move(results[i]));
      }
    });
  }
}

absl::Status Store::commit(std::span<const Mutation> batch) {
  commits_.fetch_add(1, std::memory_order_relaxed);
  return database_->transaction([&] {
    absl::Status status;
    for (auto at = batch.begin(); status.ok() && at != batch.end(); ++at) {
      status = at->put.tunnel != nullptr ? insert(at->put) : erase_.run(at->erase);
    }
    return status;
  });
}

absl::Status Store::insert(const Record& record) {
  const Tunnel& tunnel = *record.tunnel;
  Share share;
  Access access;
  Frontend frontend;
  std::string_view protocol;
  if (const auto* kind = std::get_if<Share>(&tunnel.spec)) {
    share = *kind;
  } else if (const auto* other = std::get_if<Access>(&tunnel.spec)) {
    access = *other;
    protocol = access.protocol == Protocol::tcp ? "tcp" : "http";
  } else {
    frontend = std::get<Frontend>(tunnel.spec);
  }
  const std::string* listen = listen_of(tunnel.spec);
  const std::int64_t created =
      std::chrono::duration_cast<microseconds>(tunnel.create_time.time_since_epoch()).count();
  insert_.bind_all(tunnel.uid, tunnel.name, created, kind_name(tunnel.spec),
                   overlay_of(tunnel.spec), share.service.empty() ? access.service : share.service,
                   share.target, share.open_to_frontends ? 1 : 0, share.host_header,
                   listen != nullptr ? std::string_view(*listen) : std::string_view(), protocol,
                   frontend.zone);
  if (record.request_id.empty()) {
    insert_.bind(13, nullptr);
    insert_.bind(14, nullptr);
  } else {
    insert_.bind(13, record.request_id);
    insert_.bind(14, base::Blob{record.fingerprint});
  }
  insert_.bind(15, share.rewrite_references ? 1 : 0);
  insert_.bind(16, share.peer_header);
  insert_.bind(17, share.any_name ? 1 : 0);
  insert_.bind(18, share.rank.cost);
  insert_.bind(19, kPrecedences.at(static_cast<std::size_t>(share.rank.precedence)));
  const auto stepped = insert_.step();
  insert_.reset();
  absl::Status status = stepped.status();
  status.Update(status.ok() ? http_.insert(tunnel) : status);
  for (auto at = tunnel.labels.begin(); status.ok() && at != tunnel.labels.end(); ++at) {
    status = insert_label_.run(tunnel.uid, at->first, at->second);
  }
  return status;
}

}  // namespace simplon::tunnel
