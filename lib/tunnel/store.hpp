// The tunnels on disk. What was acknowledged is there after kill -9 and power loss.
//
// A thread of its own takes all mutations that are queued, commits them in one transaction and
// posts the acknowledgements: how many share a commit follows from the disk's speed.
//
// Threads: put() and erase() from the control loop, which also gets the acknowledgements, in the
// order of the calls. Destroying the store commits what is queued; acknowledgements of that are
// posted too.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/statusor.h>

#include "base/database.hpp"
#include "net/loop.hpp"
#include "tunnel/spec.hpp"
#include "tunnel/stored_http.hpp"

namespace simplon::tunnel {

/// A tunnel and the request that made it.
struct Record {
  TunnelPtr tunnel;
  std::string request_id;   ///< empty: the create was not idempotent
  std::string fingerprint;  ///< of the request; empty if request_id is
};

class Store {
 public:
  using Done = std::move_only_function<void(absl::Status)>;

  static absl::StatusOr<std::unique_ptr<Store>> open(const std::filesystem::path& file,
                                                     net::Loop& control);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// All tunnels by name. Before the first mutation only.
  absl::StatusOr<std::vector<Record>> load();

  /// The caller has checked that name, uid and request id are new.
  void put(Record record, Done done);
  void erase(std::string uid, Done done);

  /// Transactions so far; for tests of the batching.
  std::uint64_t commits() const { return commits_.load(std::memory_order_relaxed); }

 private:
  struct Mutation {
    Record put;         // with a tunnel, or
    std::string erase;  // a uid
    Done done;
  };

  Store(std::unique_ptr<base::Database> database, net::Loop& control);
  void enqueue(Mutation mutation);
  void run();
  absl::Status commit(std::span<const Mutation> batch);
  absl::Status insert(const Record& record);

  net::Loop& control_;
  std::unique_ptr<base::Database> database_;
  base::Statement insert_;
  base::Statement insert_label_;
  StoredHttp http_;
  base::Statement erase_;
  std::atomic<std::uint64_t> commits_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Mutation> queue_;
  bool ending_ = false;
  std::thread thread_;  // last: everything else exists while it runs
};

}  // namespace simplon::tunnel
