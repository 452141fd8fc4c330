// What a tunnel is, as plain values (proto/simplon/v1/tunnel.proto says the same in the API).
//
// A spec that came through normalize() has every default filled in, except the agent's choices:
// name (and whether it chose it), uid, create time, overlay and listening port
// (tunnel/registry.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/status.h>

#include "http/policy.hpp"
#include "overlay/rank.hpp"
#include "tunnel/http_settings.hpp"

namespace simplon::tunnel {

struct Share {
  std::string service;  ///< as the overlay names services; empty: the tunnel's name
  std::string overlay;
  std::string target;  ///< canonical text of a Target (tunnel/target.hpp)
  bool open_to_frontends = false;
  std::string host_header{};  ///< empty: the client's Host is preserved
  bool rewrite_references = false;
  std::vector<http::HeaderRule> request_headers{};
  std::vector<http::HeaderRule> response_headers{};
  std::string peer_header{};  ///< tells the target who opened the stream; empty: none
  /// The agent chose the service's name, because the owner does not care for it (ListenOptions).
  bool any_name = false;
  HttpSettings http{};
  overlay::Rank rank{};  ///< only where the overlay ranks hosts
  bool operator==(const Share&) const = default;
};

enum class Protocol { http, tcp };

struct Access {
  std::string service;
  std::string overlay;
  std::string listen;  ///< "address:port"
  Protocol protocol = Protocol::http;
  HttpSettings http{};
  /// Blocks of addresses, or kNobody alone; empty: the loopback.
  std::vector<std::string> trusted_proxies{};
  bool operator==(const Access&) const = default;
};

struct Frontend {
  std::string overlay;
  std::string listen;
  std::string zone;
  HttpSettings http{};
  std::vector<std::string> trusted_proxies{};  ///< as for an access; empty: nobody
  bool operator==(const Frontend&) const = default;
};

using Spec = std::variant<Share, Access, Frontend>;

struct Tunnel {
  std::string name;
  std::string uid;
  std::map<std::string, std::string> labels;
  std::chrono::system_clock::time_point create_time{};
  Spec spec;
};

using TunnelPtr = std::shared_ptr<const Tunnel>;

inline constexpr std::size_t kMaxLabels = 32;
inline constexpr std::size_t kMaxLabelBytes = 128;
inline constexpr std::size_t kMaxHeaderRules = 64;  // per direction
inline constexpr std::size_t kMaxHeaderValueBytes = 8 * 1024;
inline constexpr std::size_t kMaxTrustedProxies = 64;
/// Alone in trusted_proxies: not even the loopback.
inline constexpr std::string_view kNobody = "none";

/// "share", "access", "frontend": also the name of the field in the API.
std::string_view kind_name(const Spec& spec) noexcept;

const std::string& overlay_of(const Spec& spec);
void set_overlay(Spec& spec, std::string overlay);
/// Null for a frontend.
const std::string* service_of(const Spec& spec) noexcept;

/// Where it listens, or null for a share.
std::string* listen_of(Spec& spec) noexcept;
const std::string* listen_of(const Spec& spec) noexcept;

/// Where people reach it: "http://127.0.0.1:9191", "tcp://…", "http://*.localhost:8080"; empty for
/// a share.
std::string url_of(const Tunnel& tunnel);

/// Checks every field and brings it into its canonical form. INVALID_ARGUMENT starts with the
/// field: "share.target: …".
absl::Status normalize(Tunnel& tunnel);

const HttpSettings& http_of(const Spec& spec);
/// Null for a share, whose clients are authenticated peers.
const std::vector<std::string>* trusted_proxies_of(const Spec& spec) noexcept;

/// All that a caller chose, as bytes: equal for equal requests. What is stored of earlier versions
/// stays equal: a field that they did not know appears only where it was chosen.
std::string fingerprint(const Tunnel& tunnel);

}  // namespace simplon::tunnel
