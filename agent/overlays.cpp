#include "agent/overlays.hpp"

#include <algorithm>
#include <utility>

#include "agent/own_hub.hpp"
#include "base/log.hpp"
#include "overlay/identity_dates.hpp"

namespace simplon::agent {

Overlays::Overlays(net::Loop& control, std::vector<net::Loop*> loops, const Options& options,
                   const StateDir& state, tunnel::Supervisor& supervisor,
                   tunnel::Registry& registry)
    : control_(control),
      loops_(std::move(loops)),
      options_(options),
      state_(state),
      supervisor_(supervisor),
      registry_(registry) {}

absl::Status Overlays::start() {
  const auto folder = state_.overlays();
  if (auto made = make_folder(folder, 0700); !made.ok()) {
    return made;
  }
  std::error_code error;
  std::vector<std::string> names;
  std::vector<std::filesystem::path> staged;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".new") {
      staged.push_back(entry.path());
    } else if (entry.path().extension() == ".json" && overlay::valid_service_name(name)) {
      names.push_back(name);
    }
  }
  if (error) {
    return absl::UnavailableError(folder.string() + ": cannot be read: " + error.message());
  }
  for (const std::filesystem::path& file : staged) {
    // The overlay that it was to replace may still have tunnels: they must not move.
    base::log().warn("{}: a join did not finish; dropped, join again", file.string());
    if (!std::filesystem::remove(file, error) && error) {
      base::log().error("{}: cannot be removed: {}", file.string(), error.message());
    }
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    auto file = overlay::load_membership(file_of(name));
    if (file.ok()) {
      bring_up({.name = name, .file = std::move(*file), .failed = {}});
    } else {
      base::log().error("overlay {}: {}", name, std::string(file.status().message()));
      members_.push_back(
          {.name = name, .file = {}, .failed = std::string(file.status().message())});
    }
  }
  return start_own_hub();
}

absl::Status Overlays::start_own_hub() {
  if (options_.hub_listen.none) {
    return absl::OkStatus();
  }
  if (find(kDefaultOverlay) != nullptr) {
    if (options_.hub_listen.chosen) {
      base::log().warn("this agent joined another hub's network as {}: its own hub stays off",
                       kDefaultOverlay);
    }
    return absl::OkStatus();
  }
  auto hub = open_own_hub(control_, loops_, options_, state_, budget_);
  if (!hub.ok()) {
    return hub.status();
  }
  auto identity = (*hub)->own_identity();
  if (!identity.ok()) {
    return identity.status();
  }
  hub_ = std::move(*hub);
  bring_up({.name = kDefaultOverlay, .file = std::move(*identity), .failed = {}, .own_hub = true});
  return absl::OkStatus();
}

void Overlays::bring_up(Entry entry) {
  auto entrance = overlay::enter(control_, entry.file, loops_, budget_);
  if (entrance.ok()) {
    entry.entrance = std::move(*entrance);
    supervisor_.add_overlay(entry.name, *entry.entrance.network);
  } else {
    entry.failed = std::string(entrance.status().message());
    base::log().error("overlay {}: {}", entry.name, entry.failed);
  }
  members_.push_back(std::move(entry));
}

const Overlays::Entry* Overlays::find(const std::string& name) const {
  const auto found = std::ranges::find(members_, name, &Entry::name);
  return found == members_.end() ? nullptr : &*found;
}

std::filesystem::path Overlays::file_of(const std::string& name) const {
  return state_.overlays() / (name + ".json");
}

std::filesystem::path Overlays::staged_file_of(const std::string& name) const {
  return state_.overlays() / (name + ".json.new");
}

OverlayInfo Overlays::info(const Entry& entry) const {
  OverlayInfo out{.name = entry.name,
                  .kind = std::string(overlay::kind_of(entry.file)),
                  .identity = overlay::name_of(entry.file),
                  .hub = entry.own_hub,
                  .link = {},
                  .addresses = overlay::addresses_of(entry.file),
                  .ziti = {}};
  if (const auto& network = entry.entrance.network; network != nullptr) {
    out.kind = network->kind();
    out.identity = network->self();
    out.link = network->status();
    if (entry.entrance.details) {
      out.ziti = entry.entrance.details();
    }
  } else {
    out.link = {.state = overlay::LinkState::down, .since = {}, .last_error = entry.failed};
  }
  if (entry.own_hub) {
    out.addresses = hub_->addresses();
  }
  return out;
}

std::vector<OverlayInfo> Overlays::list() const {
  std::vector<OverlayInfo> out;
  out.reserve(members_.size());
  for (const Entry& entry : members_) {
    out.push_back(info(entry));
  }
  std::ranges::sort(out, {}, &OverlayInfo::name);
  return out;
}

namespace {

// What the members' own check says, and then how the link is.
net::awaitable<void> run_check(net::awaitable<void> check, std::function<void()> link,
                               std::move_only_function<void()> done) {
  co_await std::move(check);
  link();
  done();
}

void report_link(const overlay::LinkStatus& link, const overlay::CheckReport& report) {
  if (link.state == overlay::LinkState::up) {
    report({.hop = "link",
            .latency = {},
            .message = "up since " + overlay::utc(link.since),
            .advice = {},
            .connection_id = {}});
    return;
  }
  std::string words(overlay::to_string(link.state));
  words += link.last_error.empty() ? "" : ": " + link.last_error;
  report(overlay::broken("link", words, "it is tried again by itself; see the hub's log"));
}

}  // namespace

absl::Status Overlays::check(const std::string& name, overlay::CheckReport report,
                             std::move_only_function<void()> done) {
  const Entry* const entry = find(name);
  if (entry == nullptr) {
    return absl::NotFoundError("name: there is no overlay called \"" + name.substr(0, 80) + "\"");
  }
  if (!entry->entrance.check) {
    report(overlay::broken("identity", entry->failed, "add the overlay again, with --replace"));
    done();
    return absl::OkStatus();
  }
  // Of an OpenZiti network the check itself sees the login.
  const auto good = std::make_shared<bool>(true);
  overlay::CheckReport watched = [report, good](const overlay::CheckStep& step) {
    *good = *good && step.state != overlay::CheckStep::State::failed;
    return report(step);
  };
  std::function<void()> link = [this, alive = std::weak_ptr(alive_), name, report, good] {
    const Entry* const now = alive.expired() ? nullptr : find(name);
    if (*good && now != nullptr && now->entrance.network != nullptr &&
        now->entrance.network->kind() == "embedded") {
      report_link(now->entrance.network->status(), report);
    }
  };
  net::spawn(
      control_, "check of an overlay",
      run_check(entry->entrance.check(std::move(watched)), std::move(link), std::move(done)));
  return absl::OkStatus();
}

std::string Overlays::agent_name() const {
  const auto found = std::ranges::find(members_, kDefaultOverlay, &Entry::name);
  std::string name;
  if (found != members_.end() && !found->own_hub) {
    name = overlay::name_of(found->file);
  }
  return name.empty() ? options_.agent_name : name;
}

absl::StatusOr<overlay::Hub*> Overlays::hub() const {
  if (hub_ != nullptr) {
    return hub_.get();
  }
  if (options_.hub_listen.none) {
    return absl::FailedPreconditionError(
        "this agent is not a hub: it was started with --hub-listen none");
  }
  return absl::FailedPreconditionError(
      "this agent is not a hub: it joined the network of another one; invite on that hub's host");
}

void Overlays::drain_hub() {
  if (hub_ != nullptr) {
    hub_->drain();
  }
}

}  // namespace simplon::agent
