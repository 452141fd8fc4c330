// A connection that somebody opened to a service of ours on OpenZiti, as the handler of a listener
// gets it.
//
// The host's answer is the connection's beginning: stream() can be had before accept(), but moves
// nothing until then. What is not answered within kAnswerWithin is rejected, because the router
// waits 5 s and the dialer learns no reason then. Threads: the loop of the channel that brought it.
#pragma once

#include <chrono>
#include <memory>

#include "overlay/network.hpp"
#include "overlay/ziti/channel.hpp"

namespace simplon::overlay::ziti {

inline constexpr std::chrono::milliseconds kAnswerWithin{4200};

/// `unsaid`: what the stream is for when the dialer is another program, which does not say it.
std::unique_ptr<Inbound> make_inbound(std::unique_ptr<IncomingDial> dial, StreamKind unsaid);

}  // namespace simplon::overlay::ziti
