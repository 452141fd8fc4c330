// Which upgrades pass (RFC 9110 §7.8, RFC 6455 §4): websocket and nothing else. An `Upgrade: h2c`
// that travelled on would carry requests past every policy of ours.
#pragma once

#include "http/head.hpp"

namespace simplon::http {

/// A GET of HTTP/1.1 whose Connection lists `upgrade` and whose Upgrade lists `websocket`.
bool wants_websocket(const RequestHead& head);

/// A 101 that switches to websocket and to that only.
bool switches_to_websocket(const ResponseHead& head);

}  // namespace simplon::http
