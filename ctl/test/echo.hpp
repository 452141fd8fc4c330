// The server's side of the websocket test: sends every message back as it came.
//
// Cancellation: the coroutine may be destroyed at any point; its stream is reset then.
#pragma once

#include "http/server.hpp"

namespace simplon::ctl {

/// Answers a request that wants_upgrade(), and echoes until the client closes, breaks the protocol,
/// or sends a message longer than kMaxMessage.
net::awaitable<void> echo_websocket(net::Loop& loop, http::Request& request,
                                    http::Responder& responder);

}  // namespace simplon::ctl
