#include "agent/options.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <sstream>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "agent/config_file.hpp"
#include "base/version.hpp"
#include "overlay/network.hpp"

namespace simplon::agent {
namespace {

constexpr char kAbout[] =
    "The Simplon tunnel agent: holds the shares, accesses and frontends of this host. simplonctl "
    "drives it.";

constexpr char kFooter[] =
    "Each option can also come from the environment (the names in parentheses) and from the\n"
    "configuration file, one `key = value` a line, the keys named like the flags. A flag beats "
    "the\n"
    "environment, the environment beats the file.\n"
    "\n"
    "Examples:\n"
    "  simplon-agent                                     everything at its default\n"
    "  simplon-agent --hub-listen 0.0.0.0:7443           a hub that other hosts can join\n"
    "  simplon-agent --hub-listen none                   a member only\n"
    "\n"
    "The agent is ready when it says so on standard error, and to systemd. SIGTERM lets running\n"
    "connections finish (--drain); a second one ends them at once.";

// One setting on its way: the strongest source that said something, and how to name it.
struct Setting {
  const char* key;
  const char* variable;
  const char* type;
  const char* help;
  std::string value{};
  std::string source{};
  bool given() const { return !source.empty(); }
};

struct Settings {
  Setting agent_name{"agent-name", "SIMPLON_AGENT_NAME", "NAME",
                     "This agent's name, one DNS label; default: the host's name. An agent that "
                     "joined is named by its invitation"};
  Setting state_dir{"state-dir", "SIMPLON_STATE_DIR", "DIR",
                    "Where all durable state lives; default: /var/lib/simplon for root, else the "
                    "user's state folder"};
  Setting socket{"socket", "SIMPLON_SOCKET", "PATH",
                 "The control socket; default: agent.sock in --state-dir if given, else "
                 "/run/simplon/agent.sock for root, else in the user's runtime folder"};
  Setting hub_listen{"hub-listen", "SIMPLON_HUB_LISTEN", "[ADDR:]PORT|none",
                     "Where this agent's hub listens; default: 127.0.0.1:7443, or a free port, "
                     "which is kept, when that is busy. A port alone is one of 127.0.0.1, port 0 "
                     "chooses one; none: "
                     "no hub"};
  Setting hub_advertise{"hub-advertise", "SIMPLON_HUB_ADVERTISE", "ADDR[:PORT]",
                        "Where others reach the hub, if not where it listens; several are "
                        "separated by commas"};
  Setting log_format{"log-format", "SIMPLON_LOG_FORMAT", "text|json",
                     "How log lines look; default: text"};
  Setting log_level{"log-level", "SIMPLON_LOG_LEVEL", "LEVEL",
                    "trace, debug, info, warn, error or off; default: info. simplonctl log-level "
                    "changes it at any time"};
  Setting drain{"drain", "SIMPLON_DRAIN", "DURATION",
                "How long running connections may take to finish at the end; default: 30s"};
  Setting config{"config", "SIMPLON_CONFIG", "FILE", "Read options from this file"};

  std::array<Setting*, 9> all() {
    return {&agent_name, &state_dir, &socket, &hub_listen, &hub_advertise,
            &log_format, &log_level, &drain,  &config};
  }
};

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

std::unexpected<Ended> wrong(const std::string& what) {
  return std::unexpected(Ended{2, "simplon-agent: " + what + "\n  see simplon-agent --help\n"});
}

std::unexpected<Ended> wrong(const Setting& setting, const std::string& what) {
  return wrong(setting.source + ": " + in_quotes(setting.value) + " " + what);
}

// "30", "30s", "2m", "1h".
std::optional<std::chrono::seconds> parse_seconds(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, text.data() + text.size());
  if (error != std::errc() || count < 0 || count > 1'000'000) {
    return std::nullopt;
  }
  const std::int64_t scale = unit.empty() || unit == "s" ? 1
                             : unit == "m"               ? 60
                             : unit == "h"               ? 3600
                                                         : 0;
  const std::chrono::seconds out(count * scale);
  return scale == 0 || out > kMaxDrain ? std::nullopt : std::optional(out);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    // The ends only: a space inside an item is an error of whoever wrote it.
    constexpr char blank[] = " \t\r\n";
    part.erase(0, std::min(part.find_first_not_of(blank), part.size()));
    part.erase(part.find_last_not_of(blank) + 1);
    out.push_back(std::move(part));
  }
  return out;
}

// "host" or "host:port": an address without a port gets that of the hub later.
bool valid_advertised(const std::string& text) {
  const auto whole = net::parse_endpoint(text);
  const auto host = net::parse_endpoint(text + ":1");
  return (whole && !whole->host.empty() && whole->port != 0) || (host && !host->host.empty());
}

std::optional<Ended> apply_file(Settings& settings) {
  if (!settings.config.given()) {
    return std::nullopt;
  }
  const auto lines = read_config(settings.config.value);
  if (!lines) {
    return wrong(settings.config.source + ": " + lines.error()).error();
  }
  for (const ConfigLine& line : *lines) {
    const std::string where = settings.config.value + ":" + std::to_string(line.number);
    const auto all = settings.all();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&line](const Setting* one) { return line.key == one->key; });
    if (found == all.end() || *found == &settings.config) {
      return wrong(where + ": there is no option " + in_quotes(line.key)).error();
    }
    // Within the file the last line wins, as for variables of a shell.
    if (!(*found)->given() || (*found)->source.starts_with(settings.config.value + ":")) {
      (*found)->value = line.value;
      (*found)->source = where + ": " + line.key;
    }
  }
  return std::nullopt;
}

// base/paths.hpp ranks flags and environment; what the file says comes after both.
base::AgentPaths find_paths(const Settings& settings, const Environment& environment) {
  const auto flag = [](const Setting& setting) {
    return setting.source.starts_with("--") ? setting.value : std::string();
  };
  base::PathSources from =
      base::PathSources::of_process(flag(settings.socket), flag(settings.state_dir));
  from.environment = [&settings, &environment](const char* name) -> std::optional<std::string> {
    const std::string_view wanted = name;
    if (wanted == settings.state_dir.variable && settings.state_dir.given()) {
      return settings.state_dir.value;
    }
    if (wanted == settings.socket.variable && settings.socket.given()) {
      const bool only_in_file = settings.socket.source != settings.socket.variable;
      const bool state_dir_is_stronger = settings.state_dir.source == settings.state_dir.variable;
      if (!only_in_file || !state_dir_is_stronger) {
        return settings.socket.value;
      }
      return std::nullopt;
    }
    return environment(name);
  };
  return base::agent_paths(from);
}

std::expected<HubListen, Ended> hub_listen(const Setting& setting) {
  HubListen out;
  if (!setting.given()) {
    return out;
  }
  out.chosen = true;
  if (setting.value == "none") {
    out.none = true;
    return out;
  }
  // A port alone stays on this host, as the default does.
  const bool only_port =
      !setting.value.empty() && setting.value.find_first_not_of("0123456789") == std::string::npos;
  auto endpoint = net::parse_endpoint(only_port ? "127.0.0.1:" + setting.value : setting.value);
  if (!endpoint) {
    return wrong(setting, "is neither none nor an address and a port, such as 127.0.0.1:7443");
  }
  if (endpoint->host.empty()) {
    return wrong(setting, "lacks an address; name the address, too: 0.0.0.0:" +
                              std::to_string(endpoint->port) + " for every interface");
  }
  out.endpoint = std::move(*endpoint);
  return out;
}

std::expected<Options, Ended> understand(const Settings& settings, const Environment& environment) {
  Options out;
  out.paths = find_paths(settings, environment);
  if (settings.agent_name.given()) {
    out.agent_name = settings.agent_name.value;
    if (!overlay::valid_service_name(out.agent_name)) {
      return wrong(settings.agent_name,
                   "is not a name: at most 63 of a-z, 0-9 and -, no - at either end");
    }
  } else {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    out.agent_name = dns_label(host.data());
  }
  auto listen = hub_listen(settings.hub_listen);
  if (!listen) {
    return std::unexpected(listen.error());
  }
  out.hub_listen = std::move(*listen);
  if (settings.hub_advertise.given()) {
    out.hub_advertise = split(settings.hub_advertise.value);
    if (!std::ranges::all_of(out.hub_advertise, valid_advertised)) {
      return wrong(settings.hub_advertise, "is not a list of addresses, such as hub.example:7443");
    }
  }
  if (settings.log_format.given()) {
    if (settings.log_format.value != "text" && settings.log_format.value != "json") {
      return wrong(settings.log_format, "is neither text nor json");
    }
    out.log_format =
        settings.log_format.value == "json" ? base::LogFormat::json : base::LogFormat::text;
  }
  if (settings.log_level.given()) {
    constexpr std::array<std::string_view, 6> levels{"trace", "debug", "info",
                                                     "warn",  "error", "off"};
    if (std::ranges::find(levels, settings.log_level.value) == levels.end()) {
      return wrong(settings.log_level, "is none of trace, debug, info, warn, error, off");
    }
    out.log_level = settings.log_level.value;
  }
  if (settings.drain.given()) {
    const auto drain = parse_seconds(settings.drain.value);
    if (!drain) {
      return wrong(settings.drain, "is not a duration such as 30s or 2m, of at most 24h");
    }
    out.drain = *drain;
  }
  return out;
}

}  // namespace

std::expected<Options, Ended> parse_options(int argc, const char* const* argv,
                                            const Environment& environment) {
  CLI::App app(kAbout, "simplon-agent");
  app.footer(kFooter);
  app.set_version_flag("--version", "simplon-agent " + base::version());
  app.get_formatter()->column_width(32);
  Settings settings;
  std::vector<std::pair<Setting*, const CLI::Option*>> flags;
  for (Setting* setting : settings.all()) {
    flags.emplace_back(setting,
                       app.add_option(std::string("--") + setting->key, setting->value,
                                      std::string(setting->help) + " (" + setting->variable + ")")
                           ->type_name(setting->type));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    std::ostringstream text;
    app.exit(success, text, text);
    return std::unexpected(Ended{0, text.str()});
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  for (const auto& [setting, option] : flags) {
    if (option->count() > 0) {
      setting->source = std::string("--") + setting->key;
    } else if (auto value = environment(setting->variable); value && !value->empty()) {
      setting->value = std::move(*value);
      setting->source = setting->variable;
    }
  }
  if (auto ended = apply_file(settings)) {
    return std::unexpected(std::move(*ended));
  }
  return understand(settings, environment);
}

std::expected<Options, Ended> parse_options(int argc, const char* const* argv) {
  return parse_options(argc, argv, base::PathSources::of_process().environment);
}

std::string dns_label(std::string_view host_name) {
  std::string out;
  for (const char raw : host_name.substr(0, host_name.find('.'))) {
    const auto c = static_cast<unsigned char>(raw);
    const bool fits = c < 0x80 && std::isalnum(c) != 0;
    out += fits ? static_cast<char>(std::tolower(c)) : '-';
  }
  out = out.substr(0, 63);
  out.erase(0, std::min(out.find_first_not_of('-'), out.size()));
  out.erase(out.find_last_not_of('-') + 1);
  return out.empty() ? "agent" : out;
}

}  // namespace simplon::agent
