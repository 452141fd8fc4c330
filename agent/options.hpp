// What simplon-agent is told: by flags, by the environment, by a configuration file with the same
// keys; the first that says something wins. Plain values.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/paths.hpp"
#include "net/endpoint.hpp"

namespace simplon::agent {

inline constexpr std::uint16_t kDefaultHubPort = 7443;
inline constexpr std::chrono::seconds kDefaultDrain{30};
inline constexpr std::chrono::hours kMaxDrain{24};

/// Where the agent's own hub listens.
struct HubListen {
  bool none = false;    ///< no hub
  bool chosen = false;  ///< somebody said so; else the default, which may be replaced when busy
  net::Endpoint endpoint{"127.0.0.1", kDefaultHubPort};
};

struct Options {
  std::string agent_name;  ///< one DNS label
  base::AgentPaths paths;
  HubListen hub_listen;
  std::vector<std::string> hub_advertise;  ///< "host" or "host:port"
  base::LogFormat log_format = base::LogFormat::text;
  std::string log_level = "info";
  std::chrono::seconds drain = kDefaultDrain;
};

/// The program ends here, having written `text`: help and version to standard output with exit code
/// 0, errors to standard error with 2.
struct Ended {
  int code = 0;
  std::string text;
};

using Environment = std::function<std::optional<std::string>(const char*)>;

std::expected<Options, Ended> parse_options(int argc, const char* const* argv,
                                            const Environment& environment);
/// Of this process.
std::expected<Options, Ended> parse_options(int argc, const char* const* argv);

/// "Build-7.example.net" → "build-7"; "agent" where nothing is left.
std::string dns_label(std::string_view host_name);

}  // namespace simplon::agent
