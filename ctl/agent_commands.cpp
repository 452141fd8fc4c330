// status, version, log-level: the agent itself.
#include <iostream>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <google/protobuf/struct.pb.h>

#include "base/version.hpp"
#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/output.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

constexpr std::chrono::milliseconds kPollInterval{50};

Answer<v1::AgentInfo> agent_info(const Context& context, std::chrono::milliseconds timeout) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  return agent->call(&v1::Agent::Stub::GetAgent, v1::GetAgentRequest{}, timeout);
}

// The name of the first overlay whose link is not up.
std::string missing_link(const v1::AgentInfo& agent) {
  for (const auto& overlay : agent.overlays()) {
    if (overlay.state() != v1::LINK_STATE_UP) {
      return overlay.name() +
             (overlay.last_error().empty() ? "" : " (" + overlay.last_error() + ")");
    }
  }
  return {};
}

Outcome status(const Context& context, const std::string& typed) {
  std::chrono::milliseconds patience{0};
  if (!typed.empty()) {
    const auto wait = parse_duration(typed);
    if (!wait) {
      return trouble(Exit::usage, "--wait: " + wait.error());
    }
    patience = *wait;
  }
  const auto until = std::chrono::steady_clock::now() + patience;
  auto info = agent_info(context, kCallTimeout);
  while (std::chrono::steady_clock::now() < until && (!info || !missing_link(*info).empty())) {
    std::this_thread::sleep_for(kPollInterval);
    info = agent_info(context, kCallTimeout);
  }
  if (!info) {
    return std::unexpected(info.error());
  }
  std::cout << (context.json ? to_json(*info)
                             : agent_details(*info, std::chrono::system_clock::now()));
  if (const auto missing = missing_link(*info); patience.count() > 0 && !missing.empty()) {
    return trouble(Exit::failed, "overlay link: not up after " + typed + ": " + missing,
                   "is its hub or controller running, and reachable from here? simplonctl overlay "
                   "get NAME shows more");
  }
  return {};
}

Outcome version(const Context& context) {
  const auto agent = agent_info(context, std::chrono::seconds(2));
  if (context.json) {
    google::protobuf::Struct out;
    (*out.mutable_fields())["simplonctl"].set_string_value(base::version());
    if (agent) {
      (*out.mutable_fields())["agent"].set_string_value(agent->version());
    }
    std::cout << to_json(out);
    return {};
  }
  std::cout << "simplonctl " << base::version() << "\n";
  std::cout << "agent      " << (agent ? agent->version() : "not reachable") << "\n";
  return {};
}

Outcome log_level(const Context& context, const std::string& level) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  if (level.empty()) {
    const auto info = agent->call(&v1::Agent::Stub::GetAgent, v1::GetAgentRequest{});
    if (!info) {
      return std::unexpected(info.error());
    }
    std::cout << (context.json ? to_json(*info) : info->log_level() + "\n");
    return {};
  }
  v1::SetLogLevelRequest request;
  request.set_level(level);
  const auto set = agent->call(&v1::Agent::Stub::SetLogLevel, request);
  if (!set) {
    return std::unexpected(set.error());
  }
  if (context.json) {
    std::cout << to_json(*set);
  } else {
    std::cerr << "Log level " << level << " (was " << set->previous() << ").\n";
  }
  return {};
}

}  // namespace

void add_agent_commands(CLI::App& app, Context& context) {
  auto wait = std::make_shared<std::string>();
  auto* status_command = app.add_subcommand("status", "Show the agent, its hub and its overlays");
  status_command->footer(
      "Examples:\n"
      "  simplonctl status\n"
      "  simplonctl status --wait 10s    until the agent answers and its overlays are up");
  status_command->add_option("--wait", *wait, "Wait so long for the agent to be ready")
      ->type_name("DURATION");
  status_command->callback(
      [wait, &context] { context.run = [wait, &context] { return status(context, *wait); }; });

  auto* version_command = app.add_subcommand("version", "Show the versions of ctl and agent");
  version_command->callback([&context] { context.run = [&context] { return version(context); }; });

  auto level = std::make_shared<std::string>();
  auto* level_command = app.add_subcommand("log-level", "Show or change the agent's log level");
  level_command->footer("Example:\n  simplonctl log-level debug");
  level_command
      ->add_option("LEVEL", *level, "trace, debug, info, warn, error or off; none: show it")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}).description(""));
  level_command->callback([level, &context] {
    context.run = [level, &context] { return log_level(context, *level); };
  });
}

}  // namespace simplon::ctl
