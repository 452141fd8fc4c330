// What a tunnel's owner chose about HTTP, as plain values (proto/simplon/v1/http.proto says the
// same in the API, with defaults and bounds), and what follows from it for the engine.
//
// What was not chosen stays open here, so that a default is one of the program and not of the day
// on which a tunnel was made.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/limits.hpp"

namespace simplon::tunnel {

/// How long each step may take. None: the default; zero: as long as it likes.
struct Timeouts {
  std::optional<std::chrono::milliseconds> head;
  std::optional<std::chrono::milliseconds> idle;
  std::optional<std::chrono::milliseconds> connect;
  std::optional<std::chrono::milliseconds> first_byte;
  std::optional<std::chrono::milliseconds> body;
  std::optional<std::chrono::milliseconds> websocket_idle;
  std::optional<std::chrono::milliseconds> half_closed;
  bool operator==(const Timeouts&) const = default;
};

/// Zero: the default.
struct Limits {
  std::uint64_t head_bytes = 0;
  std::uint64_t header_fields = 0;
  std::uint64_t target_bytes = 0;
  std::uint64_t request_body_bytes = 0;
  std::uint64_t connections = 0;
  std::uint64_t connections_per_client = 0;
  bool operator==(const Limits&) const = default;
};

struct HttpSettings {
  Timeouts timeouts;
  Limits limits;
  bool via = true;  ///< requests carry Via, and loops are seen
  bool operator==(const HttpSettings&) const = default;
};

inline constexpr std::chrono::milliseconds kMinTimeout{100};  // less is a mistake of units
inline constexpr std::chrono::hours kMaxTimeout{24 * 365};

/// Of an access or a frontend, to the agent that hosts the service: more than the share's 5 s to
/// its target, which it covers, so that the truthful reason arrives.
inline constexpr std::chrono::milliseconds kEntryConnect{15'000};

/// Of one tunnel at a time, and the most that can be chosen. Each may hold two descriptors, and one
/// peer alone can open streams as fast as it likes.
inline constexpr std::uint64_t kMaxConnections = 16 * 1024;

/// Of one client address at an access or a frontend that is neither on this host nor a trusted
/// proxy's. A browser keeps six, a busy household a few hundred.
inline constexpr std::uint64_t kMaxConnectionsPerClient = 1024;

struct TimeoutField {
  std::string_view name;  ///< in the API
  std::optional<std::chrono::milliseconds> Timeouts::* chosen;
  std::chrono::milliseconds http::Timeouts::* used;
  bool may_be_unlimited = true;
  bool of_raw_bytes = false;  ///< means something where no HTTP is seen
};
inline constexpr std::array<TimeoutField, 7> kTimeoutFields{{
    {"head", &Timeouts::head, &http::Timeouts::head},
    {"idle", &Timeouts::idle, &http::Timeouts::idle},
    {"connect", &Timeouts::connect, &http::Timeouts::connect, false, true},
    {"first_byte", &Timeouts::first_byte, &http::Timeouts::first_byte},
    {"body", &Timeouts::body, &http::Timeouts::body},
    {"websocket_idle", &Timeouts::websocket_idle, &http::Timeouts::websocket_idle},
    {"half_closed", &Timeouts::half_closed, &http::Timeouts::half_closed},
}};

struct LimitField {
  std::string_view name;  ///< in the API
  std::uint64_t Limits::* chosen;
  std::uint64_t least;
  std::uint64_t most;
  bool of_raw_bytes = false;
};
inline constexpr std::array<LimitField, 6> kLimitFields{{
    {"head_bytes", &Limits::head_bytes, 1024, 64 * 1024},
    {"header_fields", &Limits::header_fields, 8, 1024},
    {"target_bytes", &Limits::target_bytes, 64, 64 * 1024},
    {"request_body_bytes", &Limits::request_body_bytes, 1, INT64_MAX},
    {"connections", &Limits::connections, 1, kMaxConnections, true},
    {"connections_per_client", &Limits::connections_per_client, 1, kMaxConnections, true},
}};

/// What the engine keeps to. `defaults`: where nothing was chosen.
http::Timeouts used(const Timeouts& chosen, const http::Timeouts& defaults);
http::Limits used(const Limits& chosen);

}  // namespace simplon::tunnel
