#include "ctl/test/overlay_door.hpp"

#include <iostream>
#include <utility>

namespace simplon::ctl {
namespace {

using overlay::LinkState;

// Waits until `source`, a network or a listener, is up; false when the deadline came first.
template <class Source>
net::awaitable<bool> up(net::Loop& loop, Source& source, net::TimePoint deadline) {
  const auto changed = std::make_shared<std::shared_ptr<net::Gate>>();
  source.on_change([changed] {
    if (*changed) {
      (*changed)->open();
    }
  });
  bool in_time = true;
  while (in_time && source.status().state != LinkState::up) {
    const auto gate = *changed = std::make_shared<net::Gate>(loop);
    in_time = co_await gate->wait_until(deadline);
  }
  source.on_change([] {});
  co_return source.status().state == LinkState::up;
}

bool is_embedded(const overlay::Membership& membership) {
  return overlay::kind_of(membership) == "embedded";
}

std::string why(const overlay::LinkStatus& status) {
  return status.last_error.empty() ? std::string(overlay::to_string(status.state))
                                   : status.last_error;
}

}  // namespace

Answer<overlay::Membership> read_identity(const std::string& file) {
  auto identity = overlay::load_membership(file);
  if (identity.ok()) {
    return *std::move(identity);
  }
  const std::string what = "--identity: " + std::string(identity.status().message());
  switch (identity.status().code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
      return trouble(Exit::usage, what,
                     "make one for a hub's network with: simplonctl identity create NAME --out "
                     "FILE; for OpenZiti it is what enrolling writes");
    default:
      return trouble(absl::IsPermissionDenied(identity.status()) ? Exit::failed : Exit::usage,
                     what);
  }
}

std::string place_advice(const overlay::Membership& membership) {
  return is_embedded(membership)
             ? "does the hub run, and is it reachable from here under an address in the identity "
               "file?"
             : "is the controller reachable from here under the address in the identity file, and "
               "does it know this identity?";
}

std::string place_of(const overlay::Membership& membership) {
  const std::string_view kind = overlay::kind_of(membership);
  std::string out = kind == "embedded" ? "hub " : kind == "zrok" ? "zrok " : "controller ";
  for (std::string_view between; const auto& address : overlay::addresses_of(membership)) {
    out.append(between).append(address);
    between = ", ";
  }
  return out;
}

net::awaitable<std::expected<NetworkPtr, std::string>> enter(net::Loop& loop,
                                                             overlay::Membership membership,
                                                             net::TimePoint deadline) {
  const std::string place = place_of(membership);
  auto entrance = overlay::enter(loop, std::move(membership), {&loop}, /*budget=*/nullptr);
  if (!entrance.ok()) {
    co_return std::unexpected(std::string(entrance.status().message()));
  }
  const NetworkPtr shared = std::move(entrance->network);
  if (!co_await up(loop, *shared, deadline)) {
    const auto status = shared->status();
    co_return std::unexpected(status.last_error.empty() ? place + " does not answer"
                                                        : status.last_error);
  }
  co_return shared;
}

net::awaitable<std::expected<std::shared_ptr<overlay::Listener>, std::string>> host(
    net::Loop& loop, NetworkPtr network, std::string service,
    std::function<void(std::unique_ptr<overlay::Inbound>)> handler, net::TimePoint deadline) {
  auto listener =
      co_await network->listen({.service = service, .allow_frontends = true}, std::move(handler));
  if (!listener) {
    co_return std::unexpected(listener.error().message());
  }
  const std::shared_ptr<overlay::Listener> shared = std::move(*listener);
  if (!co_await up(loop, *shared, deadline)) {
    co_return std::unexpected(why(shared->status()));
  }
  shared->on_change([source = std::weak_ptr(shared), service, lost = false]() mutable {
    const auto still = source.lock();
    if (!still) {
      return;
    }
    const auto status = still->status();
    const bool now_lost = status.state != LinkState::up;
    if (now_lost && !lost) {
      std::cerr << "service " << service << " is not on the overlay now (" << why(status)
                << "); trying again\n";
    } else if (!now_lost && lost) {
      std::cerr << "service " << service << " is on the overlay again\n";
    }
    lost = now_lost;
  });
  co_return shared;
}

net::awaitable<std::expected<overlay::Dialed, base::Failure>> dial(net::Loop& loop,
                                                                   NetworkPtr network,
                                                                   std::string service,
                                                                   std::string id,
                                                                   net::TimePoint deadline) {
  overlay::DialOptions options;
  options.service = std::move(service);
  options.connection_id = std::move(id);
  options.deadline = deadline;
  auto dialed = co_await network->dial(loop, std::move(options));
  if (!dialed) {
    co_return std::unexpected(dialed.error().failure);
  }
  if (co_await dialed->status->decided(loop, deadline) != overlay::OpenStatus::State::accepted) {
    dialed->stream->reset();
    co_return std::unexpected(dialed->status->refusal().failure);
  }
  co_return std::move(*dialed);
}

}  // namespace simplon::ctl
