// How this agent's overlays change: joins and removals, one at a time.
#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "agent/overlays.hpp"
#include "base/log.hpp"

namespace simplon::agent {
namespace {

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

// Makes an entry's removal durable.
void sync_folder(const std::filesystem::path& folder) {
  const net::Fd handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle) {
    ::fsync(handle.get());
  }
}

absl::Status check_name(const std::string& name) {
  return overlay::valid_service_name(name)
             ? absl::OkStatus()
             : absl::InvalidArgumentError("name: " + in_quotes(name.substr(0, 80)) +
                                          " is not one DNS label (at most 63 of a-z, 0-9, -)");
}

absl::Status under_way() {
  return absl::AbortedError("another change of this agent's overlays is under way; try again");
}

}  // namespace

absl::Status Overlays::may_take(const std::string& name, bool replace) const {
  const Entry* present = find(name);
  if (present == nullptr) {
    return members_.size() < kMaxOverlays
               ? absl::OkStatus()
               : absl::ResourceExhaustedError(
                     "this agent is a member of 64 overlays, the most it "
                     "takes");
  }
  if (replace) {
    return absl::OkStatus();
  }
  const std::size_t tunnels = registry_.count_overlay(name);
  std::string why;
  if (tunnels > 0) {
    why = std::to_string(tunnels) + (tunnels == 1 ? " tunnel uses" : " tunnels use") +
          " the overlay " + in_quotes(name) + " of this agent";
  } else if (present->own_hub && hub_->has_members()) {
    why = "this agent is the hub of other members in the overlay " + in_quotes(name);
  } else if (!present->failed.empty()) {
    why = "the overlay " + in_quotes(name) + " of this agent does not work: " + present->failed;
  } else if (!present->own_hub) {
    why = "this agent is already a member of a network that it calls " + in_quotes(name);
    if (const auto self = present->entrance.network->self(); !self.empty()) {
      why += ", as " + in_quotes(self);
    }
  } else {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      why +
      "; join beside it under another name (--overlay NAME), or give it up with its members "
      "and tunnels (--replace)");
}

absl::Status Overlays::begin(const std::string& name, bool replace) const {
  return change_ ? under_way() : may_take(name, replace);
}

void Overlays::join(const std::string& text, const std::string& wanted, bool replace, Joined done) {
  const std::string name = wanted.empty() ? kDefaultOverlay : wanted;
  if (auto status = check_name(name); !status.ok()) {
    return done(status);
  }
  auto token = overlay::parse_token(text);
  if (!token.ok()) {
    return done(absl::InvalidArgumentError("token: " + std::string(token.status().message())));
  }
  if (auto status = begin(name, replace); !status.ok()) {
    return done(status);
  }
  if (hub_ != nullptr) {
    const auto own = find(kDefaultOverlay);
    const auto root = overlay::spki_of(std::get<overlay::IdentityFile>(own->file).trust_bundle);
    if (root && *root == token->root_spki) {
      return done(absl::FailedPreconditionError(
          "token: this is an invitation of this agent's own hub; use it on the other host"));
    }
  }
  start_change(std::move(*token), name, replace, std::move(done));
}

void Overlays::add(Source source, const std::string& name, bool replace, Joined done) {
  auto status = check_name(name);
  if (status.ok()) {
    status = begin(name, replace);
  }
  if (!status.ok()) {
    return done(status);
  }
  if (auto* zrok = std::get_if<ZrokAccount>(&source);
      zrok != nullptr && zrok->description.empty()) {
    zrok->description = agent_name();
  }
  start_change(std::move(source), name, replace, std::move(done));
}

void Overlays::start_change(Source source, const std::string& name, bool replace, Joined done) {
  change_ = Change{.name = name,
                   .replace = replace,
                   .made_there = std::holds_alternative<ZrokAccount>(source),
                   .joined = std::move(done)};
  net::spawn(control_, "join",
             change(&control_, std::move(source), staged_file_of(name), this, alive_));
}

// `self` may be gone when the network has answered: `alive` tells.
net::awaitable<void> Overlays::change(net::Loop* loop, Source source, std::filesystem::path staged,
                                      Overlays* self, std::weak_ptr<char> alive) {
  auto membership = co_await obtain(loop, std::move(source), std::move(staged));
  if (!alive.expired()) {
    self->obtained(std::move(membership));
  }
}

void Overlays::obtained(absl::StatusOr<overlay::Membership> membership) {
  const std::string name = change_->name;
  absl::Status status = membership.status();
  if (status.ok()) {
    // A tunnel may have come meanwhile.
    status = may_take(name, change_->replace);
  }
  if (status.ok()) {
    // Before anything is deleted for it. Not yet the membership: should this process end now, the
    // tunnels of the overlay that it replaces would start in the new network.
    status = overlay::save_membership(*membership, staged_file_of(name), true);
  }
  if (!status.ok()) {
    return membership.ok() ? fail(status, std::move(*membership)) : end_change()(status);
  }
  // Tunnels that wait for an overlay of that name, which is not there, get it.
  if (find(name) == nullptr) {
    status = settle(name);
    return status.ok() ? enter(name, std::move(*membership)) : fail(status, std::move(*membership));
  }
  give_up(name, [this, name, left = std::move(*membership)](absl::Status given_up) mutable {
    if (given_up.ok()) {
      given_up = settle(name);
    }
    if (!given_up.ok()) {
      return fail(given_up, std::move(left));
    }
    forget(name, [this, name, left = std::move(left)]() mutable { enter(name, std::move(left)); });
  });
}

// Nobody but this change knows of what it made at the network.
void Overlays::fail(const absl::Status& status, overlay::Membership made) {
  if (change_->made_there) {
    net::spawn(control_, "overlay's end",
               take_back(&control_, std::move(made), change_->name, alive_, [] {}));
  }
  end_change()(status);
}

absl::Status Overlays::settle(const std::string& name) {
  std::error_code error;
  std::filesystem::rename(staged_file_of(name), file_of(name), error);
  if (error) {
    return absl::UnavailableError(file_of(name).string() +
                                  ": cannot be written: " + error.message());
  }
  sync_folder(state_.overlays());
  return absl::OkStatus();
}

void Overlays::enter(const std::string& name, overlay::Membership file) {
  const auto addresses = overlay::addresses_of(file);
  const std::string self = overlay::name_of(file);
  base::log().info("joined the network of {}{}{}, called {} here",
                   addresses.empty() ? "?" : addresses.front(), self.empty() ? "" : " as ", self,
                   name);
  bring_up({.name = name, .file = std::move(file), .failed = {}});
  end_change()(info(members_.back()));
}

Overlays::Joined Overlays::end_change() {
  Change change = std::move(*change_);
  change_.reset();
  supervisor_.end_leaving(change.name);
  std::error_code error;
  std::filesystem::remove(staged_file_of(change.name), error);  // settled: it is not there
  return std::move(change.joined);
}

void Overlays::remove(const std::string& name, bool force, Removed done) {
  const Entry* present = find(name);
  if (present == nullptr) {
    return done(absl::NotFoundError("name: this agent has no overlay " + in_quotes(name)));
  }
  if (present->own_hub) {
    return done(absl::FailedPreconditionError(
        "name: " + in_quotes(name) +
        " is the network of this agent's own hub; start the agent with --hub-listen none instead"));
  }
  if (change_) {
    return done(under_way());
  }
  if (const auto tunnels = registry_.count_overlay(name); tunnels > 0 && !force) {
    return done(absl::FailedPreconditionError(
        "name: " + std::to_string(tunnels) + (tunnels == 1 ? " tunnel uses" : " tunnels use") +
        " the overlay " + in_quotes(name) + "; delete them first, or say force"));
  }
  change_ = Change{.name = name, .replace = true, .joined = {}};
  give_up(name, [this, name, done = std::move(done)](const absl::Status& given_up) mutable {
    if (!given_up.ok()) {
      end_change();
      return done(given_up);
    }
    forget(name, [this, name, done = std::move(done)]() mutable {
      std::error_code error;
      std::filesystem::remove(file_of(name), error);
      sync_folder(state_.overlays());
      end_change();
      if (error) {
        return done(absl::UnavailableError(file_of(name).string() +
                                           ": cannot be removed: " + error.message()));
      }
      base::log().info("left the overlay {}", name);
      if (name == kDefaultOverlay) {
        if (const auto status = start_own_hub(); !status.ok()) {
          base::log().error("{}", std::string(status.message()));
        }
      }
      done(absl::OkStatus());
    });
  });
}

// What cannot be taken back does not keep the overlay here.
net::awaitable<void> Overlays::take_back(net::Loop* loop, overlay::Membership file,
                                         std::string name, std::weak_ptr<char> alive,
                                         std::move_only_function<void()> done) {
  const auto left = co_await overlay::leave(loop, std::move(file));
  if (!left.ok()) {
    base::log().warn("overlay {}: the network still knows this agent: {}", name,
                     std::string(left.message()));
  }
  if (!alive.expired()) {
    done();
  }
}

void Overlays::give_up(const std::string& name, Removed done) {
  supervisor_.begin_leaving(name);
  registry_.remove_overlay(
      name, options_.drain,
      [done = std::move(done), alive = std::weak_ptr(alive_)](const absl::Status& status) mutable {
        if (!alive.expired()) {
          done(status);
        }
      });
}

void Overlays::forget(const std::string& name, std::move_only_function<void()> done) {
  if (find(name) == nullptr) {
    return done();
  }
  auto destroy = [this, name, done = std::move(done), alive = std::weak_ptr(alive_)]() mutable {
    if (alive.expired()) {
      return;
    }
    const auto at = std::ranges::find(members_, name, &Entry::name);
    const bool own_hub = at->own_hub;
    overlay::Membership file = std::move(at->file);
    members_.erase(at);
    if (own_hub) {
      base::log().info("this agent's own hub is given up");
      hub_->drain();
      hub_.reset();
    }
    net::spawn(control_, "overlay's end",
               take_back(&control_, std::move(file), name, alive_, std::move(done)));
  };
  // Later: the supervisor is still busy with what it was told.
  supervisor_.remove_overlay(
      name, [this, destroy = std::move(destroy)]() mutable { control_.post(std::move(destroy)); });
}

}  // namespace simplon::agent
