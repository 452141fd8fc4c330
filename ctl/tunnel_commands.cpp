// share, access, frontend: make a tunnel, wait until it is ready, say where it is.
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <vector>

#include <CLI/CLI.hpp>

#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/http_options.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/output.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

using Clock = std::chrono::steady_clock;

/// How long share, access and frontend wait for their tunnel.
constexpr std::chrono::seconds kReadyTimeout{10};
constexpr std::chrono::milliseconds kPollInterval{100};
/// How often a tunnel in the foreground is looked at.
constexpr std::chrono::seconds kWatchInterval{2};

// What all three commands have in common.
struct Common {
  v1::Tunnel tunnel;
  std::string name;
  std::string overlay;
  std::vector<std::string> labels;
  bool foreground = false;
  bool public_on_zrok = false;
  HttpOptions http;
};

void add_common(CLI::App& command, Common& common) {
  command
      .add_option("--name", common.name, "Name of the tunnel on this agent; default: chosen by it")
      ->type_name("NAME");
  command.add_option("--overlay", common.overlay, "Which overlay; default: the only one")
      ->type_name("NAME");
  command.add_option("--label", common.labels, "A label to keep with it; can be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--foreground", common.foreground, "Stay until Ctrl-C, then delete the tunnel");
}

Outcome fill_labels(Common& common) {
  for (const auto& pair : common.labels) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return trouble(Exit::usage, "--label: \"" + pair + "\" is not KEY=VALUE");
    }
    (*common.tunnel.mutable_labels())[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return {};
}

// A repeated create after a lost answer must not make a second tunnel.
std::string request_id() {
  std::random_device random;
  std::string out;
  for (int i = 0; i < 4; ++i) {
    out += std::to_string(random());
  }
  return out;
}

Answer<v1::Tunnel> look(AgentLink& agent, const std::string& name) {
  v1::GetTunnelRequest request;
  request.set_name(name);
  return agent.call(&v1::Agent::Stub::GetTunnel, request);
}

// The tunnel as it is once active or failed, or after kReadyTimeout, or at Ctrl-C.
Answer<v1::Tunnel> wait_ready(AgentLink& agent, v1::Tunnel tunnel, const Interrupt& interrupt) {
  const auto until = Clock::now() + kReadyTimeout;
  const auto undecided = [&tunnel] {
    return tunnel.status().phase() != v1::TunnelStatus::PHASE_ACTIVE &&
           tunnel.status().phase() != v1::TunnelStatus::PHASE_FAILED;
  };
  while (undecided() && Clock::now() < until) {
    if (interrupt.wait_for(kPollInterval)) {
      return trouble(Exit::failed, "interrupted; " + tunnel.name() + " stays, and goes on starting",
                     "remove it with: simplonctl delete " + tunnel.name());
    }
    auto now = look(agent, tunnel.name());
    if (!now) {
      return now;
    }
    tunnel = std::move(*now);
  }
  return tunnel;
}

Outcome remove(AgentLink& agent, const std::string& name) {
  v1::DeleteTunnelRequest request;
  request.set_name(name);
  auto gone = agent.call(&v1::Agent::Stub::DeleteTunnel, request);
  if (!gone) {
    return std::unexpected(gone.error());
  }
  return {};
}

// Until Ctrl-C. An agent that restarts meanwhile brings the tunnel back itself.
Outcome stay(AgentLink& agent, const v1::Tunnel& tunnel, const Interrupt& interrupt) {
  std::cerr << "Ctrl-C ends it.\n";
  while (!interrupt.wait_for(kWatchInterval)) {
    const auto now = look(agent, tunnel.name());
    if (!now && now.error().exit == Exit::not_found) {
      return trouble(Exit::not_found, tunnel.name() + " was deleted meanwhile");
    }
  }
  return remove(agent, tunnel.name());
}

void announce(const v1::Tunnel& tunnel, bool json) {
  if (json) {
    std::cout << to_json(tunnel) << std::flush;
    return;
  }
  std::cout << address_of(tunnel) << std::endl;
  if (tunnel.has_share()) {
    const auto service = service_of(tunnel);
    const bool raw = tunnel.share().target().starts_with("tcp://");
    std::cerr << tunnel.share().target() << " is shared as " << service
              << ". On any agent of the overlay: simplonctl access " << shell_word(service)
              << (raw ? " --tcp" : "") << "\n";
    if (tunnel.share().target().starts_with("h2c://")) {
      std::cerr
          << "It is for HTTP/2 with prior knowledge, as of gRPC; frontends do not carry that.\n";
    } else if (!tunnel.share().public_() && !raw && tunnel.status().known_as().empty()) {
      std::cerr << "Frontends do not reach it: it is not --public.\n";
    }
  } else if (tunnel.has_frontend()) {
    std::cerr << "Every public share is at its name under " << tunnel.frontend().zone() << ".\n";
  }
  for (const auto& hop : tunnel.status().hops()) {
    if (hop.state() == v1::TunnelStatus::Hop::STATE_DOWN) {
      std::cerr << "Note: " << hop.name() << " is down now"
                << (hop.last_error().empty() ? "" : ": " + hop.last_error()) << ".\n";
    }
  }
}

// Deletes a tunnel of the foreground that did not come up; says what became of it.
std::string take_back(AgentLink& agent, const std::string& name) {
  return remove(agent, name) ? "it was deleted again"
                             : "it may still be there; to remove it: simplonctl delete " + name;
}

// On zrok a share is for its public frontends unless one says otherwise, as zrok's users expect.
Outcome choose_public(AgentLink& agent, v1::Share& share) {
  const auto all = agent.call(&v1::Agent::Stub::ListOverlays, v1::ListOverlaysRequest{});
  if (!all) {
    return std::unexpected(all.error());
  }
  // Which one the agent takes where none is named.
  const bool only = share.overlay().empty() && all->overlays_size() == 1;
  const std::string wanted = share.overlay().empty() ? "default" : share.overlay();
  share.set_public_(std::ranges::any_of(all->overlays(), [&](const v1::Overlay& each) {
    return (only || each.name() == wanted) && each.kind() == "zrok";
  }));
  return {};
}

Outcome create(const Context& context, Common& common) {
  if (auto filled = fill_labels(common); !filled) {
    return filled;
  }
  common.tunnel.set_name(common.name);
  const Interrupt interrupt;
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  if (common.public_on_zrok) {
    if (auto chosen = choose_public(*agent, *common.tunnel.mutable_share()); !chosen) {
      return chosen;
    }
  }
  v1::CreateTunnelRequest request;
  *request.mutable_tunnel() = common.tunnel;
  request.set_request_id(request_id());
  auto created = agent->call(&v1::Agent::Stub::CreateTunnel, request);
  if (!created) {
    return std::unexpected(created.error());
  }
  const std::string name = created->name();
  auto tunnel = wait_ready(*agent, std::move(*created), interrupt);
  if (!tunnel) {
    if (common.foreground && tunnel.error().exit != Exit::not_found) {
      tunnel.error().next = take_back(*agent, name);
    }
    return std::unexpected(tunnel.error());
  }
  const bool failed = tunnel->status().phase() == v1::TunnelStatus::PHASE_FAILED;
  if (tunnel->status().phase() != v1::TunnelStatus::PHASE_ACTIVE) {
    const auto what = kind_of(*tunnel) + " " + name +
                      (failed ? " failed: " : " is not ready after 10 s: ") +
                      why_not_ready(*tunnel);
    return std::unexpected(
        Trouble{.what = what,
                .next = common.foreground ? take_back(*agent, name)
                                          : "it stays and is tried again, see simplonctl get " +
                                                name + "; to remove it: simplonctl delete " + name,
                .hop = hop_not_ready(*tunnel)});
  }
  announce(*tunnel, context.json);
  return common.foreground ? stay(*agent, *tunnel, interrupt) : Outcome{};
}

Outcome put_listen(const std::string& typed, std::string& into) {
  if (!typed.empty()) {
    auto listen = parse_listen(typed);
    if (!listen) {
      return trouble(Exit::usage, "--listen: " + listen.error());
    }
    into = std::move(*listen);
  }
  return {};
}

// How a share stands among other hosts of an OpenZiti service.
struct RankOptions {
  std::string cost;
  std::string precedence;

  void add_to(CLI::App& command) {
    command
        .add_option("--ziti-cost", cost,
                    "On OpenZiti: among the hosts of the service, those of lower cost are "
                    "preferred; 0 to 65535, default: 0")
        ->type_name("N");
    command
        .add_option("--ziti-precedence", precedence,
                    "On OpenZiti: default, required (dialed before those of default precedence) "
                    "or failed (dialed only where there is no other)")
        ->type_name("WHICH");
  }

  Outcome fill(v1::Share& to) const {
    if (!cost.empty()) {
      std::uint16_t number = 0;
      const auto* const end = cost.data() + cost.size();
      if (const auto read = std::from_chars(cost.data(), end, number);
          read.ec != std::errc() || read.ptr != end) {
        return trouble(Exit::usage, "--ziti-cost: \"" + cost + "\" is not between 0 and 65535");
      }
      to.mutable_ziti()->set_cost(number);
    }
    if (!precedence.empty()) {
      static constexpr std::array kKnown{
          std::pair{"default", v1::ZitiRank::PRECEDENCE_DEFAULT},
          std::pair{"required", v1::ZitiRank::PRECEDENCE_REQUIRED},
          std::pair{"failed", v1::ZitiRank::PRECEDENCE_FAILED},
      };
      const auto* const found = std::ranges::find_if(
          kKnown, [this](const auto& each) { return precedence == each.first; });
      if (found == kKnown.end()) {
        return trouble(Exit::usage, "--ziti-precedence: \"" + precedence +
                                        "\" is none of default, required and failed");
      }
      to.mutable_ziti()->set_precedence(found->second);
    }
    return {};
  }
};

void add_share(CLI::App& app, Context& context) {
  struct Options : Common {
    std::string target;
    std::string service;
    HeaderOptions headers;
    RankOptions rank;
    bool open_to_frontends = false;
    bool closed = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("share", "Share a local service on the overlay");
  command->footer(
      "Examples:\n"
      "  simplonctl share 3000                               http://localhost:3000, name chosen\n"
      "  simplonctl share http://localhost:9090 --name demo --public\n"
      "  simplonctl share unix:./app.sock --name app\n"
      "  simplonctl share 3000 --request-header 'X-Env: test' --response-header -Server\n"
      "  simplonctl share tcp://localhost:5432 --name db     raw bytes, for access --tcp\n"
      "  simplonctl share h2c://localhost:50051 --name rpc   gRPC: HTTP/2 with prior knowledge\n"
      "  simplonctl share 3000 --overlay prod --service my-service     a service of OpenZiti\n"
      "  simplonctl share 3000 --overlay prod --service my-service --ziti-precedence failed\n"
      "                                                      a stand-by host of that service\n"
      "  simplonctl share 3000 --overlay z --private         on zrok, for accesses only\n"
      "Prints the name by which the overlay knows it, once that works.");
  command
      ->add_option("TARGET", options->target,
                   "3000, localhost:3000, http://…, https://…, h2c://host:port, tcp://host:port or "
                   "unix:/path")
      ->required();
  auto* open = command->add_flag("--public", options->open_to_frontends,
                                 "Let frontends reach it, too; on zrok that is the default");
  command->add_flag("--private", options->closed, "Let accesses alone reach it")->excludes(open);
  command
      ->add_option("--service", options->service,
                   "Name on the overlay, on OpenZiti the service's; default: --name's")
      ->type_name("NAME");
  add_common(*command, *options);
  options->rank.add_to(*command);
  options->headers.add_to(*command);
  options->http.add_to(*command, true);
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome {
      auto* share = options->tunnel.mutable_share();
      share->set_target(target_from(options->target, std::filesystem::current_path().string()));
      share->set_service(options->service);
      share->set_overlay(options->overlay);
      share->set_public_(options->open_to_frontends);
      options->public_on_zrok = !options->open_to_frontends && !options->closed;
      if (auto filled = options->rank.fill(*share); !filled) {
        return filled;
      }
      if (auto filled = options->headers.fill(*share); !filled) {
        return filled;
      }
      if (auto filled = options->http.fill(*share); !filled) {
        return filled;
      }
      return create(context, *options);
    };
  });
}

void add_access(CLI::App& app, Context& context) {
  struct Options : Common {
    std::string service;
    std::string listen;
    bool tcp = false;
    std::vector<std::string> trusted;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("access", "Reach a share through a local address");
  command->footer(
      "Examples:\n"
      "  simplonctl access demo                           a free port of the loopback\n"
      "  simplonctl access demo --listen 127.0.0.1:9191\n"
      "  simplonctl access db --tcp --listen 5432         raw bytes instead of HTTP\n"
      "Prints the URL once it works.");
  command->add_option("SERVICE", options->service, "The share's name on the overlay")->required();
  command
      ->add_option(
          "--listen", options->listen,
          "Where; 9191 means 127.0.0.1:9191; default: a free loopback port, which it keeps")
      ->type_name("ADDR:PORT");
  command->add_flag("--tcp", options->tcp, "Pass bytes untouched instead of HTTP");
  add_common(*command, *options);
  add_trust_proxy(*command, options->trusted, false);
  options->http.add_to(*command, false);
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome {
      auto* access = options->tunnel.mutable_access();
      access->set_service(options->service);
      access->set_overlay(options->overlay);
      access->set_protocol(options->tcp ? v1::PROTOCOL_TCP : v1::PROTOCOL_HTTP);
      if (auto put = put_listen(options->listen, *access->mutable_listen()); !put) {
        return put;
      }
      access->mutable_trusted_proxies()->Assign(options->trusted.begin(), options->trusted.end());
      if (auto filled = options->http.fill(*access); !filled) {
        return filled;
      }
      return create(context, *options);
    };
  });
}

void add_frontend(CLI::App& app, Context& context) {
  struct Options : Common {
    std::string zone;
    std::string listen;
    std::vector<std::string> trusted;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("frontend", "Reach every public share by host name: NAME.ZONE");
  command->footer(
      "Example:\n"
      "  simplonctl frontend --zone localhost --listen 127.0.0.1:8080\n"
      "                                               http://demo.localhost:8080 is share demo\n"
      "Prints the URL once it works.");
  command->add_option("--zone", options->zone, "The domain under which shares appear")
      ->required()
      ->type_name("DOMAIN");
  command
      ->add_option("--listen", options->listen,
                   "Where; default: a free loopback port, which it keeps")
      ->type_name("ADDR:PORT");
  add_common(*command, *options);
  add_trust_proxy(*command, options->trusted, true);
  options->http.add_to(*command, false);
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome {
      auto* frontend = options->tunnel.mutable_frontend();
      frontend->set_zone(options->zone);
      frontend->set_overlay(options->overlay);
      if (auto put = put_listen(options->listen, *frontend->mutable_listen()); !put) {
        return put;
      }
      frontend->mutable_trusted_proxies()->Assign(options->trusted.begin(), options->trusted.end());
      if (auto filled = options->http.fill(*frontend); !filled) {
        return filled;
      }
      return create(context, *options);
    };
  });
}

}  // namespace

void add_tunnel_commands(CLI::App& app, Context& context) {
  add_share(app, context);
  add_access(app, context);
  add_frontend(app, context);
}

}  // namespace simplon::ctl
