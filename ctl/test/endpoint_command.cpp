// The words of "test endpoint".
#include <iostream>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "ctl/test/commands.hpp"
#include "ctl/test/endpoint.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/tool.hpp"

namespace simplon::ctl {
namespace {

struct EndpointWords : ServeWords {
  bool quiet = false;
};

struct EndpointPlan {
  ServeAt at;
  std::optional<overlay::Membership> identity;
  bool json = false;
  bool quiet = false;
};

net::awaitable<Outcome> serve_endpoint(net::Loop& loop, EndpointPlan plan) {
  Endpoint::Seen seen;
  if (!plan.quiet) {
    seen = [](std::string_view method, std::string_view target) {
      std::cerr << method << " " << target.substr(0, 200) << "\n";
    };
  }
  const auto endpoint = std::make_shared<Endpoint>(loop, std::move(seen));
  const auto drain = std::make_shared<http::Drain>();
  Serve serve = [&loop, endpoint, drain](Arrived arrived) {
    net::spawn(loop, "connection",
               http::serve_locally(std::move(arrived.stream), endpoint, {}, drain));
  };
  if (plan.at.listen) {
    co_return co_await serve_tcp(loop, *plan.at.listen, plan.json, std::move(serve));
  }
  const auto network = co_await enter(loop, *plan.identity, loop.now() + kOverlayTimeout);
  if (!network) {
    co_return trouble(Exit::failed, "overlay: " + network.error(), place_advice(*plan.identity));
  }
  co_return co_await serve_overlay(loop, *network, plan.at.service, plan.json, std::move(serve));
}

Outcome run_endpoint(const Context& context, const EndpointWords& words) {
  const auto at = serve_at(words, "test endpoint");
  if (!at) {
    return std::unexpected(at.error());
  }
  EndpointPlan plan{*at, std::nullopt, context.json, words.quiet};
  if (!at->listen) {
    auto identity = read_identity(words.identity);
    if (!identity) {
      return std::unexpected(identity.error());
    }
    plan.identity = std::move(*identity);
  }
  return run_tool([&plan](net::Loop& loop) { return serve_endpoint(loop, plan); });
}

}  // namespace

void add_endpoint(CLI::App& app, Context& context) {
  auto words = std::make_shared<EndpointWords>();
  auto* command = app.add_subcommand("endpoint", "An HTTP server to test a path with");
  command->footer("Serves:\n" + std::string(kEndpointPaths) +
                  "\n"
                  "Examples:\n"
                  "  simplonctl test endpoint --listen 127.0.0.1:9090\n"
                  "  simplonctl test endpoint --identity host.json --service ws");
  add_serve_words(*command, *words);
  command->add_flag("--quiet", words->quiet, "Do not print each request");
  command->callback([words, &context] {
    context.run = [words, &context] { return run_endpoint(context, *words); };
  });
}

}  // namespace simplon::ctl
