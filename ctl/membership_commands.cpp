// overlay add, list, get, remove: the networks that the agent is a member of.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/output.hpp"
#include "ctl/secret.hpp"
#include "overlay/membership.hpp"

namespace simplon::ctl {
namespace {

using Clock = std::chrono::steady_clock;

/// An enrollment asks a controller, an account its instance; either may be far away.
constexpr std::chrono::seconds kAddTimeout{40};
/// How long add waits for the link.
constexpr std::chrono::seconds kUpTimeout{10};
constexpr std::chrono::milliseconds kPollInterval{100};

struct AddOptions {
  std::string name;
  std::string identity;
  std::string enroll;
  std::string key;
  std::string certificate;
  std::string zrok;
  std::string token_file;
  std::string description;
  bool replace = false;
};

// With everything inline: the agent may be another user, on whose behalf a file would be read.
Outcome put_identity(const AddOptions& options, v1::AddOverlayRequest& request) {
  const auto membership = overlay::load_membership(options.identity);
  if (!membership.ok()) {
    return trouble(absl::IsPermissionDenied(membership.status()) ? Exit::failed : Exit::usage,
                   "--identity: " + std::string(membership.status().message()),
                   "an OpenZiti identity is what enrolling writes; of a one-time token say "
                   "--enroll FILE.jwt");
  }
  request.set_identity_json(overlay::to_json(*membership));
  return {};
}

Outcome put_enrollment(const AddOptions& options, v1::AddOverlayRequest& request) {
  auto jwt = read_secret(options.enroll, "--enroll", "Paste the token and press Enter: ");
  if (!jwt) {
    return std::unexpected(jwt.error());
  }
  if (jwt->empty()) {
    return trouble(Exit::usage, "--enroll: there is no token in " + options.enroll);
  }
  auto& enrollment = *request.mutable_enrollment();
  enrollment.set_jwt(*jwt);
  if (options.key.empty() != options.certificate.empty()) {
    return trouble(Exit::usage, "overlay add: --key and --certificate belong together");
  }
  if (!options.key.empty()) {
    auto key = read_small_file(options.key, "--key");
    auto certificate = read_small_file(options.certificate, "--certificate");
    if (!key || !certificate) {
      return std::unexpected(key ? certificate.error() : key.error());
    }
    enrollment.set_private_key(std::move(*key));
    enrollment.set_certificate(std::move(*certificate));
  }
  return {};
}

Outcome put_zrok(const AddOptions& options, v1::AddOverlayRequest& request) {
  auto token = options.token_file.empty()
                   ? Answer<std::string>(variable("SIMPLON_ZROK_TOKEN"))
                   : read_secret(options.token_file, "--token-file",
                                 "Paste the account's token and press Enter: ");
  if (!token) {
    return std::unexpected(token.error());
  }
  if (token->empty()) {
    return trouble(Exit::usage, "overlay add: no account token",
                   "give it with --token-file FILE, --token-file - or SIMPLON_ZROK_TOKEN");
  }
  auto& zrok = *request.mutable_zrok();
  zrok.set_endpoint(options.zrok);
  zrok.set_account_token(std::move(*token));
  zrok.set_description(options.description);
  return {};
}

Outcome put_source(const AddOptions& options, v1::AddOverlayRequest& request) {
  const auto given = static_cast<int>(!options.identity.empty()) +
                     static_cast<int>(!options.enroll.empty()) +
                     static_cast<int>(!options.zrok.empty());
  if (given != 1) {
    return trouble(Exit::usage,
                   "overlay add: say what makes the agent a member: one of --identity FILE, "
                   "--enroll FILE.jwt and --zrok URL",
                   "with an invitation of a hub: simplonctl join -");
  }
  if (options.zrok.empty() && (!options.token_file.empty() || !options.description.empty())) {
    return trouble(Exit::usage, "overlay add: --token-file and --description go with --zrok");
  }
  if (options.enroll.empty() && (!options.key.empty() || !options.certificate.empty())) {
    return trouble(Exit::usage, "overlay add: --key and --certificate go with --enroll");
  }
  if (!options.identity.empty()) {
    return put_identity(options, request);
  }
  return options.enroll.empty() ? put_zrok(options, request) : put_enrollment(options, request);
}

Answer<v1::Overlay> find_overlay(AgentLink& agent, const std::string& name) {
  auto all = agent.call(&v1::Agent::Stub::ListOverlays, v1::ListOverlaysRequest{});
  if (!all) {
    return std::unexpected(all.error());
  }
  const auto found = std::ranges::find(all->overlays(), name, &v1::Overlay::name);
  if (found == all->overlays().end()) {
    return trouble(Exit::not_found, "this agent has no overlay \"" + name + "\"",
                   "simplonctl overlay list shows those that it has");
  }
  return *found;
}

// The overlay once its link is up, or after kUpTimeout, or at Ctrl-C.
Answer<v1::Overlay> wait_up(AgentLink& agent, v1::Overlay overlay) {
  const Interrupt interrupt;
  const auto until = Clock::now() + kUpTimeout;
  while (overlay.state() != v1::LINK_STATE_UP && Clock::now() < until &&
         !interrupt.wait_for(kPollInterval)) {
    auto now = find_overlay(agent, overlay.name());
    if (!now) {
      return now;
    }
    overlay = std::move(*now);
  }
  return overlay;
}

Outcome add(const Context& context, const AddOptions& options) {
  v1::AddOverlayRequest request;
  request.set_name(options.name);
  request.set_replace(options.replace);
  if (auto put = put_source(options, request); !put) {
    return put;
  }
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  auto overlay = agent->call(&v1::Agent::Stub::AddOverlay, request, kAddTimeout);
  if (!overlay) {
    if (overlay.error().code == grpc::StatusCode::PERMISSION_DENIED) {
      overlay.error().next = "tokens work once and for a short time: get a new one";
    }
    return std::unexpected(overlay.error());
  }
  overlay = wait_up(*agent, std::move(*overlay));
  if (!overlay) {
    return std::unexpected(overlay.error());
  }
  if (context.json) {
    std::cout << to_json(*overlay);
  }
  if (overlay->state() != v1::LINK_STATE_UP) {
    return trouble(Exit::failed,
                   "overlay " + options.name + " is not up: " +
                       (overlay->last_error().empty() ? "no answer yet" : overlay->last_error()),
                   "it stays and is tried again, see simplonctl overlay get " + options.name +
                       "; to remove it: simplonctl overlay remove " + options.name);
  }
  if (!context.json) {
    std::cout << overlay->identity() << std::endl;
    std::cerr << "Added overlay " << overlay->name() << " (" << overlay->kind() << ") as "
              << overlay->identity() << ". Share something on it: simplonctl share 3000 --overlay "
              << overlay->name() << "\n";
  }
  return {};
}

Outcome list(const Context& context) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  const auto all = agent->call(&v1::Agent::Stub::ListOverlays, v1::ListOverlaysRequest{});
  if (!all) {
    return std::unexpected(all.error());
  }
  if (context.json) {
    std::cout << to_json(*all);
  } else if (all->overlays().empty()) {
    std::cerr << "No overlay. Join one: simplonctl join -, or simplonctl overlay add\n";
  } else {
    std::cout << overlay_table(all->overlays(), std::chrono::system_clock::now());
  }
  return {};
}

Outcome get(const Context& context, const std::string& name) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  const auto overlay = find_overlay(*agent, name);
  if (!overlay) {
    return std::unexpected(overlay.error());
  }
  std::cout << (context.json ? to_json(*overlay)
                             : overlay_details(*overlay, std::chrono::system_clock::now()));
  return {};
}

Outcome remove(const Context& context, const std::string& name, bool force) {
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  v1::RemoveOverlayRequest request;
  request.set_name(name);
  request.set_force(force);
  auto removed = agent->call(&v1::Agent::Stub::RemoveOverlay, request, kAddTimeout);
  if (!removed) {
    if (removed.error().exit == Exit::not_found) {
      removed.error().next = "simplonctl overlay list shows those that it has";
    } else if (removed.error().code == grpc::StatusCode::FAILED_PRECONDITION && !force) {
      removed.error().next = "--force deletes the tunnels that use it, too";
    }
    return std::unexpected(removed.error());
  }
  if (context.json) {
    std::cout << to_json(*removed);
  } else {
    std::cerr << "Removed overlay " << name << ".\n";
  }
  return {};
}

void add_add(CLI::App& overlay, Context& context) {
  auto options = std::make_shared<AddOptions>();
  auto* command = overlay.add_subcommand("add", "Make the agent a member of a network");
  command->footer(
      "Examples:\n"
      "  simplonctl overlay add prod --identity prod.json   an OpenZiti identity file\n"
      "  simplonctl overlay add prod --enroll prod.jwt      a one-time token of OpenZiti\n"
      "  simplonctl overlay add z --zrok https://zrok.example --token-file token\n"
      "The agent keeps what it needs in its state folder, readable by itself only. Secrets are\n"
      "read from files, or from standard input with -; the token of a zrok account also from\n"
      "SIMPLON_ZROK_TOKEN.");
  command->add_option("NAME", options->name, "What the overlay is called on this agent")
      ->required();
  command->add_option("--identity", options->identity, "An identity file; the file is copied")
      ->type_name("FILE");
  command
      ->add_option("--enroll", options->enroll,
                   "A one-time token of OpenZiti; the agent makes the key")
      ->type_name("FILE.jwt");
  command
      ->add_option("--key", options->key,
                   "With --enroll, for tokens of the methods ottca and ca: the key")
      ->type_name("FILE");
  command->add_option("--certificate", options->certificate, "The certificate of that key")
      ->type_name("FILE");
  command
      ->add_option("--zrok", options->zrok,
                   "A zrok instance, on which the agent becomes an environment")
      ->type_name("URL");
  command->add_option("--token-file", options->token_file, "With --zrok: the account's token")
      ->type_name("FILE");
  command
      ->add_option("--description", options->description,
                   "With --zrok: of the environment; default: the agent's name")
      ->type_name("TEXT");
  command->add_flag("--replace", options->replace,
                    "Give up the overlay that has this name, with its members and tunnels");
  command->callback([options, &context] {
    context.run = [options, &context] { return add(context, *options); };
  });
}

}  // namespace

void add_membership_commands(CLI::App& app, Context& context) {
  auto* overlay = app.add_subcommand("overlay", "The networks that the agent is a member of");
  overlay->footer("Example:\n  simplonctl overlay add prod --identity prod.json");
  overlay->require_subcommand(1);
  add_add(*overlay, context);

  auto* list_command = overlay->add_subcommand("list", "List them");
  list_command->footer("Example:\n  simplonctl overlay list");
  list_command->callback([&context] { context.run = [&context] { return list(context); }; });

  auto name = std::make_shared<std::string>();
  auto* get_command =
      overlay->add_subcommand("get", "Show one: its controller, API session, routers, circuits");
  get_command->footer("Example:\n  simplonctl overlay get prod");
  get_command->add_option("NAME", *name, "The overlay's name")->required();
  get_command->callback(
      [name, &context] { context.run = [name, &context] { return get(context, *name); }; });

  auto gone = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  auto* remove_command = overlay->add_subcommand("remove", "Leave one; its identity is deleted");
  remove_command->footer("Example:\n  simplonctl overlay remove prod");
  remove_command->add_option("NAME", *gone, "The overlay's name")->required();
  remove_command->add_flag("--force", *force, "Delete the tunnels that use it, too");
  remove_command->callback([gone, force, &context] {
    context.run = [gone, force, &context] { return remove(context, *gone, *force); };
  });
}

}  // namespace simplon::ctl
