// The words of "test websocket".
#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/test/commands.hpp"
#include "ctl/test/overlay_door.hpp"
#include "ctl/test/tool.hpp"
#include "ctl/test/websocket_test.hpp"
#include "ctl/text.hpp"

namespace simplon::ctl {
namespace {

constexpr std::size_t kMaxSentMessage = 1024 * 1024;

struct WebsocketWords {
  std::string where;
  std::string identity;
  std::string service;
  std::string message = "hi";
  std::string timeout = "10s";
  std::string interval = "1s";
  unsigned count = 1;
};

// Where to: WHERE, or --identity and --service.
Outcome put_destination(const WebsocketWords& words, WebsocketTest& test) {
  const bool overlay = !words.identity.empty() || !words.service.empty();
  if (overlay == !words.where.empty() || words.identity.empty() != words.service.empty()) {
    return trouble(Exit::usage,
                   "test websocket: say where to: either HOST:PORT or a ws:// URL, or --identity "
                   "FILE --service NAME");
  }
  if (overlay) {
    if (auto valid = check_service(words.service, "--service"); !valid) {
      return valid;
    }
    auto identity = read_identity(words.identity);
    if (!identity) {
      return std::unexpected(identity.error());
    }
    test.identity = std::move(*identity);
    test.service = words.service;
    // A Host header takes fewer characters than the name of a service.
    test.echo.authority = overlay::valid_service_name(words.service) ? words.service : "localhost";
    test.echo.path = kEchoPath;
    return {};
  }
  auto url = parse_websocket_url(words.where);
  if (!url) {
    return trouble(Exit::usage, "test websocket: " + url.error());
  }
  test.url = std::move(*url);
  test.echo.authority = test.url.authority();
  test.echo.path = test.url.path;
  return {};
}

Outcome run_websocket(const Context& context, const WebsocketWords& words) {
  WebsocketTest test;
  test.json = context.json;
  if (auto put = put_destination(words, test); !put) {
    return put;
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
  test.echo.message = words.message;
  test.echo.count = words.count;
  test.echo.interval = *interval;
  test.echo.timeout = *timeout;
  return run_tool([&test](net::Loop& loop) { return test_websocket(loop, test); }, "off");
}

}  // namespace

void add_websocket(CLI::App& app, Context& context) {
  auto words = std::make_shared<WebsocketWords>();
  auto* command =
      app.add_subcommand("websocket", "Open a websocket, send a message, expect it back");
  command->footer(
      "Examples:\n"
      "  simplonctl test websocket localhost:9090          ws://localhost:9090/echo\n"
      "  simplonctl test websocket demo.localhost:8080     *.localhost is this host\n"
      "  simplonctl test websocket wss://example.org/chat --message hello\n"
      "  simplonctl test websocket --identity client.json --service ws\n"
      "  simplonctl test websocket localhost:9090 --count 0 --interval 500ms\n"
      "Prints each step (resolve, connect, open, handshake, echo) with the seconds since the "
      "start;\n"
      "a failure names the step that was reached.");
  command->add_option("WHERE", words->where,
                      "HOST[:PORT], ws://HOST[:PORT][/PATH] or wss://…; path: /echo");
  command
      ->add_option("--identity", words->identity,
                   "Over the overlay of this identity; several tools may use one file at once")
      ->type_name("FILE");
  command->add_option("--service", words->service, "The service there; with --identity")
      ->type_name("NAME");
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

}  // namespace simplon::ctl
