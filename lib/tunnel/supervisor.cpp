#include "tunnel/supervisor.hpp"

#include <algorithm>
#include <utility>

#include "net/tcp.hpp"
#include "tunnel/spec_check.hpp"

namespace simplon::tunnel {
namespace {

constexpr std::string_view kDefaultOverlay = "default";

std::string field_of(const Tunnel& tunnel, std::string_view field) {
  return std::string(kind_name(tunnel.spec)).append(".").append(field).append(": ");
}

}  // namespace

Supervisor::Supervisor(net::Loop& control, std::vector<net::Loop*> loops, Settings settings)
    : around_{.control = control,
              .loops = std::move(loops),
              .settings = std::move(settings),
              .target_tls = nullptr},
      cut_all_(control) {}

// What still runs, as a check that somebody asked for, finds no network any more.
Supervisor::~Supervisor() {
  for (const auto& [name, link] : links_) {
    link->detach([] {});
  }
}

const std::shared_ptr<OverlayLink>& Supervisor::link(const std::string& name) {
  auto& link = links_[name];
  if (link == nullptr) {
    link = std::make_shared<OverlayLink>(name, around_.control, around_.loops);
  }
  return link;
}

void Supervisor::add_overlay(const std::string& name, overlay::Network& network) {
  link(name)->attach(network);
  network.on_change([this, name, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) {
      overlay_changed(name);
    }
  });
  overlay_changed(name);
}

void Supervisor::remove_overlay(const std::string& name, std::move_only_function<void()> done) {
  const auto& removed = link(name);
  removed->detach(std::move(done));
  overlay_changed(name);
}

void Supervisor::overlay_changed(const std::string& name) {
  for (const auto& [tunnel, runner] : runners_) {
    if (runner->link().name() == name && !draining_) {
      runner->overlay_changed();
    }
  }
}

absl::Status Supervisor::choose_overlay(Tunnel& tunnel) const {
  const std::string& wanted = overlay_of(tunnel.spec);
  std::vector<std::string> names;
  for (const auto& [name, link] : links_) {
    if (link->network() != nullptr || left_.contains(name)) {
      names.push_back(name);
    }
  }
  const auto has = [&](std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  const auto being_left = [&](std::string_view name) {
    return absl::UnavailableError(field_of(tunnel, "overlay")
                                      .append("overlay \"")
                                      .append(name)
                                      .append("\" is being left; try again"));
  };
  if (left_.contains(wanted)) {
    return being_left(wanted);
  }
  if (!wanted.empty()) {
    return has(wanted) ? absl::OkStatus()
                       : absl::FailedPreconditionError(field_of(tunnel, "overlay") +
                                                       "this agent has no overlay \"" + wanted +
                                                       "\"; join it under that name first");
  }
  if (names.empty()) {
    return absl::FailedPreconditionError(field_of(tunnel, "overlay") +
                                         "this agent has no overlay; join one first");
  }
  if (names.size() > 1 && !has(kDefaultOverlay)) {
    std::string list;
    for (const std::string& name : names) {
      list.append(list.empty() ? "" : ", ").append(name);
    }
    return absl::InvalidArgumentError(field_of(tunnel, "overlay") +
                                      "say which, this agent has several: " + list);
  }
  const std::string chosen = names.size() == 1 ? names.front() : std::string(kDefaultOverlay);
  if (left_.contains(chosen)) {
    return being_left(chosen);
  }
  set_overlay(tunnel.spec, chosen);
  return absl::OkStatus();
}

absl::Status Supervisor::check_service(const Tunnel& tunnel) const {
  const std::string* const service = service_of(tunnel.spec);
  const auto& link = links_.find(overlay_of(tunnel.spec))->second;
  return service == nullptr || link->network()->allows_service(*service)
             ? absl::OkStatus()
             : absl::InvalidArgumentError(field_of(tunnel, "service") +
                                          tunnel::quoted(*service).append(kLabelRule));
}

absl::Status Supervisor::check_rank(const Tunnel& tunnel) const {
  const auto* const share = std::get_if<Share>(&tunnel.spec);
  if (share == nullptr || share->rank == overlay::Rank{}) {
    return absl::OkStatus();
  }
  const overlay::Network& network = *links_.find(share->overlay)->second->network();
  return network.ranks_hosts()
             ? absl::OkStatus()
             : absl::InvalidArgumentError(
                   field_of(tunnel, "ziti")
                       .append("overlay \"")
                       .append(share->overlay)
                       .append("\" is of the kind ")
                       .append(network.kind())
                       .append(", where a service has one host; cost and precedence are for "
                               "networks of OpenZiti, leave them out"));
}

absl::Status Supervisor::bind(Tunnel& tunnel) {
  std::string* const listen = listen_of(tunnel.spec);
  if (listen == nullptr) {
    return absl::OkStatus();
  }
  const std::string field = field_of(tunnel, "listen");
  auto endpoint = net::parse_endpoint(*listen);
  if (!endpoint) {
    return absl::InvalidArgumentError(field + "is not address:port");
  }
  // A tunnel whose port is busy now waits for it: nobody else here may take it meanwhile.
  for (const auto& [name, runner] : runners_) {
    const std::string* const other = listen_of(runner->tunnel().spec);
    if (other != nullptr && *other == *listen) {
      std::string taken = field;
      taken.append("the tunnel \"").append(name).append("\" has ").append(*listen);
      return absl::FailedPreconditionError(taken.append("; choose another port"));
    }
  }
  auto bound = net::listen_tcp(around_.control, *endpoint);
  if (!bound) {
    return absl::FailedPreconditionError(field + bind_problem(*listen, bound.error()));
  }
  endpoint->port = (*bound)->bound().port();
  *listen = net::to_string(*endpoint);
  prepared_[tunnel.uid] = std::move(*bound);
  return absl::OkStatus();
}

absl::Status Supervisor::prepare(Tunnel& tunnel) {
  if (draining_) {
    return absl::UnavailableError("this agent is shutting down");
  }
  auto status = choose_overlay(tunnel);
  if (status.ok()) {
    status = check_service(tunnel);
  }
  if (status.ok()) {
    status = check_rank(tunnel);
  }
  return status.ok() ? bind(tunnel) : status;
}

void Supervisor::abandon(const Tunnel& tunnel) { prepared_.erase(tunnel.uid); }

void Supervisor::start(TunnelPtr tunnel) {
  const std::string name = tunnel->name;
  auto prepared = prepared_.extract(tunnel->uid);
  if (draining_) {
    return;  // it is stored, and starts with the agent's next start
  }
  const auto& overlay = link(overlay_of(tunnel->spec));
  std::unique_ptr<Runner> runner =
      std::holds_alternative<Share>(tunnel->spec)
          ? make_share_runner(around_, std::move(tunnel), overlay)
          : make_entry_runner(around_, std::move(tunnel), overlay,
                              prepared ? std::move(prepared.mapped()) : nullptr);
  Runner& started = *runner;
  started.on_change = [this, name] { changed(name); };
  started.on_finished = [this, alive = std::weak_ptr(alive_)] {
    // Later: the runner is the caller.
    around_.control.post([this, alive] {
      if (!alive.expired()) {
        reap();
      }
    });
  };
  runners_[name] = std::move(runner);
  started.start();
}

void Supervisor::stop(const Tunnel& tunnel, std::chrono::seconds drain,
                      std::move_only_function<void()> released) {
  auto found = runners_.extract(tunnel.name);
  if (!found) {
    return released();
  }
  Leaving& leaving = leaving_.emplace_back(std::move(found.mapped()), around_.control);
  leaving.runner->drain(std::move(released));
  leaving.cut.arm(around_.control.now() + drain, [&runner = *leaving.runner] { runner.cut(); });
  changed(tunnel.name);
}

std::optional<Status> Supervisor::status(std::string_view name) const {
  const auto found = runners_.find(name);
  return found != runners_.end() ? std::optional(found->second->status()) : std::nullopt;
}

namespace {

net::awaitable<void> run_check(CheckSubject subject, CheckOptions options,
                               overlay::CheckReport report, std::move_only_function<void()> done) {
  co_await check_tunnel(std::move(subject), std::move(options), std::move(report));
  done();
}

}  // namespace

absl::Status Supervisor::check(std::string_view name, CheckOptions options,
                               overlay::CheckReport report, std::move_only_function<void()> done) {
  const auto found = runners_.find(name);
  if (found == runners_.end()) {
    return absl::NotFoundError("name: there is no tunnel called \"" + std::string(name) + "\"");
  }
  CheckSubject subject = found->second->check_subject();
  subject.status = [this, alive = std::weak_ptr(alive_), of = std::string(name)] {
    const auto known = alive.expired() ? std::nullopt : status(of);
    return known ? *known : Status{};
  };
  net::spawn(around_.control, "check of a tunnel",
             run_check(std::move(subject), std::move(options), std::move(report), std::move(done)));
  return absl::OkStatus();
}

void Supervisor::on_change(std::function<void(const std::string& name)> changed) {
  on_change_ = std::move(changed);
}

void Supervisor::changed(const std::string& name) {
  if (!on_change_ || !changed_.insert(name).second || changed_.size() > 1) {
    return;  // a post is under way
  }
  around_.control.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) {
      return;
    }
    for (const std::string& tunnel : std::exchange(changed_, {})) {
      if (on_change_) {
        on_change_(tunnel);
      }
    }
  });
}

void Supervisor::drain_all(std::chrono::milliseconds limit, std::move_only_function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  prepared_.clear();
  for (const auto& [name, link] : links_) {
    if (link->network() != nullptr) {
      link->network()->process_ends();
    }
  }
  for (const auto& [name, runner] : runners_) {
    runner->drain([] {});
  }
  cut_all_.arm(around_.control.now() + limit, [this] {
    for (const auto& [name, runner] : runners_) {
      runner->cut();
    }
    for (const Leaving& leaving : leaving_) {
      leaving.runner->cut();
    }
    cut_all_.arm(around_.control.now() + kCutTime, [this] { finish_drain(); });
  });
  around_.control.post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) {
      reap();
    }
  });
}

void Supervisor::reap() {
  std::erase_if(leaving_, [](const Leaving& leaving) { return leaving.runner->finished(); });
  if (draining_ && leaving_.empty() &&
      std::ranges::all_of(runners_, [](const auto& each) { return each.second->finished(); })) {
    finish_drain();
  }
}

void Supervisor::finish_drain() {
  cut_all_.cancel();
  if (auto done = std::exchange(drained_, {})) {
    done();
  }
}

}  // namespace simplon::tunnel
