#include "http/engine.hpp"

#include "http/exchange.hpp"
#include "http/request_reader.hpp"

namespace simplon::http {
namespace {

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

}  // namespace

net::awaitable<void> serve(net::StreamPtr client, std::shared_ptr<Ends> ends,
                           std::shared_ptr<const Policy> policy, std::string connection_id,
                           std::shared_ptr<Drain> drain) {
  Connection connection{std::make_shared<Inlet>(client), std::move(ends), std::move(policy),
                        std::move(connection_id), std::move(drain)};
  RequestReader reader(*connection.client, connection.policy->limits, connection.policy->timeouts,
                       connection.drain);
  for (;;) {
    const auto outcome = co_await reader.next();
    if (outcome == RequestReader::Outcome::refused) {
      co_return co_await refuse(connection, reader.head(), reader.verdict());
    }
    if (outcome == RequestReader::Outcome::over) {
      client->close();
      co_return;
    }
    Exchange exchange(connection, reader.head());
    switch (co_await exchange.run()) {
      case Exchange::End::keep:
        break;
      case Exchange::End::linger:
        co_return co_await linger(*connection.client, connection.policy->timeouts.linger);
      case Exchange::End::close:
      case Exchange::End::cut:
      case Exchange::End::gone:
        client->close();
        co_return;
    }
  }
}

}  // namespace simplon::http
