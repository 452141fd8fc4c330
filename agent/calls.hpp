// How a call of the API gets to the agent and back: authorized, posted onto the control loop,
// answered once.
//
// Threads: gRPC's call run(); the work runs on the control loop. A call that nobody answers (the
// agent ends) is UNAVAILABLE, so that no client and no shutdown waits for it.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include "agent/agent.hpp"
#include "agent/authorize.hpp"
#include "agent/check_stream.hpp"
#include "net/loop.hpp"

namespace simplon::agent {

grpc::Status to_grpc(const absl::Status& status);

/// The answer to one call; any thread, once. Request and response messages live until then.
class Reply {
 public:
  explicit Reply(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  ~Reply();
  Reply(Reply&& other) noexcept : reactor_(std::exchange(other.reactor_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;

  void operator()(const absl::Status& status);

 private:
  grpc::ServerUnaryReactor* reactor_;
};

/// The agent as gRPC's threads may hold it. `agent` belongs to the control loop; null: ended.
struct AgentReference {
  net::Loop::Poster control;
  Agent* agent = nullptr;
};

/// The calls of one principal.
class Calls {
 public:
  Calls(std::shared_ptr<AgentReference> reference, Principal principal)
      : reference_(std::move(reference)), principal_(principal) {}

  /// `work(Agent&, Reply)` on the control loop, if the principal may. `method` as in authorize().
  template <class Work>
  grpc::ServerUnaryReactor* run(grpc::CallbackServerContext* context, std::string_view method,
                                Work work) const {
    auto* reactor = context->DefaultReactor();
    Reply reply(reactor);
    if (const auto status = authorize(principal_, method); !status.ok()) {
      reply(status);
      return reactor;
    }
    reference_->control.post(
        [reference = reference_, work = std::move(work), reply = std::move(reply)]() mutable {
          if (reference->agent != nullptr) {
            work(*reference->agent, std::move(reply));
          }
        });
    return reactor;
  }

  /// The same for a check, whose results are a stream: `work(Agent&, CheckReply)`.
  template <class Work>
  grpc::ServerWriteReactor<v1::CheckResult>* check(std::string_view method, Work work) const {
    const auto stream = CheckStream::make();
    CheckReply reply(stream);
    if (const auto status = authorize(principal_, method); !status.ok()) {
      reply(status);
      return stream.get();
    }
    reference_->control.post(
        [reference = reference_, work = std::move(work), reply = std::move(reply)]() mutable {
          if (reference->agent != nullptr) {
            work(*reference->agent, std::move(reply));
          }
        });
    return stream.get();
  }

 private:
  std::shared_ptr<AgentReference> reference_;
  Principal principal_;
};

}  // namespace simplon::agent
