#include "agent/agent.hpp"

#include <utility>

namespace simplon::agent {
absl::StatusOr<std::unique_ptr<Agent>> Agent::open(net::Loop& control,
                                                   std::vector<net::Loop*> loops,
                                                   const Options& options, const StateDir& state) {
  std::unique_ptr<Agent> out(new Agent(control, options));
  auto store = tunnel::Store::open(state.database(), control);
  if (!store.ok()) {
    return store.status();
  }
  out->store_ = std::move(*store);
  out->supervisor_ = std::make_unique<tunnel::Supervisor>(control, loops);
  out->registry_ = std::make_unique<tunnel::Registry>(*out->store_, *out->supervisor_);
  out->overlays_ = std::make_unique<Overlays>(control, std::move(loops), options, state,
                                              *out->supervisor_, *out->registry_);
  // The overlays first, so that the tunnels find them.
  if (auto status = out->overlays_->start(); !status.ok()) {
    return status;
  }
  if (auto status = out->registry_->load(); !status.ok()) {
    return status;
  }
  return out;
}

Agent::~Agent() {
  registry_.reset();
  supervisor_.reset();
  overlays_.reset();
}

void Agent::drain(std::chrono::milliseconds limit, std::move_only_function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  supervisor_->drain_all(limit, [this] { say_farewell(); });
}

void Agent::say_farewell() {
  overlays_->drain_hub();
  const auto hub = overlays_->hub();
  // One member is this agent itself.
  const bool others = hub.ok() && (*hub)->stats().members_online > 1;
  farewell_.arm(control_.now() + (others ? kFarewell : std::chrono::milliseconds(0)), [this] {
    if (auto done = std::exchange(drained_, {})) {
      done();
    }
  });
}

}  // namespace simplon::agent
