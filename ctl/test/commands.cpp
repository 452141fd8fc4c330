// The tree of "simplonctl test".
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/cli.hpp"
#include "ctl/test/endpoint.hpp"
#include "ctl/test/serve.hpp"
#include "ctl/test/tool.hpp"
#include "ctl/test/websocket_test.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

constexpr std::size_t kMaxSentMessage = 1024 * 1024;

struct WebsocketWords {
  std::string where;
  std::string message = "hi";
  std::string timeout = "10s";
  std::string interval = "1s";
  unsigned count = 1;
};

Outcome run_websocket(const Context& context, const WebsocketWords& words) {
  WebsocketTest test;
  test.json = context.json;
  auto url = parse_websocket_url(words.where);
  if (!url) {
    return trouble(Exit::usage, "test websocket: " + url.error());
  }
  const auto timeout = parse_duration(words.timeout);
  if (!timeout || timeout->count() == 0) {
    return trouble(Exit::usage, "--timeout: " + (timeout ? "must not be 0" : timeout.error()));
  }
  const auto interval = parse_duration(words.interval);
  if (!interval) {
    return trouble(Exit::usage, "--interval: " + interval.error());
  }
  if (words.message.size() > kMaxSentMessage) {
    return trouble(Exit::usage, "--message: at most 1 MiB");
  }
  test.url = std::move(*url);
  test.echo.authority = test.url.authority();
  test.echo.path = test.url.path;
  test.echo.message = words.message;
  test.echo.count = words.count;
  test.echo.interval = *interval;
  test.echo.timeout = *timeout;
  return run_tool([&test](net::Loop& loop) { return test_websocket(loop, test); });
}

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

void add_websocket(CLI::App& app, Context& context) {
  auto words = std::make_shared<WebsocketWords>();
  auto* command =
      app.add_subcommand("websocket", "Open a websocket, send a message, expect it back");
  command->footer(
      "Examples:\n"
      "  simplonctl test websocket localhost:9090          ws://localhost:9090/echo\n"
      "  simplonctl test websocket demo.localhost:8080     *.localhost is this host\n"
      "  simplonctl test websocket wss://example.org/chat --message hello\n"
      "  simplonctl test websocket localhost:9090 --count 0 --interval 500ms\n"
      "Prints each step (resolve, connect, open, handshake, echo) with the seconds since the "
      "start;\n"
      "a failure names the step that was reached.");
  command
      ->add_option("WHERE", words->where,
                   "HOST[:PORT], ws://HOST[:PORT][/PATH] or wss://…; path: /echo")
      ->required();
  command->add_option("--message", words->message, "What to send; default: hi")->type_name("TEXT");
  command->add_option("--timeout", words->timeout, "For all steps together; default: 10s")
      ->type_name("DURATION");
  command->add_option("--count", words->count, "How many messages; 0: until Ctrl-C; default: 1")
      ->type_name("N");
  command->add_option("--interval", words->interval, "From one message to the next; default: 1s")
      ->type_name("DURATION");
  command->callback([words, &context] {
    context.run = [words, &context] { return run_websocket(context, *words); };
  });
}

}  // namespace

void add_test_commands(CLI::App& app, Context& context) {
  auto* test = app.add_subcommand("test", "Tools that test a path: endpoint, websocket, proxy");
  test->require_subcommand(1);
  add_endpoint(*test, context);
  add_websocket(*test, context);
}

}  // namespace simplon::ctl
