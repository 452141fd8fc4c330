#include "ctl/test/commands.hpp"

#include <CLI/CLI.hpp>

#include "ctl/text.hpp"

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

void add_test_commands(CLI::App& app, Context& context) {
  auto* test = app.add_subcommand("test", "Tools that test a path: endpoint, websocket, proxy");
  test->require_subcommand(1);
  add_endpoint(*test, context);
  add_websocket(*test, context);
  add_proxy(*test, context);
}

}  // namespace simplon::ctl
