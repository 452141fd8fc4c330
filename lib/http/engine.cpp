#include "http/engine.hpp"

#include "http/exchange.hpp"
#include "http/request_reader.hpp"
#include "net/splice.hpp"

namespace simplon::http {
namespace {

constexpr std::size_t kMostKept = 8 * 1024;  // bytes of a head's memory, between requests

// What cannot be read as a request is answered without going anywhere.
net::awaitable<void> refuse(Connection& connection, const RequestHead& head, Verdict verdict) {
  const std::string answer =
      render(error_response(verdict), {.json = prefers_json(head), .head = head.method == "HEAD"});
  Ends::Outcome outcome;
  outcome.method = head.method;
  outcome.target = head.target;
  outcome.status = verdict.status;
  connection.ends->finished(outcome);
  if (co_await net::write_all(connection.client->stream(), net::as_buffer(answer))) {
    co_await linger(*connection.client, connection.policy->timeouts.linger);
  } else {
    connection.client->stream().close();
  }
}

// What is left of a connection after HTTP: little, because it may idle for days.
struct Upgraded {
  Exchange::Switched streams;
  std::string method;
  std::string target;
};

net::awaitable<std::optional<Upgraded>> converse(Connection& connection) {
  net::Stream& client = connection.client->stream();
  RequestReader reader(*connection.client, connection.policy->limits, connection.policy->timeouts,
                       connection.drain);
  Scratch scratch(connection.policy->limits);
  for (;;) {
    if (scratch.out.capacity() > kMostKept) {  // large heads are rare, idle connections are many
      scratch.out = {};
      scratch.response = {};
      reader.forget_head();
    }
    const auto outcome = co_await reader.next();
    if (outcome == RequestReader::Outcome::refused) {
      co_await refuse(connection, reader.head(), reader.verdict());
      co_return std::nullopt;
    }
    if (outcome == RequestReader::Outcome::over) {
      client.close();
      co_return std::nullopt;
    }
    Exchange exchange(connection, reader.head(), scratch);
    switch (co_await exchange.run()) {
      case Exchange::End::keep:
        break;
      case Exchange::End::switch_protocols:
        co_return Upgraded{exchange.take_switched(), reader.head().method, reader.head().target};
      case Exchange::End::linger:
        co_await linger(*connection.client, connection.policy->timeouts.linger);
        co_return std::nullopt;
      case Exchange::End::close:
      case Exchange::End::cut:
      case Exchange::End::gone:
        client.close();
        co_return std::nullopt;
    }
  }
}

}  // namespace

net::awaitable<void> serve(net::StreamPtr client, std::shared_ptr<Ends> ends,
                           std::shared_ptr<const Policy> policy, std::string connection_id,
                           std::shared_ptr<Drain> drain) {
  Connection connection{std::make_shared<Inlet>(std::move(client)), std::move(ends),
                        std::move(policy), std::move(connection_id), std::move(drain)};
  auto upgraded = co_await converse(connection);
  if (!upgraded) {
    co_return;
  }
  connection.client.reset();
  auto streams = std::move(upgraded->streams);
  const auto passed = co_await net::splice(std::move(streams.client), std::move(streams.upstream));
  Ends::Outcome outcome;
  outcome.method = upgraded->method;
  outcome.target = upgraded->target;
  outcome.status = 101;
  outcome.bytes_in = passed.forward;
  outcome.bytes_out = passed.backward;
  outcome.upgraded = true;
  connection.ends->finished(outcome);
}

}  // namespace simplon::http
