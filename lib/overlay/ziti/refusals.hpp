// How refusals of an OpenZiti network read: each kind that a router or the controller behind it
// knows has its own sentence and its advice (one table), and what a Simplon host says goes through
// the network as a text that a Simplon dialer understands.
//
// Plain functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "overlay/network.hpp"
#include "overlay/ziti/edge_message.hpp"

namespace simplon::overlay::ziti {

enum class Attempted : std::uint8_t { dial, host };

/// What a person is told. `service` is its name.
base::Failure explain(const EdgeError& error, Attempted attempted, std::string_view service);

/// The same as a dial's end; a refusal by a Simplon host is that host's.
Refusal dial_refusal(const EdgeError& error, std::string_view service);

/// "simplon: target_refused: nothing listens there": what a host's DialFailed says. Printable, and
/// short enough to survive what routers and controllers put around it.
std::string encode_rejection(const Refusal& refusal);

/// Finds it in the text that the network made of it.
std::optional<Refusal> decode_rejection(std::string_view text);

}  // namespace simplon::overlay::ziti
