#include "agent/check_stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/calls.hpp"

namespace simplon::agent {

std::shared_ptr<CheckStream> CheckStream::make() {
  std::shared_ptr<CheckStream> out(new CheckStream());
  out->self_ = out;
  return out;
}

bool CheckStream::write(v1::CheckResult result) {
  const std::scoped_lock lock(mutex_);
  if (gone_ || end_) {
    return false;
  }
  queue_.push_back(std::move(result));
  proceed();
  return true;
}

void CheckStream::finish(const absl::Status& status) {
  const std::scoped_lock lock(mutex_);
  if (!end_) {
    end_ = to_grpc(status);
    proceed();
  }
}

// With the lock. gRPC calls nothing of ours from within.
void CheckStream::proceed() {
  if (writing_ || finished_) {
    return;
  }
  if (!queue_.empty() && !gone_) {
    writing_ = true;
    StartWrite(&queue_.front());
  } else if (end_) {
    finished_ = true;
    Finish(*end_);
  }
}

void CheckStream::OnWriteDone(bool ok) {
  const std::scoped_lock lock(mutex_);
  writing_ = false;
  queue_.pop_front();
  gone_ = gone_ || !ok;
  proceed();
}

// Not later than now: a server that shuts down waits for it.
void CheckStream::OnCancel() {
  const std::scoped_lock lock(mutex_);
  gone_ = true;
  if (!end_) {
    end_ = grpc::Status::CANCELLED;
  }
  proceed();
}

void CheckStream::OnDone() {
  // Maybe the last owner: not with the lock.
  const auto last = std::move(self_);
  const std::scoped_lock lock(mutex_);
  gone_ = true;
}

CheckReply::~CheckReply() {
  if (stream_ != nullptr) {
    stream_->finish(absl::UnavailableError("this agent is shutting down"));
  }
}

overlay::CheckReport CheckReply::report() const {
  return [stream = stream_](const overlay::CheckStep& step) {
    return stream->write(to_message(step));
  };
}

void CheckReply::operator()(const absl::Status& status) {
  if (const auto stream = std::exchange(stream_, nullptr)) {
    stream->finish(status);
  }
}

v1::CheckResult to_message(const overlay::CheckStep& step) {
  using State = overlay::CheckStep::State;
  v1::CheckResult out;
  out.set_hop(step.hop);
  out.set_state(step.state == State::failed   ? v1::CheckResult::STATE_FAILED
                : step.state == State::warned ? v1::CheckResult::STATE_WARNED
                                              : v1::CheckResult::STATE_PASSED);
  if (step.latency) {
    const auto latency = std::chrono::ceil<std::chrono::microseconds>(*step.latency).count();
    out.set_latency_microseconds(static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency)));
  }
  out.set_message(step.message);
  out.set_advice(step.advice);
  out.set_connection_id(step.connection_id);
  return out;
}

}  // namespace simplon::agent
