// doctor: tries a tunnel's or an overlay's path part by part, and says where it is broken.
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/agent_link.hpp"
#include "ctl/check_output.hpp"
#include "ctl/cli.hpp"
#include "ctl/output.hpp"

namespace simplon::ctl {
namespace {

/// Each step has a limit of its own, 15 s at most; a network may have many routers.
constexpr std::chrono::minutes kCheckTimeout{5};

struct DoctorOptions {
  std::string name;
  std::string path;
  std::string service;
  bool websocket = false;
  bool overlay = false;
};

using Take = std::function<void(const v1::CheckResult&)>;

Outcome check_overlay(AgentLink& agent, const std::string& name, const Take& take) {
  v1::CheckOverlayRequest request;
  request.set_name(name);
  return agent.stream(&v1::Agent::Stub::CheckOverlay, request, kCheckTimeout, take);
}

Outcome check_tunnel(AgentLink& agent, const DoctorOptions& options, const Take& take) {
  v1::CheckTunnelRequest request;
  request.set_name(options.name);
  request.set_path(options.path);
  request.set_websocket(options.websocket);
  request.set_service(options.service);
  return agent.stream(&v1::Agent::Stub::CheckTunnel, request, kCheckTimeout, take);
}

Outcome check(AgentLink& agent, const DoctorOptions& options, const Take& take) {
  if (options.overlay) {
    return check_overlay(agent, options.name, take);
  }
  auto done = check_tunnel(agent, options, take);
  if (done || done.error().exit != Exit::not_found) {
    return done;
  }
  auto other = check_overlay(agent, options.name, take);
  if (!other && other.error().exit == Exit::not_found) {
    return trouble(Exit::not_found,
                   "this agent has no tunnel and no overlay called \"" + options.name + "\"",
                   "see simplonctl list and simplonctl overlay list");
  }
  return other;
}

Outcome doctor(const Context& context, const DoctorOptions& options) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  v1::CheckSummary summary;
  summary.set_name(options.name);
  summary.set_passed(true);
  const Take take = [&](const v1::CheckResult& result) {
    *summary.add_results() = result;
    if (result.state() == v1::CheckResult::STATE_FAILED) {
      summary.set_passed(false);
    }
    if (!context.json) {
      std::cout << check_line(result) << std::flush;
    }
  };
  auto done = check(*agent, options, take);
  if (!done) {
    return done;
  }
  if (context.json) {
    std::cout << to_json(summary);
  }
  if (summary.passed()) {
    return {};
  }
  const auto& last = summary.results(summary.results_size() - 1);
  return trouble(Exit::failed, options.name + " is broken at: " + last.hop(), last.advice());
}

}  // namespace

void add_doctor_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<DoctorOptions>();
  auto* command =
      app.add_subcommand("doctor", "Try a tunnel or an overlay part by part; say what is broken");
  command->footer(
      "Examples:\n"
      "  simplonctl doctor demo                     a share, an access or a frontend\n"
      "  simplonctl doctor prod                     an overlay\n"
      "  simplonctl doctor ws-access --websocket --path /ws\n"
      "  simplonctl doctor front --service demo     share demo through a frontend\n"
      "  simplonctl doctor demo -o json | jq -r '.results[] | select(.advice != \"\")'\n"
      "It stops at the first part that fails; the exit code is 1 then. The target gets HEAD "
      "requests.");
  command->add_option("NAME", options->name, "The tunnel's or the overlay's name")->required();
  command
      ->add_option("--path", options->path,
                   "Of the requests to the target, or of the websocket; default: /")
      ->type_name("PATH");
  command->add_flag("--websocket", options->websocket,
                    "The path takes websockets and sends back what it gets: try that, too, from "
                    "an access or a frontend");
  command->add_option("--service", options->service, "Of a frontend: the share to reach")
      ->type_name("NAME");
  command->add_flag("--overlay", options->overlay,
                    "NAME is an overlay's, also where a tunnel has the same name");
  command->callback([options, &context] {
    context.run = [options, &context] { return doctor(context, *options); };
  });
}

}  // namespace simplon::ctl
