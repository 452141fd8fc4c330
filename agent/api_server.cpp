#include "agent/api_server.hpp"

#include <stdexcept>

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_posix.h>

#include "grpc/health/v1/health.pb.h"

namespace simplon::agent {

ApiServer::ApiServer(std::vector<std::unique_ptr<grpc::Service>> services)
    : services_(std::move(services)) {
  // Links the descriptors of the health service, so that reflection knows them.
  (void)grpc::health::v1::HealthCheckRequest::descriptor();
  // Both are process-wide switches that the builder reads.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  for (const auto& service : services_) {
    builder.RegisterService(service.get());
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    throw std::runtime_error("gRPC's server does not start");
  }
}

ApiServer::~ApiServer() { shut_down(std::chrono::milliseconds(0)); }

void ApiServer::take(net::Fd socket) {
  grpc::AddInsecureChannelFromFd(server_.get(), socket.release());
}

void ApiServer::set_serving(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void ApiServer::shut_down(std::chrono::milliseconds patience) {
  server_->Shutdown(std::chrono::system_clock::now() + patience);
}

}  // namespace simplon::agent
