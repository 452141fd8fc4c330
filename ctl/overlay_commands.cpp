// hub invite, join: networks whose hub is an agent.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string_view>

#include <CLI/CLI.hpp>

#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/output.hpp"
#include "ctl/secret.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

/// A join asks the hub, which may be far away.
constexpr std::chrono::seconds kJoinTimeout{30};
constexpr std::string_view kBlanks = " \t\r\n";
constexpr char kPaste[] = "Paste the token and press Enter: ";

struct InviteOptions {
  std::string name;
  std::string expires = "1h";
  bool frontend = false;
};

Outcome invite(const Context& context, const InviteOptions& options) {
  const auto lifetime = parse_duration(options.expires);
  if (!lifetime || lifetime->count() < 1000 || *lifetime > std::chrono::days(30)) {
    return trouble(Exit::usage,
                   "--expires: " + (lifetime ? "between 1s and 30d" : lifetime.error()));
  }
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  v1::CreateInvitationRequest request;
  request.set_name(options.name);
  request.set_frontend(options.frontend);
  request.set_lifetime_seconds(static_cast<std::uint32_t>(lifetime->count() / 1000));
  const auto invitation = agent->call(&v1::Hub::Stub::CreateInvitation, request);
  if (!invitation) {
    return std::unexpected(invitation.error());
  }
  std::cout << (context.json ? to_json(*invitation) : invitation->token() + "\n") << std::flush;
  std::cerr << "This token lets one agent join as " << invitation->name() << ", once, within "
            << options.expires << ". Whoever has it can use it.\n"
            << "On the other host: simplonctl join -    and paste it.\n";
  if (invitation->loopback_only()) {
    std::cerr << "Note: this hub listens on the loopback only, so the token works on this host "
                 "alone.\nFor other hosts start the agent with --hub-listen ADDR:PORT, and with "
                 "--hub-advertise ADDR:PORT where they reach it by another address.\n";
  }
  return {};
}

struct JoinOptions {
  std::string token;
  std::string token_file;
  std::string overlay;
  bool replace = false;
};

Answer<std::string> find_token(const JoinOptions& options) {
  if (!options.token.empty() && !options.token_file.empty()) {
    return trouble(Exit::usage, "join: give either a token or --token-file");
  }
  if (!options.token_file.empty()) {
    return read_secret(options.token_file, "--token-file", kPaste);
  }
  if (options.token == "-") {
    return read_secret("-", "join", kPaste);
  }
  return options.token.empty() ? variable("SIMPLON_JOIN_TOKEN") : options.token;
}

Outcome join(const Context& context, const JoinOptions& options) {
  auto token = find_token(options);
  if (!token) {
    return std::unexpected(token.error());
  }
  token->erase(0, std::min(token->find_first_not_of(kBlanks), token->size()));
  token->erase(token->find_last_not_of(kBlanks) + 1);
  if (token->empty()) {
    return trouble(Exit::usage, "join: no token",
                   "get one on the hub with: simplonctl hub invite NAME; then: simplonctl join -");
  }
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  v1::JoinOverlayRequest request;
  request.set_token(*token);
  request.set_name(options.overlay);
  request.set_replace(options.replace);
  auto overlay = agent->call(&v1::Agent::Stub::JoinOverlay, request, kJoinTimeout);
  if (!overlay) {
    if (overlay.error().code == grpc::StatusCode::PERMISSION_DENIED) {
      overlay.error().next = "get a new one on the hub with: simplonctl hub invite NAME";
    }
    return std::unexpected(overlay.error());
  }
  if (context.json) {
    std::cout << to_json(*overlay);
  } else {
    std::cout << overlay->identity() << "\n";
    std::cerr << "Joined overlay " << overlay->name() << " as " << overlay->identity() << ".\n";
  }
  return {};
}

void add_hub(CLI::App& app, Context& context) {
  auto* hub = app.add_subcommand("hub", "The hub role of the agent: who may join");
  hub->footer("Example:\n  simplonctl hub invite beta");
  hub->require_subcommand(1);
  auto options = std::make_shared<InviteOptions>();
  auto* command = hub->add_subcommand("invite", "Print a one-time token for another agent");
  command->footer(
      "Examples:\n"
      "  simplonctl hub invite beta\n"
      "  simplonctl hub invite edge --frontend --expires 10m\n"
      "The token goes to standard output, everything else to standard error.");
  command->add_option("NAME", options->name, "The new member's name")->required();
  command->add_flag("--frontend", options->frontend, "The member may run frontends");
  command->add_option("--expires", options->expires, "How long the token can be used; default: 1h")
      ->type_name("DURATION");
  command->callback([options, &context] {
    context.run = [options, &context] { return invite(context, *options); };
  });
}

void add_join(CLI::App& app, Context& context) {
  auto options = std::make_shared<JoinOptions>();
  auto* command = app.add_subcommand("join", "Join an overlay with a token of its hub");
  command->footer(
      "Examples:\n"
      "  simplonctl join -                        reads the token from standard input\n"
      "  simplonctl join --token-file token.txt\n"
      "  SIMPLON_JOIN_TOKEN=… simplonctl join\n"
      "A token on the command line works too, but others on this host see it there.");
  command->add_option("TOKEN", options->token, "The token, or - for standard input");
  command->add_option("--token-file", options->token_file, "Read the token from this file")
      ->type_name("FILE");
  command->add_option("--overlay", options->overlay, "Local name of the overlay; default: default")
      ->type_name("NAME");
  command->add_flag("--replace", options->replace,
                    "Give up the overlay that has this name, with its members and tunnels");
  command->callback([options, &context] {
    context.run = [options, &context] { return join(context, *options); };
  });
}

}  // namespace

void add_overlay_commands(CLI::App& app, Context& context) {
  add_hub(app, context);
  add_join(app, context);
}

}  // namespace simplon::ctl
