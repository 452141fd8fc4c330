#include "ctl/cli.hpp"

#include <csignal>
#include <iostream>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <sodium/core.h>

#include "base/version.hpp"
#include "ctl/output.hpp"

namespace simplon::ctl {
namespace {

constexpr char kAbout[] =
    "Drives a Simplon agent: shares a local service on an overlay, opens accesses and frontends "
    "to shares, and tests the path.";

constexpr char kExamples[] =
    "Examples:\n"
    "  simplonctl share 3000 --name demo --public       share http://localhost:3000 as demo\n"
    "  simplonctl access demo --listen 127.0.0.1:9191   reach it on this host\n"
    "  simplonctl frontend --zone localhost --listen 127.0.0.1:8080\n"
    "  simplonctl hub invite beta                       a token for another host\n"
    "  simplonctl join -                                paste it there\n"
    "  simplonctl overlay add prod --identity prod.json a network of OpenZiti\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no agent answers, 4 not found. With -o json an "
    "error\n"
    "is one object on standard error, {\"error\": {code, exit_code, message, hop, advice}}.\n"
    "Each command has its own --help.";

// The options of the whole line work behind a command, too, where its own help does not list them.
void explain_globals(CLI::App& app) {
  for (auto* command : app.get_subcommands({})) {
    if (command->get_subcommands({}).empty()) {
      auto footer = command->get_footer();
      footer += footer.empty() ? "" : "\n\n";
      command->footer(footer +
                      "Also: -o json, --socket PATH, --state-dir DIR; see simplonctl --help.");
    }
    explain_globals(*command);
  }
}

// The command itself, or the one that the words lead to; none if there is no such command.
CLI::App* find_command(CLI::App& app, const std::vector<std::string>& words) {
  CLI::App* at = &app;
  for (const auto& word : words) {
    const auto named =
        at->get_subcommands([&word](const CLI::App* sub) { return sub->get_name() == word; });
    if (named.empty()) {
      return nullptr;
    }
    at = named.front();
  }
  return at;
}

std::string in_words(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

std::unexpected<Trouble> no_command(const std::string& name) {
  return trouble(Exit::usage, "there is no command \"" + name + "\"", "see simplonctl --help");
}

void add_help(CLI::App& app, Context& context) {
  auto words = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand("help", "Show this help, or that of a command");
  command->footer("Example:\n  simplonctl help hub invite");
  command->add_option("COMMAND", *words, "The command's name");
  command->callback([words, &app, &context] {
    context.run = [words, &app]() -> Outcome {
      const CLI::App* about = find_command(app, *words);
      if (about == nullptr) {
        return no_command(in_words(*words));
      }
      // Not about->help(): that is about the command which was chosen, this one.
      auto name = app.get_name() + (words->empty() ? "" : " " + in_words(*words));
      std::cout << app.get_formatter()->make_help(about, name, CLI::AppFormatMode::Normal);
      return {};
    };
  });
}

// A line that ends before its command. CLI11 looks for the command that is missing before it looks
// at words that it does not know, so a mistyped command would not be named.
Trouble unfinished(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::vector<std::string> words;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    words.push_back(at->get_name());
  }
  const auto unknown = app.remaining(true);
  const bool takes_command = !at->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (takes_command && !unknown.empty()) {
    if (unknown.front().starts_with('-')) {
      return {Exit::usage, "there is no option \"" + unknown.front() + "\"",
              "see simplonctl --help"};
    }
    words.push_back(unknown.front());
    return no_command(in_words(words)).error();
  }
  return {Exit::usage, error.what(), "see simplonctl --help, or --help of the command"};
}

// Also of a line that does not parse.
bool wants_json(int argc, const char* const* argv) {
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      break;
    }
    if ((word == "-o" || word == "--output") && i + 1 < argc) {
      json = std::string_view(argv[++i]) == "json";
    } else if (word.starts_with("--output=")) {
      json = word == "--output=json";
    } else if (word.starts_with("-o") && word.size() > 2) {
      json = word == "-ojson" || word == "-o=json";
    }
  }
  return json;
}

void print(const Trouble& trouble, bool json) {
  if (json) {
    std::cerr << to_json(trouble);
    return;
  }
  std::cerr << "simplonctl: " << trouble.what << "\n";
  if (!trouble.next.empty()) {
    std::cerr << "  " << trouble.next << "\n";
  }
}

}  // namespace

void build(CLI::App& app, Context& context) {
  app.description(kAbout);
  app.set_version_flag("--version", "simplonctl " + base::version());
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(34);
  app.add_option("--socket", context.socket,
                 "The agent's control socket (SIMPLON_SOCKET); default: the user's, then the "
                 "system's")
      ->type_name("PATH");
  app.add_option("--state-dir", context.state_dir,
                 "The agent's state folder, whose agent.sock is used (SIMPLON_STATE_DIR)")
      ->type_name("DIR");
  app.add_option_function<std::string>(
         "-o,--output", [&context](const std::string& value) { context.json = value == "json"; },
         "table for people, json for programs (protobuf's JSON mapping)")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->type_name("table|json");
  add_tunnel_commands(app, context);
  add_resource_commands(app, context);
  add_doctor_command(app, context);
  add_agent_commands(app, context);
  add_overlay_commands(app, context);
  add_membership_commands(app, context);
  add_identity_commands(app, context);
  add_test_commands(app, context);
  add_help(app, context);
  explain_globals(app);
  // Last, because a command takes over the footer that its parent has when it is made.
  app.footer(kExamples);
}

int main(int argc, const char* const* argv) {
  // A reader of our output that went away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  const bool json = wants_json(argc, argv);
  if (sodium_init() < 0) {
    print({Exit::failed, "no source of random numbers"}, json);
    return static_cast<int>(Exit::failed);
  }
  CLI::App app("", "simplonctl");
  Context context;
  build(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    print(unfinished(app, error), json);
    return static_cast<int>(Exit::usage);
  }
  try {
    const Outcome outcome = context.run();
    std::cout.flush();
    if (!outcome) {
      print(outcome.error(), json);
      return static_cast<int>(outcome.error().exit);
    }
    if (!std::cout) {
      print({Exit::failed, "cannot write to standard output"}, json);
      return static_cast<int>(Exit::failed);
    }
  } catch (const std::exception& error) {
    print({Exit::failed, std::string("internal error: ") + error.what(),
           "this is a defect of simplonctl; please report it"},
          json);
    return static_cast<int>(Exit::failed);
  }
  return static_cast<int>(Exit::done);
}

}  // namespace simplon::ctl
