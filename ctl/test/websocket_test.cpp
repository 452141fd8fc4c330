#include "ctl/test/websocket_test.hpp"

#include <iostream>
#include <utility>

#include <google/protobuf/struct.pb.h>

#include "base/ids.hpp"
#include "ctl/output.hpp"
#include "ctl/test/overlay_door.hpp"
#include "net/resolve.hpp"
#include "net/tcp.hpp"
#include "net/tls.hpp"

namespace simplon::ctl {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) {
    out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

// Every address of the name in order, each with an equal share of the time that is left.
net::awaitable<Answer<net::StreamPtr>> connect(net::Loop& loop, WebsocketUrl url,
                                               std::chrono::milliseconds limit, Steps& steps,
                                               net::TimePoint deadline) {
  steps.enter("resolve");
  const auto addresses = co_await net::resolve(loop, url.host, url.port, deadline);
  if (!addresses) {
    co_return steps.failed(addresses.error(), limit, "no such host: " + shown(url.host));
  }
  std::vector<std::string> names;
  for (const auto& address : *addresses) {
    names.push_back(net::to_string(address.endpoint()));
  }
  steps.say(url.host + " is " + joined(names));

  steps.enter("connect");
  std::error_code last;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto now = loop.now();
    if (now >= deadline) {
      last = make_error_code(base::Errc::timed_out);
      break;
    }
    const auto until = now + (deadline - now) / static_cast<net::Duration::rep>(names.size() - i);
    const auto address = (*addresses)[i].endpoint();
    auto stream = co_await net::connect_tcp(loop, address.host, address.port, until);
    if (stream) {
      steps.say(names[i]);
      co_return std::move(*stream);
    }
    last = stream.error();
    if (names.size() > 1) {
      steps.say(names[i] + ": " + last.message());
    }
  }
  co_return steps.failed(last, limit, "does a server listen at " + joined(names) + "?");
}

// TLS as a browser does it: the system's roots, and the certificate must be the host's.
net::awaitable<Answer<net::StreamPtr>> open_tls(net::StreamPtr stream, std::string host,
                                                std::chrono::milliseconds limit, Steps& steps,
                                                net::TimePoint deadline) {
  steps.enter("open");
  net::TlsOptions options;
  options.protocols = {{.name = "http/1.1"}};
  std::string why;
  const auto context = net::TlsContext::make(options, &why);
  if (!context) {
    co_return steps.failed("TLS cannot be set up: " + why);
  }
  auto opened = co_await net::tls_connect(std::move(stream), *context, host, deadline, &why);
  if (!opened) {
    co_return steps.failed(opened.error(), limit, why);
  }
  steps.say("TLS, the certificate is " + host + "'s");
  co_return std::move(*opened);
}

// The whole of the overlay's part: the link to the hub, then a stream to the service.
net::awaitable<Answer<net::StreamPtr>> open_service(net::Loop& loop, WebsocketTest test,
                                                    NetworkPtr* network, Steps& steps,
                                                    net::TimePoint deadline) {
  const auto limit = test.echo.timeout;
  const std::string place = place_of(*test.identity);
  steps.enter("connect");
  auto entered = co_await enter(loop, *test.identity, deadline);
  if (!entered) {
    const bool late = loop.now() >= deadline;
    co_return steps.failed((late ? "timed out after " + shown(limit) + "; " : "") + entered.error(),
                           place_advice(*test.identity));
  }
  *network = std::move(*entered);
  steps.say(place + " as " + (*network)->self());

  steps.enter("open");
  auto dialed = co_await dial(loop, *network, test.service, base::new_id(), deadline);
  if (!dialed) {
    const auto& failure = dialed.error();
    co_return steps.failed(failure.code == base::Errc::timed_out
                               ? "timed out after " + shown(limit) + "; " + failure.message()
                               : "service " + test.service + ": " + failure.message());
  }
  steps.say("service " + test.service + ", path " + dialed->path);
  co_return std::move(dialed->stream);
}

void print(const Steps& steps, const std::string& received) {
  google::protobuf::Struct out;
  auto& fields = *out.mutable_fields();
  fields["received"].set_string_value(received);
  fields["seconds"].set_number_value(steps.elapsed());
  auto& lines = *fields["steps"].mutable_list_value();
  for (const auto& line : steps.lines()) {
    auto& step = *lines.add_values()->mutable_struct_value()->mutable_fields();
    step["step"].set_string_value(line.step);
    step["detail"].set_string_value(line.detail);
    step["seconds"].set_number_value(line.seconds);
  }
  std::cout << to_json(out);
}

}  // namespace

net::awaitable<Outcome> test_websocket(net::Loop& loop, WebsocketTest test) {
  const auto steps = std::make_shared<Steps>(loop, std::cout, test.json);
  const auto deadline = loop.now() + test.echo.timeout;
  NetworkPtr network;  // outlives its streams
  Answer<net::StreamPtr> stream;
  if (test.identity) {
    stream = co_await open_service(loop, test, &network, *steps, deadline);
  } else {
    stream = co_await connect(loop, test.url, test.echo.timeout, *steps, deadline);
  }
  if (!stream) {
    co_return std::unexpected(stream.error());
  }
  if (!test.identity && test.url.tls) {
    stream =
        co_await open_tls(std::move(*stream), test.url.host, test.echo.timeout, *steps, deadline);
    if (!stream) {
      co_return std::unexpected(stream.error());
    }
  }
  const auto received = co_await test_echo(std::move(*stream), test.echo, steps, deadline);
  if (!received) {
    co_return std::unexpected(received.error());
  }
  if (test.json) {
    print(*steps, *received);
  } else {
    steps->print("i received: " + shown(*received));
  }
  co_return Outcome{};
}

}  // namespace simplon::ctl
