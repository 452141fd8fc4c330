// The words of "test proxy".
#include <filesystem>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "ctl/test/commands.hpp"
#include "ctl/test/proxy.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/tool.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

struct ProxyWords : ServeWords {
  std::string to;
  std::string to_service;
};

struct ProxyPlan {
  ServeAt at;
  std::optional<overlay::Membership> identity;
  tunnel::Target target;  // unless to_service
  std::shared_ptr<const net::TlsContext> tls;
  std::string to_service;
  bool json = false;
};

// As a share does for what comes from the overlay, as an access for what comes from a listener.
std::shared_ptr<const http::Policy> policy_of(const ProxyPlan& plan) {
  http::Policy policy;
  policy.hop = plan.at.listen ? base::Hop::access : base::Hop::share;
  return std::make_shared<const http::Policy>(std::move(policy));
}

http::Client client_of(const ProxyPlan& plan, const Arrived& arrived) {
  return plan.at.listen ? http::Client{.forwarding = http::Forwarding::append,
                                       .address = arrived.address,
                                       .peer = {}}
                        : http::Client{};
}

net::awaitable<Outcome> serve_proxy(net::Loop& loop, std::shared_ptr<const ProxyPlan> plan) {
  NetworkPtr network;
  if (plan->identity) {
    auto entered = co_await enter(loop, *plan->identity, loop.now() + kOverlayTimeout);
    if (!entered) {
      co_return trouble(Exit::failed, "overlay: " + entered.error(), place_advice(*plan->identity));
    }
    network = std::move(*entered);
  }
  Dial dial = plan->to_service.empty() ? dial_target(loop, plan->target, plan->tls)
                                       : dial_service(loop, network, plan->to_service);
  const auto ends = std::make_shared<FixedEnds>(loop, std::move(dial));
  const auto drain = std::make_shared<http::Drain>();
  Serve serve = [&loop, plan, ends, drain, policy = policy_of(*plan)](Arrived arrived) {
    auto who = client_of(*plan, arrived);
    net::spawn(loop, "connection",
               http::serve(std::move(arrived.stream), ends, policy, std::move(who),
                           std::move(arrived.id), drain));
  };
  if (plan->at.listen) {
    co_return co_await serve_tcp(loop, *plan->at.listen, plan->json, std::move(serve));
  }
  co_return co_await serve_overlay(loop, network, plan->at.service, plan->json, std::move(serve));
}

Answer<tunnel::Target> http_target(const std::string& typed) {
  auto target = tunnel::parse_target(target_from(typed, std::filesystem::current_path().string()));
  if (!target.ok()) {
    return trouble(Exit::usage, "--to: " + std::string(target.status().message()));
  }
  if (target->scheme == tunnel::Target::Scheme::tcp) {
    return trouble(Exit::usage,
                   "--to: the test proxy speaks HTTP; for raw bytes use share and "
                   "access --tcp");
  }
  if (target->scheme == tunnel::Target::Scheme::h2c) {
    return trouble(Exit::usage,
                   "--to: the test proxy speaks HTTP/1.1; for HTTP/2 use share and access");
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

// Where to: --to or --to-service.
Outcome put_destination(const ProxyWords& words, ProxyPlan& plan) {
  if (words.to.empty() == words.to_service.empty()) {
    return trouble(Exit::usage,
                   "test proxy: say where to: either --to http://HOST:PORT, or --identity FILE "
                   "--to-service NAME");
  }
  if (!words.to_service.empty()) {
    plan.to_service = words.to_service;
    return check_service(words.to_service, "--to-service");
  }
  const auto target = http_target(words.to);
  if (!target) {
    return std::unexpected(target.error());
  }
  const auto tls = tls_of(*target);
  if (!tls) {
    return std::unexpected(tls.error());
  }
  plan.target = *target;
  plan.tls = *tls;
  return {};
}

Outcome run_proxy(const Context& context, const ProxyWords& words) {
  const auto at = serve_at(words, "test proxy");
  if (!at) {
    return std::unexpected(at.error());
  }
  const auto plan = std::make_shared<ProxyPlan>();
  plan->at = *at;
  plan->json = context.json;
  if (auto put = put_destination(words, *plan); !put) {
    return put;
  }
  if (!at->listen || !plan->to_service.empty()) {
    if (words.identity.empty()) {
      return trouble(Exit::usage, "test proxy: --to-service needs --identity FILE, too");
    }
    auto identity = read_identity(words.identity);
    if (!identity) {
      return std::unexpected(identity.error());
    }
    plan->identity = std::move(*identity);
  }
  return run_tool([&plan](net::Loop& loop) { return serve_proxy(loop, plan); });
}

}  // namespace

void add_proxy(CLI::App& app, Context& context) {
  auto words = std::make_shared<ProxyWords>();
  auto* command = app.add_subcommand("proxy", "The tunnels' HTTP proxy alone, without an agent");
  command->footer(
      "Examples:\n"
      "  simplonctl test proxy --listen 127.0.0.1:1111 --to http://localhost:9090\n"
      "  simplonctl test proxy --identity host.json --service ws2 --to http://localhost:9090\n"
      "  simplonctl test proxy --listen 127.0.0.1:1112 --identity client.json --to-service ws2");
  add_serve_words(*command, *words);
  command
      ->add_option("--to", words->to,
                   "Where to: 9090, localhost:9090, http://…, https://… or unix:/path")
      ->type_name("TARGET");
  command->add_option("--to-service", words->to_service, "Where to: a service on the overlay")
      ->type_name("NAME");
  command->callback([words, &context] {
    context.run = [words, &context] { return run_proxy(context, *words); };
  });
}

}  // namespace simplon::ctl
