// The test endpoint: an HTTP server that shows what arrives and misbehaves on request.
//
// One object serves all connections of one loop.
#pragma once

#include <functional>
#include <string_view>

#include "http/server.hpp"

namespace simplon::ctl {

class Endpoint final : public http::Handler {
 public:
  /// `seen` is told the method and target of each request when its head has arrived.
  using Seen = std::function<void(std::string_view method, std::string_view target)>;
  explicit Endpoint(net::Loop& loop, Seen seen = {}) : loop_(loop), seen_(std::move(seen)) {}

  net::awaitable<void> handle(http::Request& request, http::Responder& responder) override;

 private:
  net::Loop& loop_;
  Seen seen_;
};

/// What it serves, a line a path.
extern const char kEndpointPaths[];

}  // namespace simplon::ctl
