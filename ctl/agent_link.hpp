// The connection to an agent over its control socket: finds the socket, makes calls with a
// deadline, and turns what goes wrong into a Trouble.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "ctl/cli.hpp"
#include "ctl/outcome.hpp"
#include "simplon/v1/agent.grpc.pb.h"
#include "simplon/v1/hub.grpc.pb.h"

namespace simplon::ctl {

/// How long one call may take; an agent answers from memory or after one disk write.
inline constexpr std::chrono::seconds kCallTimeout{10};

/// The exit code and the advice for a failed call. `socket_answers`: the agent's socket still takes
/// connections, so an UNAVAILABLE comes from the agent itself. `start`: the command that starts it.
Trouble trouble_of(const grpc::Status& status, const std::string& socket, bool socket_answers,
                   const std::string& start);

class AgentLink {
 public:
  /// The first socket of base::control_sockets that answers. Exit::unreachable if none does.
  static Answer<AgentLink> open(const Context& context);

  const std::string& socket() const { return socket_; }

  /// One call, for example call(&v1::Agent::Stub::GetTunnel, request).
  template <class Stub, class Request, class Response>
  Answer<Response> call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        const Request& request, std::chrono::milliseconds timeout = kCallTimeout) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    Response response;
    const grpc::Status status =
        (stub(static_cast<Stub*>(nullptr))->*method)(&context, request, &response);
    if (!status.ok()) {
      return std::unexpected(failed(status));
    }
    return response;
  }

  /// A call whose answers are a stream; `take` gets each as it comes.
  template <class Request, class Response>
  Answer<void> stream(std::unique_ptr<grpc::ClientReader<Response>> (v1::Agent::Stub::*method)(
                          grpc::ClientContext*, const Request&),
                      const Request& request, std::chrono::milliseconds timeout,
                      const std::function<void(const Response&)>& take) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    const auto reader = (agent_.get()->*method)(&context, request);
    Response response;
    while (reader->Read(&response)) {
      take(response);
    }
    const grpc::Status status = reader->Finish();
    if (!status.ok()) {
      return std::unexpected(failed(status));
    }
    return {};
  }

 private:
  AgentLink(std::string socket, std::string start, const std::shared_ptr<grpc::Channel>& channel);
  v1::Agent::Stub* stub(v1::Agent::Stub*) { return agent_.get(); }
  v1::Hub::Stub* stub(v1::Hub::Stub*) { return hub_.get(); }
  Trouble failed(const grpc::Status& status) const;

  std::string socket_;
  std::string start_;
  std::unique_ptr<v1::Agent::Stub> agent_;
  std::unique_ptr<v1::Hub::Stub> hub_;
};

}  // namespace simplon::ctl
