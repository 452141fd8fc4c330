// Looks after a client that waits for its answer: notices that it is gone, or has ended its
// direction, and keeps what it pipelines meanwhile.
//
// Owned by the exchange. Threads: the inlet's loop. Nobody else may read from the inlet or wait for
// its stream to become readable between start() and stop().
#pragma once

#include <functional>
#include <system_error>
#include <utility>

#include "http/wire.hpp"

namespace simplon::http {

class ClientWatch final : private net::Waiter {
 public:
  /// `changed` is called at most once for each start: without an error when the client ended its
  /// direction (it may still wait for the answer), with one when the connection is lost.
  ClientWatch(Inlet& inlet, std::function<void(std::error_code)> changed)
      : inlet_(inlet), changed_(std::move(changed)) {}
  ~ClientWatch() { stop(); }
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

  void start();
  void stop();

 private:
  void ready(net::Event event, std::error_code error) override;

  Inlet& inlet_;
  std::function<void(std::error_code)> changed_;
  bool waiting_ = false;
};

}  // namespace simplon::http
