// Tries what is between this host and the hub of an embedded network: the identity, and the hub's
// addresses with TLS.
//
// Threads: the control loop.
#pragma once

#include "net/async.hpp"
#include "overlay/check.hpp"
#include "overlay/embedded/identity.hpp"

namespace simplon::overlay {

net::awaitable<void> check_member(net::Loop* loop, IdentityFile identity, CheckReport report);

}  // namespace simplon::overlay
