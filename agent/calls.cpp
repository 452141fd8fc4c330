#include "agent/calls.hpp"

#include <string>

namespace simplon::agent {

grpc::Status to_grpc(const absl::Status& status) {
  // The codes are the same by number.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

Reply::~Reply() {
  if (reactor_ != nullptr) {
    (*this)(absl::UnavailableError("this agent is shutting down"));
  }
}

void Reply::operator()(const absl::Status& status) {
  std::exchange(reactor_, nullptr)->Finish(to_grpc(status));
}

}  // namespace simplon::agent
