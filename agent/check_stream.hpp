// The stream of a check's results: written by the control loop, sent by gRPC.
//
// Ownership: a CheckStream keeps itself until gRPC is done with it, and is shared with the check
// that writes to it. Threads: any; gRPC calls the On… methods from its own.
// Cancellation: once the caller is gone, write() says so, and the check ends. A check that nobody
// finishes (the agent ends) is UNAVAILABLE.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include "overlay/check.hpp"
#include "simplon/v1/agent.pb.h"

namespace simplon::agent {

class CheckStream final : public grpc::ServerWriteReactor<v1::CheckResult> {
 public:
  static std::shared_ptr<CheckStream> make();

  /// False: nobody listens any more.
  bool write(v1::CheckResult result);
  /// After what was written. Only the first one counts.
  void finish(const absl::Status& status);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  CheckStream() = default;
  void proceed();

  std::mutex mutex_;
  std::deque<v1::CheckResult> queue_;  // the first one is being sent while `writing_`
  std::optional<grpc::Status> end_;
  bool writing_ = false;
  bool gone_ = false;      // nobody listens
  bool finished_ = false;  // gRPC has the status
  std::shared_ptr<CheckStream> self_;
};

/// Ends the stream when it is dropped.
class CheckReply {
 public:
  explicit CheckReply(std::shared_ptr<CheckStream> stream) : stream_(std::move(stream)) {}
  ~CheckReply();
  CheckReply(CheckReply&&) noexcept = default;
  CheckReply& operator=(CheckReply&&) = delete;

  overlay::CheckReport report() const;
  void operator()(const absl::Status& status);

 private:
  std::shared_ptr<CheckStream> stream_;
};

v1::CheckResult to_message(const overlay::CheckStep& step);

}  // namespace simplon::agent
