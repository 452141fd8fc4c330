#include "agent/daemon.hpp"

#include <thread>
#include <utility>
#include <vector>

#include "agent/agent_service.hpp"
#include "agent/hub_service.hpp"
#include "agent/on_loop.hpp"

namespace simplon::agent {

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::start(const Options& options) {
  auto state = StateDir::open(options.paths.state_dir, options.agent_name);
  if (!state.ok()) {
    return state.status();
  }
  std::unique_ptr<Daemon> out(new Daemon(options, std::move(*state)));
  if (auto status = out->open(); !status.ok()) {
    return status;
  }
  return out;
}

Daemon::Daemon(const Options& options, StateDir state)
    : options_(options),
      state_(std::move(state)),
      data_threads_(std::thread::hardware_concurrency()) {}

absl::Status Daemon::open() {
  std::vector<net::Loop*> loops;
  loops.reserve(data_threads_.size());
  for (std::size_t i = 0; i < data_threads_.size(); ++i) {
    loops.push_back(&data_threads_[i]);
  }
  auto opened = on_loop(control_, [&]() -> absl::Status {
    // The socket first: another agent behind it is the better reason not to start.
    auto socket = ControlSocket::open(control_, options_.paths.socket);
    if (!socket.ok()) {
      return socket.status();
    }
    socket_ = std::move(*socket);
    auto agent = Agent::open(control_, loops, options_, state_);
    if (agent.ok()) {
      agent_ = std::move(*agent);
    }
    return agent.status();
  });
  if (!opened.ok()) {
    return opened;
  }
  reference_ = std::make_shared<AgentReference>(AgentReference{control_.poster(), agent_.get()});
  const Calls calls(reference_, {.door = Door::unix_socket, .role = Role::admin});
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(make_agent_service(calls));
  services.push_back(make_hub_service(calls));
  server_.emplace(std::move(services));
  on_loop(control_, [this] {
    socket_->start([this](net::Fd client, Principal) { server_->take(std::move(client)); });
  });
  return absl::OkStatus();
}

Daemon::~Daemon() {
  on_loop(control_, [this] {
    socket_.reset();
    if (reference_ != nullptr) {
      reference_->agent = nullptr;
    }
    agent_.reset();
  });
  // What the agent's parts left to do on their loops comes before these.
  for (std::size_t i = 0; i < data_threads_.size(); ++i) {
    on_loop(data_threads_[i], [] {});
  }
  if (server_) {
    server_->shut_down(kCallPatience);
  }
}

std::string Daemon::ready_line() {
  return on_loop(control_, [this] {
    const auto hub = agent_->overlays().hub();
    return "simplon-agent " + agent_->overlays().agent_name() + " ready: socket " +
           options_.paths.socket + ", " +
           (hub.ok() ? "hub " + net::to_string((*hub)->bound()) : std::string("no hub"));
  });
}

std::future<void> Daemon::drain(std::chrono::milliseconds limit) {
  server_->set_serving(false);
  std::promise<void> drained;
  auto out = drained.get_future();
  on_loop(control_, [&] {
    agent_->drain(limit, [drained = std::move(drained)]() mutable { drained.set_value(); });
  });
  return out;
}

}  // namespace simplon::agent
