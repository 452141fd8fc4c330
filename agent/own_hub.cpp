#include "agent/own_hub.hpp"

#include "agent/hub_address.hpp"
#include "base/log.hpp"

namespace simplon::agent {
namespace {

absl::Status port_taken(const net::Endpoint& endpoint, const HubListen& wanted) {
  return absl::FailedPreconditionError(
      "hub: " + net::to_string(endpoint) + " is in use by another program" +
      (wanted.chosen && wanted.endpoint.port != 0
           ? "; free it or choose another address with --hub-listen"
           : ", and the members of this hub know it by that address; free it, or choose another "
             "with --hub-listen"));
}

std::vector<std::string> with_ports(const std::vector<std::string>& addresses, std::uint16_t port) {
  std::vector<std::string> out;
  for (const std::string& address : addresses) {
    const auto whole = net::parse_endpoint(address);
    out.push_back(whole && whole->port != 0 ? address : address + ":" + std::to_string(port));
  }
  return out;
}

absl::Status listen(overlay::Hub& hub, const HubListen& wanted, KeptAddress& kept) {
  const auto candidates = hub_candidates(wanted, kept.get());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto status = hub.listen(candidates[i]);
    if (status.ok()) {
      if (i > 0) {
        base::log().info("hub: {} is taken; this hub listens on {} from now on",
                         net::to_string(candidates[i - 1]), net::to_string(hub.bound()));
      }
      return kept.set(hub.bound());
    }
    if (!absl::IsAlreadyExists(status)) {
      return absl::FailedPreconditionError("hub: " + std::string(status.message()));
    }
    if (i + 1 == candidates.size() || (kept.get() == candidates[i] && hub.has_members())) {
      return port_taken(candidates[i], wanted);
    }
  }
  return absl::InternalError("hub: no address to listen on");
}

}  // namespace

absl::StatusOr<std::unique_ptr<overlay::Hub>> open_own_hub(
    net::Loop& control, std::vector<net::Loop*> loops, const Options& options,
    const StateDir& state, std::shared_ptr<overlay::MemoryBudget> budget) {
  auto kept = KeptAddress::open(state.database());
  if (!kept.ok()) {
    return kept.status();
  }
  auto hub = overlay::Hub::open(control, {.database = state.database(),
                                          .name = options.agent_name,
                                          .loops = std::move(loops),
                                          .budget = std::move(budget)});
  if (!hub.ok()) {
    return hub.status();
  }
  if (auto status = listen(**hub, options.hub_listen, *kept); !status.ok()) {
    return status;
  }
  (*hub)->advertise(with_ports(options.hub_advertise, (*hub)->bound().port));
  return hub;
}

}  // namespace simplon::agent
