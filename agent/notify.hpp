// Tells systemd how the agent is doing (sd_notify's protocol: one datagram). Any thread.
#pragma once

#include <string_view>

namespace simplon::agent {

/// "READY=1", "STOPPING=1", several lines at once. Nothing happens without NOTIFY_SOCKET.
void notify_systemd(std::string_view state);

}  // namespace simplon::agent
