// list, get, delete.
#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>

#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/output.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

Answer<v1::ListTunnelsResponse> list_all(AgentLink& agent) {
  v1::ListTunnelsResponse all;
  v1::ListTunnelsRequest request;
  do {
    auto page = agent.call(&v1::Agent::Stub::ListTunnels, request);
    if (!page) {
      return page;
    }
    all.mutable_tunnels()->MergeFrom(page->tunnels());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all;
}

Outcome list(const Context& context) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  const auto all = list_all(*agent);
  if (!all) {
    return std::unexpected(all.error());
  }
  if (context.json) {
    std::cout << to_json(*all);
  } else if (all->tunnels().empty()) {
    std::cerr << "No tunnels yet. Make one: simplonctl share 3000\n";
  } else {
    std::cout << tunnel_table(*all, std::chrono::system_clock::now());
  }
  return {};
}

Outcome get(const Context& context, const std::string& name) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  v1::GetTunnelRequest request;
  request.set_name(name);
  const auto tunnel = agent->call(&v1::Agent::Stub::GetTunnel, request);
  if (!tunnel) {
    return std::unexpected(tunnel.error());
  }
  std::cout << (context.json ? to_json(*tunnel)
                             : tunnel_details(*tunnel, std::chrono::system_clock::now()));
  return {};
}

// All that can be deleted are; the first failure is the command's.
Outcome remove(const Context& context, const std::vector<std::string>& names,
               const std::string& drain) {
  v1::DeleteTunnelRequest request;
  if (!drain.empty()) {
    const auto limit = parse_duration(drain);
    if (!limit || *limit > std::chrono::hours(24)) {
      return trouble(Exit::usage, "--drain: " + (limit ? "more than a day" : limit.error()));
    }
    // 0 means the agent's default in the API, so no drain at all is the shortest there is.
    request.set_drain_seconds(
        static_cast<std::uint32_t>(std::max<std::int64_t>(1, limit->count() / 1000)));
  }
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  Outcome outcome;
  for (const auto& name : names) {
    request.set_name(name);
    const auto gone = agent->call(&v1::Agent::Stub::DeleteTunnel, request);
    if (gone && context.json) {
      std::cout << to_json(*gone);
    } else if (gone) {
      std::cerr << "Deleted " << name << ".\n";
    } else if (outcome) {
      outcome = std::unexpected(gone.error());
    } else {
      std::cerr << "simplonctl: " << gone.error().what << "\n";
    }
  }
  return outcome;
}

}  // namespace

void add_resource_commands(CLI::App& app, Context& context) {
  auto* list_command = app.add_subcommand("list", "List the tunnels of the agent");
  list_command->footer("Example:\n  simplonctl list -o json | jq -r '.tunnels[].name'");
  list_command->callback([&context] { context.run = [&context] { return list(context); }; });

  auto name = std::make_shared<std::string>();
  auto* get_command = app.add_subcommand("get", "Show one tunnel, hop by hop");
  get_command->footer("Example:\n  simplonctl get demo");
  get_command->add_option("NAME", *name, "The tunnel's name")->required();
  get_command->callback(
      [name, &context] { context.run = [name, &context] { return get(context, *name); }; });

  auto names = std::make_shared<std::vector<std::string>>();
  auto drain = std::make_shared<std::string>();
  auto* delete_command = app.add_subcommand("delete", "Delete tunnels, letting connections finish");
  delete_command->footer("Example:\n  simplonctl delete demo demo-access --drain 5s");
  delete_command->add_option("NAME", *names, "The tunnels' names")->required();
  delete_command
      ->add_option("--drain", *drain,
                   "How long running connections get; default: the agent's own --drain")
      ->type_name("DURATION");
  delete_command->callback([names, drain, &context] {
    context.run = [names, drain, &context] { return remove(context, *names, *drain); };
  });
}

}  // namespace simplon::ctl
