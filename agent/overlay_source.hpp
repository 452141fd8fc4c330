// Where a new membership comes from, and how it becomes an identity.
//
// Plain values; obtain() on the control loop. Cancellation: the exchange with the network ends
// where it is; a one-time token may be used up by then.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <variant>

#include <absl/status/statusor.h>

#include "net/async.hpp"
#include "overlay/embedded/enroll.hpp"
#include "overlay/membership.hpp"

namespace simplon::agent {

/// An OpenZiti controller answers three requests, maybe over a slow link.
inline constexpr std::chrono::seconds kZitiEnrollDeadline{20};
/// An instance makes an identity at its own controller before it answers.
inline constexpr std::chrono::seconds kZrokEnableDeadline{30};

/// A one-time token of an OpenZiti controller; key and certificate (PEM) where an authority of
/// others vouches for us.
struct ZitiEnrollment {
  std::string jwt;
  std::string private_key;
  std::string certificate;
};

/// An account of a zrok instance, in which this agent becomes an environment.
struct ZrokAccount {
  overlay::zrok::Account account;
  std::string description;  ///< of the environment; empty: the agent's name
};

using Source = std::variant<overlay::Token, overlay::Membership, ZitiEnrollment, ZrokAccount>;

/// The identity. What must not be lost when a one-time token is used is written to `staged` before
/// (0600), which also shows that there is room. Errors say which part is wrong, what the other side
/// said, or what does not answer.
net::awaitable<absl::StatusOr<overlay::Membership>> obtain(net::Loop* loop, Source source,
                                                           std::filesystem::path staged);

}  // namespace simplon::agent
