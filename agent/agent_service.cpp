#include "agent/agent_service.hpp"

#include <algorithm>

#include <unistd.h>

#include "agent/overlay_message.hpp"
#include "agent/page.hpp"
#include "agent/tunnel_message.hpp"
#include "base/log.hpp"
#include "base/version.hpp"
#include "simplon/v1/agent.grpc.pb.h"

namespace simplon::agent {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

v1::Tunnel describe(Agent& agent, const tunnel::Tunnel& tunnel) {
  const auto status = agent.supervisor().status(tunnel.name);
  return to_message(tunnel, status ? &*status : nullptr);
}

void describe_hub(const overlay::Hub& hub, const Options& options, v1::HubInfo& out) {
  out.set_listen(net::to_string(hub.bound()));
  if (!options.hub_advertise.empty()) {
    const auto addresses = hub.addresses();
    out.mutable_advertise()->Assign(addresses.begin(), addresses.end());
  }
  const overlay::HubStats stats = hub.stats();
  out.set_members_online(stats.members_online);
  out.set_refused_connections(stats.refused_connections);
  out.set_loopback_only(hub.loopback_only());
}

void describe(Agent& agent, v1::AgentInfo& out) {
  out.set_name(agent.overlays().agent_name());
  out.set_version(base::version());
  out.set_pid(::getpid());
  out.set_state_dir(agent.options().paths.state_dir);
  write_time(agent.started(), *out.mutable_start_time());
  if (const auto hub = agent.overlays().hub(); hub.ok()) {
    describe_hub(**hub, agent.options(), *out.mutable_hub());
  }
  for (const OverlayInfo& info : agent.overlays().list()) {
    *out.add_overlays() = to_message(info);
  }
  out.set_tunnels(static_cast<std::uint32_t>(agent.registry().snapshot()->size()));
  out.set_log_level(std::string(base::log_level()));
  out.set_draining(agent.draining());
}

absl::Status not_found(const std::string& name) {
  return name.empty() ? absl::InvalidArgumentError("name: is empty")
                      : absl::NotFoundError("name: there is no tunnel called \"" +
                                            name.substr(0, 80) + "\"");
}

constexpr std::size_t kMaxCheckedPath = 2048;
// At once: each holds some connections of its own.
constexpr int kMaxChecks = 16;

// A check that runs: counted, and answered when it is done. On the control loop.
class RunningCheck {
 public:
  RunningCheck(std::shared_ptr<int> count, CheckReply reply)
      : count_(std::move(count)), reply_(std::move(reply)) {
    ++*count_;
  }
  ~RunningCheck() { --*count_; }
  RunningCheck(const RunningCheck&) = delete;
  RunningCheck& operator=(const RunningCheck&) = delete;
  void end(const absl::Status& status) { reply_(status); }

 private:
  const std::shared_ptr<int> count_;
  CheckReply reply_;
};

// `begin(report, done)`: what it returns is the answer where the check does not begin.
template <class Begin>
void run_check(std::shared_ptr<int> count, CheckReply reply, const Begin& begin) {
  if (*count >= kMaxChecks) {
    return reply(absl::ResourceExhaustedError("16 checks are under way; try again soon"));
  }
  auto report = reply.report();
  const auto running = std::make_shared<RunningCheck>(std::move(count), std::move(reply));
  const absl::Status begun =
      begin(std::move(report), [running] { running->end(absl::OkStatus()); });
  if (!begun.ok()) {
    running->end(begun);
  }
}

// It goes into a request's head.
absl::StatusOr<tunnel::CheckOptions> read_options(const v1::CheckTunnelRequest& request) {
  tunnel::CheckOptions out{.websocket = request.websocket(), .service = request.service()};
  if (!request.path().empty()) {
    out.path = request.path();
  }
  const auto visible = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
  if (!out.path.starts_with('/') || out.path.size() > kMaxCheckedPath ||
      !std::ranges::all_of(out.path, visible)) {
    return absl::InvalidArgumentError(
        "path: is not a \"/\" and at most 2,047 visible characters behind it");
  }
  if (!out.service.empty() && !overlay::valid_service_name(out.service)) {
    return absl::InvalidArgumentError("service: is no name that a frontend serves");
  }
  return out;
}

class AgentService final : public v1::Agent::CallbackService {
 public:
  explicit AgentService(Calls calls) : calls_(std::move(calls)) {}

  Reactor* CreateTunnel(Context* context, const v1::CreateTunnelRequest* request,
                        v1::Tunnel* out) override {
    return calls_.run(
        context, "simplon.v1.Agent/CreateTunnel", [request, out](Agent& agent, Reply reply) {
          auto wanted = from_message(request->tunnel());
          if (!wanted.ok()) {
            return reply(wanted.status());
          }
          agent.registry().create(std::move(*wanted), request->request_id(),
                                  [out, &agent, reply = std::move(reply)](
                                      const absl::StatusOr<tunnel::TunnelPtr>& made) mutable {
                                    if (made.ok()) {
                                      *out = describe(agent, **made);
                                    }
                                    reply(made.status());
                                  });
        });
  }

  Reactor* GetTunnel(Context* context, const v1::GetTunnelRequest* request,
                     v1::Tunnel* out) override {
    return calls_.run(context, "simplon.v1.Agent/GetTunnel",
                      [request, out](Agent& agent, Reply reply) {
                        const auto found = agent.registry().find(request->name());
                        if (found == nullptr) {
                          return reply(not_found(request->name()));
                        }
                        *out = describe(agent, *found);
                        reply(absl::OkStatus());
                      });
  }

  Reactor* ListTunnels(Context* context, const v1::ListTunnelsRequest* request,
                       v1::ListTunnelsResponse* out) override {
    return calls_.run(
        context, "simplon.v1.Agent/ListTunnels", [request, out](Agent& agent, Reply reply) {
          const auto page =
              page_of(agent.registry().snapshot(), request->page_size(), request->page_token());
          if (page.ok()) {
            for (const auto& tunnel : page->tunnels) {
              *out->add_tunnels() = describe(agent, *tunnel);
            }
            out->set_next_page_token(page->next);
          }
          reply(page.status());
        });
  }

  Reactor* DeleteTunnel(Context* context, const v1::DeleteTunnelRequest* request,
                        v1::DeleteTunnelResponse*) override {
    return calls_.run(
        context, "simplon.v1.Agent/DeleteTunnel", [request](Agent& agent, Reply reply) {
          if (request->name().empty()) {
            return reply(not_found(request->name()));
          }
          const std::chrono::seconds drain(request->drain_seconds());
          if (drain > kMaxDrain) {
            return reply(absl::InvalidArgumentError("drain_seconds: is more than a day"));
          }
          agent.registry().remove(
              request->name(), drain.count() == 0 ? agent.options().drain : drain,
              [reply = std::move(reply)](const absl::Status& status) mutable { reply(status); });
        });
  }

  Reactor* GetAgent(Context* context, const v1::GetAgentRequest*, v1::AgentInfo* out) override {
    return calls_.run(context, "simplon.v1.Agent/GetAgent", [out](Agent& agent, Reply reply) {
      describe(agent, *out);
      reply(absl::OkStatus());
    });
  }

  Reactor* JoinOverlay(Context* context, const v1::JoinOverlayRequest* request,
                       v1::Overlay* out) override {
    return calls_.run(
        context, "simplon.v1.Agent/JoinOverlay", [request, out](Agent& agent, Reply reply) {
          agent.overlays().join(
              request->token(), request->name(), request->replace(),
              [out, reply = std::move(reply)](const absl::StatusOr<OverlayInfo>& joined) mutable {
                if (joined.ok()) {
                  *out = to_message(*joined);
                }
                reply(joined.status());
              });
        });
  }

  // Of what the request holds nothing is logged.
  Reactor* AddOverlay(Context* context, const v1::AddOverlayRequest* request,
                      v1::Overlay* out) override {
    return calls_.run(
        context, "simplon.v1.Agent/AddOverlay", [request, out](Agent& agent, Reply reply) {
          auto source = from_message(*request);
          if (!source.ok()) {
            return reply(source.status());
          }
          agent.overlays().add(
              std::move(*source), request->name(), request->replace(),
              [out, reply = std::move(reply)](const absl::StatusOr<OverlayInfo>& added) mutable {
                if (added.ok()) {
                  *out = to_message(*added);
                }
                reply(added.status());
              });
        });
  }

  Reactor* ListOverlays(Context* context, const v1::ListOverlaysRequest*,
                        v1::ListOverlaysResponse* out) override {
    return calls_.run(context, "simplon.v1.Agent/ListOverlays", [out](Agent& agent, Reply reply) {
      for (const OverlayInfo& info : agent.overlays().list()) {
        *out->add_overlays() = to_message(info);
      }
      reply(absl::OkStatus());
    });
  }

  Reactor* RemoveOverlay(Context* context, const v1::RemoveOverlayRequest* request,
                         v1::RemoveOverlayResponse*) override {
    return calls_.run(
        context, "simplon.v1.Agent/RemoveOverlay", [request](Agent& agent, Reply reply) {
          agent.overlays().remove(
              request->name(), request->force(),
              [reply = std::move(reply)](const absl::Status& status) mutable { reply(status); });
        });
  }

  Reactor* SetLogLevel(Context* context, const v1::SetLogLevelRequest* request,
                       v1::SetLogLevelResponse* out) override {
    return calls_.run(context, "simplon.v1.Agent/SetLogLevel", [request, out](Agent&, Reply reply) {
      const std::string previous(base::log_level());
      if (!base::set_log_level(request->level())) {
        return reply(
            absl::InvalidArgumentError("level: is none of trace, debug, info, warn, error, off"));
      }
      out->set_previous(previous);
      reply(absl::OkStatus());
    });
  }

  grpc::ServerWriteReactor<v1::CheckResult>* CheckTunnel(
      Context*, const v1::CheckTunnelRequest* request) override {
    return calls_.check("simplon.v1.Agent/CheckTunnel", [count = checks_, request = *request](
                                                            Agent& agent, CheckReply reply) {
      auto options = read_options(request);
      if (!options.ok()) {
        return reply(options.status());
      }
      if (agent.registry().find(request.name()) == nullptr) {
        return reply(not_found(request.name()));
      }
      run_check(count, std::move(reply), [&](overlay::CheckReport report, auto done) {
        return agent.supervisor().check(request.name(), *std::move(options), std::move(report),
                                        std::move(done));
      });
    });
  }

  grpc::ServerWriteReactor<v1::CheckResult>* CheckOverlay(
      Context*, const v1::CheckOverlayRequest* request) override {
    return calls_.check("simplon.v1.Agent/CheckOverlay", [count = checks_, name = request->name()](
                                                             Agent& agent, CheckReply reply) {
      run_check(count, std::move(reply), [&](overlay::CheckReport report, auto done) {
        return agent.overlays().check(name, std::move(report), std::move(done));
      });
    });
  }

 private:
  const Calls calls_;
  const std::shared_ptr<int> checks_ = std::make_shared<int>(0);  // under way; control loop
};

}  // namespace

std::unique_ptr<grpc::Service> make_agent_service(Calls calls) {
  return std::make_unique<AgentService>(std::move(calls));
}

}  // namespace simplon::agent
