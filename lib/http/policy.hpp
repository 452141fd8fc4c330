// What an end of a tunnel decides about the messages that pass through its engine: what is changed
// in a head, how much and how long; and who the client of a connection is.
//
// Plain values; any thread. A policy is shared and never changed by the connections that serve
// under it; what differs between them is in their Client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "http/limits.hpp"

namespace simplon::http {

/// What is done with X-Forwarded-*, Forwarded and X-Real-IP of an arriving request.
enum class Forwarding : std::uint8_t {
  pass,     ///< share: the overlay peer set them and is trusted
  append,   ///< the client is a trusted proxy: keep the client's, append ours
  replace,  ///< drop the client's, set ours
};

/// One change to a head, after hop-by-hop fields are gone and before our own are written.
struct HeaderRule {
  enum class Action : std::uint8_t {
    add,     ///< one more field of that name
    set,     ///< the only field of that name
    remove,  ///< none of that name
  };
  Action action = Action::set;
  std::string name;
  std::string value;  ///< empty for remove
  bool operator==(const HeaderRule&) const = default;
};

/// Who is at the other end of a client's connection, and whether its word on others counts.
struct Client {
  Forwarding forwarding = Forwarding::pass;
  std::optional<std::string> address;  ///< IP, where there is one
  std::string peer;  ///< the authenticated overlay peer's name, where there is one
};

struct Policy {
  std::optional<std::string> host_header;  ///< Host towards the upstream; none: preserved
  /// With host_header: Origin, Referer, Location and the Domain of cookies follow it.
  bool rewrite_references = false;
  std::string_view target_scheme = "http";  ///< what they get towards the upstream; static
  std::vector<HeaderRule> request_headers;
  std::vector<HeaderRule> response_headers;  ///< of final responses
  /// Our pseudonym (RFC 9110 §7.6.3), the same for all connections of a tunnel; empty: no Via, and
  /// no loop is seen.
  std::string via;
  /// Where there are many routes each has a pseudonym of its own, "<route>.<via>": a request may
  /// well come back on another one.
  bool via_by_route = false;
  std::string peer_header;  ///< tells the target the client's peer; empty: none
  /// Date of a final response that came without one (http/date.hpp); null: none is added.
  std::string_view (*date)() = nullptr;
  base::Hop hop = base::Hop::access;  ///< whose failures these are, for Simplon-Error
  Limits limits;
  Timeouts timeouts;
};

}  // namespace simplon::http
