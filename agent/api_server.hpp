// The in-process gRPC server of one role: no port of its own, a door hands it connected sockets.
// Serves the given services, grpc.health.v1 and reflection.
//
// One server per role: gRPC tells a method nothing by which it could know the door's caller (the
// peer of a handed-over socket is "fd:N", and numbers are reused), so all callers of one server
// have one principal.
// Threads: any. gRPC's own threads call the services.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include "net/socket.hpp"

namespace simplon::agent {

/// Requests are small: a tunnel, a token, a certificate request.
inline constexpr int kMaxRequestBytes = 256 * 1024;

class ApiServer {
 public:
  explicit ApiServer(std::vector<std::unique_ptr<grpc::Service>> services);
  /// Waits for calls that the services have not answered.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// Non-blocking and close-on-exec.
  void take(net::Fd socket);
  /// What grpc.health.v1 says, of the server and each service; true from the start.
  void set_serving(bool serving);
  /// No new calls; those under way get `patience`, then they are cancelled.
  void shut_down(std::chrono::milliseconds patience);

 private:
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace simplon::agent
