#include "ctl/test/commands.hpp"

#include <CLI/CLI.hpp>

#include "ctl/test/steps.hpp"
#include "ctl/text.hpp"
#include "overlay/network.hpp"

namespace simplon::ctl {

Answer<net::Endpoint> listen_endpoint(const std::string& typed) {
  const auto text = parse_listen(typed);
  if (!text) {
    return trouble(Exit::usage, "--listen: " + text.error());
  }
  const auto endpoint = net::parse_endpoint(*text);
  if (!endpoint) {
    return trouble(Exit::usage, "--listen: " + typed + " is not an address");
  }
  return *endpoint;
}

void add_serve_words(CLI::App& command, ServeWords& words) {
  command
      .add_option("--listen", words.listen, "Where; 9090 means 127.0.0.1:9090, port 0 a free one")
      ->type_name("ADDR:PORT");
  command
      .add_option("--identity", words.identity,
                  "On the overlay of this identity; several tools may use one file at once")
      ->type_name("FILE");
  command.add_option("--service", words.service, "The name there; with --identity")
      ->type_name("NAME");
}

Answer<ServeAt> serve_at(const ServeWords& words, const std::string& tool) {
  if (words.listen.empty() == words.service.empty()) {
    return trouble(Exit::usage,
                   tool +
                       ": say where: either --listen ADDR:PORT, or --identity FILE --service "
                       "NAME",
                   "for example: simplonctl " + tool + " --listen 127.0.0.1:0; see --help");
  }
  if (words.listen.empty()) {
    if (auto valid = check_service(words.service, "--service"); !valid) {
      return std::unexpected(valid.error());
    }
    if (words.identity.empty()) {
      return trouble(Exit::usage, tool + ": --service needs --identity FILE, too");
    }
    return ServeAt{std::nullopt, words.service};
  }
  const auto listen = listen_endpoint(words.listen);
  if (!listen) {
    return std::unexpected(listen.error());
  }
  return ServeAt{*listen, {}};
}

Outcome check_service(const std::string& typed, const std::string& option) {
  if (!overlay::valid_service_text(typed)) {
    return trouble(Exit::usage, option + ": \"" + shown(typed.substr(0, 100)) +
                                    "\" is not a service name: 1 to 256 bytes of text");
  }
  return {};
}

void add_test_commands(CLI::App& app, Context& context) {
  auto* test = app.add_subcommand("test", "Tools that test a path: endpoint, websocket, proxy");
  test->footer("They run until Ctrl-C or their end and need no agent. Each has its own --help.");
  test->require_subcommand(1);
  add_endpoint(*test, context);
  add_websocket(*test, context);
  add_proxy(*test, context);
}

}  // namespace simplon::ctl
