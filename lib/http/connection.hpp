// What a message says about this connection only, and must not travel on (RFC 9110 §7.6.1).
//
// Threads: none of their own; ConnectionOptions holds views of the fields it was made of.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "http/framing.hpp"

namespace simplon::http {

bool is_hop_by_hop(Name id) noexcept;

/// The fields that Connection names. A client may not delete what frames, routes or authenticates
/// a message, nor what a proxy before us said about it.
class ConnectionOptions {
 public:
  explicit ConnectionOptions(const Fields& fields);
  bool names(std::string_view name) const noexcept;

 private:
  std::array<std::string_view, kMostConnectionOptions> names_;  // frame_request() refuses more
  std::size_t count_ = 0;
};

}  // namespace simplon::http
