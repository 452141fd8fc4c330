// The words of "test proxy".
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/test/commands.hpp"
#include "ctl/test/proxy.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/tool.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

struct ProxyWords {
  std::string listen;
  std::string to;
};

net::awaitable<Outcome> serve_proxy(net::Loop& loop, net::Endpoint listen, bool json, Dial dial) {
  const auto ends = std::make_shared<FixedEnds>(loop, std::move(dial));
  const auto drain = std::make_shared<http::Drain>();
  co_return co_await serve_tcp(loop, listen, json, [&loop, ends, drain](Arrived arrived) {
    http::Policy policy;
    policy.forwarding = http::Forwarding::append;
    policy.client_address = arrived.address;
    policy.hop = base::Hop::access;
    net::spawn(loop, "connection",
               http::serve(std::move(arrived.stream), ends,
                           std::make_shared<const http::Policy>(std::move(policy)),
                           std::move(arrived.id), drain));
  });
}

Answer<tunnel::Target> http_target(const std::string& typed) {
  const auto text = parse_target(typed, std::filesystem::current_path().string());
  if (!text) {
    return trouble(Exit::usage, "--to: " + text.error());
  }
  auto target = tunnel::parse_target(*text);
  if (!target.ok()) {
    return trouble(Exit::usage, "--to: " + std::string(target.status().message()));
  }
  if (target->scheme == tunnel::Target::Scheme::tcp) {
    return trouble(Exit::usage,
                   "--to: the test proxy speaks HTTP; for raw bytes use share and "
                   "access --tcp");
  }
  return *std::move(target);
}

Answer<std::shared_ptr<const net::TlsContext>> tls_of(const tunnel::Target& target) {
  if (target.scheme != tunnel::Target::Scheme::https) {
    return nullptr;
  }
  net::TlsOptions options;
  options.protocols = {{.name = "http/1.1"}};
  std::string why;
  const auto context = net::TlsContext::make(options, &why);
  if (!context) {
    return trouble(Exit::failed, "TLS cannot be set up: " + why);
  }
  return *context;
}

Outcome run_proxy(const Context& context, const ProxyWords& words) {
  if (words.listen.empty() || words.to.empty()) {
    return trouble(Exit::usage,
                   "test proxy: say from where, with --listen ADDR:PORT, and where "
                   "to, with --to http://HOST:PORT");
  }
  const auto listen = listen_endpoint(words.listen);
  if (!listen) {
    return std::unexpected(listen.error());
  }
  const auto target = http_target(words.to);
  if (!target) {
    return std::unexpected(target.error());
  }
  const auto tls = tls_of(*target);
  if (!tls) {
    return std::unexpected(tls.error());
  }
  return run_tool([&](net::Loop& loop) {
    return serve_proxy(loop, *listen, context.json, dial_target(loop, *target, *tls));
  });
}

}  // namespace

void add_proxy(CLI::App& app, Context& context) {
  auto words = std::make_shared<ProxyWords>();
  auto* command = app.add_subcommand("proxy", "The tunnels' HTTP proxy alone, without an agent");
  command->footer(
      "Example:\n"
      "  simplonctl test proxy --listen 127.0.0.1:1111 --to http://localhost:9090");
  command
      ->add_option("--listen", words->listen, "Where; 1111 means 127.0.0.1:1111, port 0 a free one")
      ->type_name("ADDR:PORT");
  command
      ->add_option("--to", words->to,
                   "Where to: 9090, localhost:9090, http://…, https://… or unix:/path")
      ->type_name("TARGET");
  command->callback([words, &context] {
    context.run = [words, &context] { return run_proxy(context, *words); };
  });
}

}  // namespace simplon::ctl
