// The words of "test endpoint".
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/test/commands.hpp"
#include "ctl/test/endpoint.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/tool.hpp"

namespace simplon::ctl {
namespace {

struct EndpointWords {
  std::string listen;
  bool quiet = false;
};

net::awaitable<Outcome> serve_endpoint(net::Loop& loop, net::Endpoint listen, bool json,
                                       bool quiet) {
  Endpoint::Seen seen;
  if (!quiet) {
    seen = [](std::string_view method, std::string_view target) {
      std::cerr << method << " " << target.substr(0, 200) << "\n";
    };
  }
  const auto endpoint = std::make_shared<Endpoint>(loop, std::move(seen));
  const auto drain = std::make_shared<http::Drain>();
  co_return co_await serve_tcp(loop, listen, json, [&loop, endpoint, drain](Arrived arrived) {
    net::spawn(loop, "connection",
               http::serve_locally(std::move(arrived.stream), endpoint, {}, drain));
  });
}

Outcome run_endpoint(const Context& context, const EndpointWords& words) {
  if (words.listen.empty()) {
    return trouble(Exit::usage, "test endpoint: say where, with --listen ADDR:PORT",
                   "for example: simplonctl test endpoint --listen 127.0.0.1:9090");
  }
  const auto listen = listen_endpoint(words.listen);
  if (!listen) {
    return std::unexpected(listen.error());
  }
  return run_tool(
      [&](net::Loop& loop) { return serve_endpoint(loop, *listen, context.json, words.quiet); });
}

}  // namespace

void add_endpoint(CLI::App& app, Context& context) {
  auto words = std::make_shared<EndpointWords>();
  auto* command = app.add_subcommand("endpoint", "An HTTP server to test a path with");
  command->footer("Serves:\n" + std::string(kEndpointPaths) +
                  "Example:\n"
                  "  simplonctl test endpoint --listen 127.0.0.1:9090");
  command
      ->add_option("--listen", words->listen, "Where; 9090 means 127.0.0.1:9090, port 0 a free one")
      ->type_name("ADDR:PORT");
  command->add_flag("--quiet", words->quiet, "Do not print each request");
  command->callback([words, &context] {
    context.run = [words, &context] { return run_endpoint(context, *words); };
  });
}

}  // namespace simplon::ctl
