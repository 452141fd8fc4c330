// "test websocket": opens a websocket step by step and says how far it came.
//
// Cancellation: the coroutine may be destroyed at any point; its streams are reset then.
#pragma once

#include <optional>

#include "ctl/outcome.hpp"
#include "ctl/test/websocket_client.hpp"
#include "ctl/test/websocket_url.hpp"
#include "net/async.hpp"
#include "overlay/membership.hpp"

namespace simplon::ctl {

struct WebsocketTest {
  WebsocketUrl url;                               ///< where there is no identity
  std::optional<overlay::Membership> identity{};  ///< then to `service` of its overlay
  std::string service{};
  EchoOptions echo;
  bool json = false;
};

/// Steps resolve, connect, open (where there is TLS or an overlay), handshake, echo, all within
/// `test.echo.timeout`. Prints to standard output.
net::awaitable<Outcome> test_websocket(net::Loop& loop, WebsocketTest test);

}  // namespace simplon::ctl
