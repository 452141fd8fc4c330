#include "tunnel/registry.hpp"

#include <utility>

#include "base/ids.hpp"
#include "tunnel/names.hpp"

namespace simplon::tunnel {
namespace {

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

Registry::Registry(Store& store, Actor& actor) : store_(store), actor_(actor) {}

absl::Status Registry::load() {
  auto records = store_.load();
  if (!records.ok()) {
    return records.status();
  }
  for (Record& record : *records) {
    const TunnelPtr tunnel = record.tunnel;
    if (!record.request_id.empty()) {
      requests_[record.request_id] = tunnel->name;
    }
    entries_[tunnel->name] = {
        .record = std::move(record), .stored = true, .waiting = {}, .leaving = {}};
    actor_.start(tunnel);
  }
  return absl::OkStatus();
}

absl::Status Registry::check_free(const Tunnel& tunnel) const {
  if (entries_.contains(tunnel.name)) {
    return absl::AlreadyExistsError("name: there is a tunnel called " + in_quotes(tunnel.name) +
                                    " already; delete it or choose another name");
  }
  const auto* share = std::get_if<Share>(&tunnel.spec);
  if (share == nullptr) {
    return absl::OkStatus();
  }
  for (const auto& [name, entry] : entries_) {
    const auto* other = std::get_if<Share>(&entry.record.tunnel->spec);
    if (other != nullptr && other->service == share->service && other->overlay == share->overlay) {
      return absl::AlreadyExistsError("share.service: the share " + in_quotes(name) +
                                      " offers the service " + in_quotes(share->service) +
                                      " already");
    }
  }
  return absl::OkStatus();
}

void Registry::create(Tunnel tunnel, const std::string& request_id, Created done) {
  if (request_id.size() > kMaxRequestIdBytes) {
    return done(absl::InvalidArgumentError("request_id: is longer than 128 bytes"));
  }
  if (auto status = normalize(tunnel); !status.ok()) {
    return done(status);
  }
  std::string print = request_id.empty() ? std::string() : fingerprint(tunnel);
  if (const auto known = requests_.find(request_id); known != requests_.end()) {
    Entry& entry = entries_.at(known->second);
    if (entry.record.fingerprint != print) {
      return done(absl::AlreadyExistsError("request_id: was used for another tunnel, " +
                                           in_quotes(known->second)));
    }
    if (entry.removing) {
      return done(absl::FailedPreconditionError("request_id: its tunnel is being deleted"));
    }
    if (entry.stored) {
      return done(entry.record.tunnel);
    }
    entry.waiting.push_back(std::move(done));
    return;
  }
  if (entries_.size() >= kMaxTunnels) {
    return done(absl::ResourceExhaustedError("this agent has 10,000 tunnels, the most it takes"));
  }
  const bool any_name = tunnel.name.empty();
  if (any_name) {
    tunnel.name =
        choose_name(tunnel.spec, [this](std::string_view name) { return entries_.contains(name); });
  }
  if (auto* share = std::get_if<Share>(&tunnel.spec); share != nullptr && share->service.empty()) {
    share->service = tunnel.name;
    share->any_name = any_name;
  }
  tunnel.uid = base::new_id();
  tunnel.create_time =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  if (auto status = check_free(tunnel); !status.ok()) {
    return done(status);
  }
  if (auto status = actor_.prepare(tunnel); !status.ok()) {
    return done(status);
  }
  // Again: now the overlay is known.
  if (auto status = check_free(tunnel); !status.ok()) {
    actor_.abandon(tunnel);
    return done(status);
  }
  const std::string name = tunnel.name;
  Record record{.tunnel = std::make_shared<const Tunnel>(std::move(tunnel)),
                .request_id = request_id,
                .fingerprint = std::move(print)};
  if (!request_id.empty()) {
    requests_[request_id] = name;
  }
  Entry& entry = entries_[name];
  entry.record = record;
  entry.waiting.push_back(std::move(done));
  store_.put(std::move(record),
             [this, name, alive = std::weak_ptr(alive_)](const absl::Status& status) {
               if (!alive.expired()) {
                 added(name, status);
               }
             });
}

void Registry::added(const std::string& name, const absl::Status& status) {
  Entry& entry = entries_.at(name);
  const TunnelPtr tunnel = entry.record.tunnel;
  auto waiting = std::exchange(entry.waiting, {});
  if (status.ok()) {
    entry.stored = true;
    snapshot_ = nullptr;
    actor_.start(tunnel);
  } else {
    requests_.erase(entry.record.request_id);
    entries_.erase(name);
    actor_.abandon(*tunnel);
  }
  for (auto& done : waiting) {
    if (status.ok()) {
      done(tunnel);
    } else {
      done(status);
    }
  }
}

void Registry::remove(std::string_view name, std::chrono::seconds drain, Removed done) {
  const auto found = entries_.find(name);
  // One that is not acknowledged yet does not exist for its callers.
  if (found == entries_.end() || !found->second.stored || found->second.removing) {
    return done(absl::NotFoundError("name: there is no tunnel called " + in_quotes(name)));
  }
  found->second.removing = true;
  store_.erase(found->second.record.tunnel->uid,
               [this, name = std::string(name), drain, done = std::move(done),
                alive = std::weak_ptr(alive_)](const absl::Status& status) mutable {
                 if (!alive.expired()) {
                   gone(name, drain, status, std::move(done));
                 }
               });
}

void Registry::gone(const std::string& name, std::chrono::seconds drain, const absl::Status& status,
                    Removed done) {
  Entry& entry = entries_.at(name);
  auto leaving = std::exchange(entry.leaving, {});
  leaving.push_back(std::move(done));
  const auto answer = [](std::vector<Removed>& all, const absl::Status& result) {
    for (Removed& each : all) {
      each(result);
    }
  };
  if (!status.ok()) {
    entry.removing = false;
    return answer(leaving, status);
  }
  const TunnelPtr tunnel = entry.record.tunnel;
  requests_.erase(entry.record.request_id);
  entries_.erase(name);
  snapshot_ = nullptr;
  actor_.stop(*tunnel, drain, [answer, leaving = std::move(leaving)]() mutable {
    answer(leaving, absl::OkStatus());
  });
}

void Registry::remove_overlay(std::string_view overlay, std::chrono::seconds drain, Removed done) {
  struct Pending {
    std::size_t left = 1;  // this call itself, so that nothing answers before all are asked
    absl::Status status;
    Removed done;
  };
  const auto pending = std::make_shared<Pending>();
  pending->done = std::move(done);
  const auto one = [pending](const absl::Status& status) {
    if (!absl::IsNotFound(status)) {
      pending->status.Update(status);
    }
    if (--pending->left == 0) {
      pending->done(pending->status);
    }
  };
  std::vector<std::string> names;
  for (auto& [name, entry] : entries_) {
    if (overlay_of(entry.record.tunnel->spec) != overlay) {
      continue;
    }
    ++pending->left;
    if (entry.removing) {
      entry.leaving.emplace_back(one);
    } else if (entry.stored) {
      names.push_back(name);
    } else {
      entry.waiting.emplace_back(
          [this, name, drain, one](const absl::StatusOr<TunnelPtr>& created) {
            // One that could not be stored is gone already.
            if (created.ok()) {
              remove(name, drain, one);
            } else {
              one(absl::OkStatus());
            }
          });
    }
  }
  for (const std::string& name : names) {
    remove(name, drain, one);
  }
  one(absl::OkStatus());
}

std::size_t Registry::count_overlay(std::string_view overlay) const {
  std::size_t out = 0;
  for (const auto& [name, entry] : entries_) {
    out += overlay_of(entry.record.tunnel->spec) == overlay ? 1 : 0;
  }
  return out;
}

Registry::Snapshot Registry::snapshot() const {
  if (snapshot_ == nullptr) {
    auto out = std::make_shared<std::map<std::string, TunnelPtr, std::less<>>>();
    for (const auto& [name, entry] : entries_) {
      if (entry.stored) {
        out->emplace(name, entry.record.tunnel);
      }
    }
    snapshot_ = std::move(out);
  }
  return snapshot_;
}

TunnelPtr Registry::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found != entries_.end() && found->second.stored ? found->second.record.tunnel : nullptr;
}

}  // namespace simplon::tunnel
