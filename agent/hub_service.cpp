#include "agent/hub_service.hpp"

#include "agent/tunnel_message.hpp"
#include "simplon/v1/hub.grpc.pb.h"

namespace simplon::agent {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

absl::Status invite(overlay::Hub& hub, const v1::CreateInvitationRequest& request,
                    v1::Invitation& out) {
  const std::chrono::seconds lifetime = request.lifetime_seconds() == 0
                                            ? std::chrono::seconds(overlay::kDefaultInvitation)
                                            : std::chrono::seconds(request.lifetime_seconds());
  if (lifetime > overlay::kMaxInvitation) {
    return absl::InvalidArgumentError("lifetime_seconds: is more than 30 days");
  }
  const auto issued = hub.invite(request.name(), request.frontend(), lifetime);
  if (!issued.ok()) {
    return issued.status();
  }
  out.set_name(issued->token.name);
  out.set_token(overlay::encode_token(issued->token));
  write_time(issued->token.expires, *out.mutable_expire_time());
  out.mutable_addresses()->Assign(issued->token.addresses.begin(), issued->token.addresses.end());
  out.set_loopback_only(issued->loopback_only);
  return absl::OkStatus();
}

absl::Status sign(overlay::Hub& hub, const v1::SignIdentityRequest& request,
                  v1::SignedIdentity& out) {
  const auto issued = hub.sign(request.name(), request.certificate_request(), request.frontend());
  if (!issued.ok()) {
    return issued.status();
  }
  out.set_certificate(issued->certificate);
  out.set_trust_bundle(issued->trust_bundle);
  out.mutable_addresses()->Assign(issued->addresses.begin(), issued->addresses.end());
  write_time(issued->expires, *out.mutable_expire_time());
  return absl::OkStatus();
}

class HubService final : public v1::Hub::CallbackService {
 public:
  explicit HubService(Calls calls) : calls_(std::move(calls)) {}

  Reactor* CreateInvitation(Context* context, const v1::CreateInvitationRequest* request,
                            v1::Invitation* out) override {
    return calls_.run(context, "simplon.v1.Hub/CreateInvitation",
                      [request, out](Agent& agent, Reply reply) {
                        const auto hub = agent.overlays().hub();
                        reply(hub.ok() ? invite(**hub, *request, *out) : hub.status());
                      });
  }

  Reactor* SignIdentity(Context* context, const v1::SignIdentityRequest* request,
                        v1::SignedIdentity* out) override {
    return calls_.run(context, "simplon.v1.Hub/SignIdentity",
                      [request, out](Agent& agent, Reply reply) {
                        const auto hub = agent.overlays().hub();
                        reply(hub.ok() ? sign(**hub, *request, *out) : hub.status());
                      });
  }

 private:
  const Calls calls_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_hub_service(Calls calls) {
  return std::make_unique<HubService>(std::move(calls));
}

}  // namespace simplon::agent
