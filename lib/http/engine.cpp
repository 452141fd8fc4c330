#include "http/engine.hpp"

#include "http/exchange.hpp"
#include "http/http2_preface.hpp"
#include "http/pipeline.hpp"
#include "http/request_reader.hpp"

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
  outcome.refused = true;
  connection.ends->finished(outcome);
  if (co_await net::write_all(connection.client->stream(), net::as_buffer(answer))) {
    co_await linger(*connection.client, connection.policy->timeouts.linger);
  } else {
    connection.client->stream().close();
  }
}

// What is left of a connection after HTTP: little, because it may idle for days.
struct Unparsed {
  Exchange::Switched streams;
  std::shared_ptr<net::SpliceCounters> counters;
  struct Upgrade {
    std::string method;
    std::string target;
  };
  std::optional<Upgrade> upgrade;  // none: HTTP/2 from its first byte
};

// The client began with the preface of HTTP/2. Nothing is read of it meanwhile.
net::awaitable<std::optional<Unparsed>> carry_http2(Connection& connection) {
  Inlet& client = *connection.client;
  const Policy& policy = *connection.policy;
  std::expected<Upstream, base::Failure> upstream =
      std::unexpected(base::Failure{policy.hop, make_error_code(base::Errc::draining), {}});
  if (!connection.draining()) {
    upstream = co_await connection.ends->connect_http2(
        connection.loop(), connection.id, std::string(client.bytes()),
        over_at(connection.now(), policy.timeouts.connect));
  }
  if (upstream) {
    client.consume(client.bytes().size());
    co_return Unparsed{
        .streams = {.client = client.stream_ptr(), .upstream = std::move(upstream->stream)},
        .counters = std::move(upstream->counters),
        .upgrade = {}};
  }
  base::Failure failure = std::move(upstream.error());
  if (failure.hop == base::Hop::client) {
    failure.hop = policy.hop;
  }
  Ends::Outcome outcome;
  outcome.method = "PRI";  // as much of a request as was seen
  outcome.target = "*";
  outcome.status = status_of(failure.code);
  outcome.refused = true;
  connection.ends->finished(outcome);
  co_await refuse_http2(client, std::move(failure), policy.timeouts.linger);
  co_return std::nullopt;
}

net::awaitable<std::optional<Unparsed>> converse(Connection& connection) {
  net::Stream& client = connection.client->stream();
  RequestReader reader(*connection.client, connection.policy->limits, connection.policy->timeouts,
                       connection.drain);
  Scratch scratch(connection.policy->limits);
  Pipeline pipeline;
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
    if (outcome == RequestReader::Outcome::http2) {
      co_return co_await carry_http2(connection);
    }
    if (outcome == RequestReader::Outcome::over) {
      client.close();
      co_return std::nullopt;
    }
    if (!pipeline.next(connection.client->consumed())) {
      co_await refuse(connection, reader.head(), {503, "too_many_pipelined"});
      co_return std::nullopt;
    }
    Exchange exchange(connection, reader.head(), scratch);
    switch (co_await exchange.run()) {
      case Exchange::End::keep: {
        const Inlet& inlet = *connection.client;
        pipeline.answered(inlet.consumed(), inlet.consumed() + inlet.bytes().size());
        break;
      }
      case Exchange::End::switch_protocols:
        co_return Unparsed{
            .streams = exchange.take_switched(),
            .counters = {},
            .upgrade = Unparsed::Upgrade{reader.head().method, reader.head().target}};
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
                           std::shared_ptr<const Policy> policy, Client who,
                           std::string connection_id, std::shared_ptr<Drain> drain) {
  Connection connection{.client = std::make_shared<Inlet>(std::move(client)),
                        .ends = std::move(ends),
                        .policy = std::move(policy),
                        .who = std::move(who),
                        .id = std::move(connection_id),
                        .drain = std::move(drain)};
  auto unparsed = co_await converse(connection);
  if (!unparsed) {
    co_return;
  }
  connection.client.reset();
  auto streams = std::move(unparsed->streams);
  net::SpliceOptions options;
  if (unparsed->upgrade) {
    options.idle_timeout = connection.policy->timeouts.websocket_idle;
  }
  options.counters = std::move(unparsed->counters);
  const auto passed = co_await net::splice(std::move(streams.client), std::move(streams.upstream),
                                           std::move(options));
  if (!unparsed->upgrade) {
    co_return;  // what the calls inside were, and how many, nobody here knows
  }
  Ends::Outcome outcome;
  outcome.method = unparsed->upgrade->method;
  outcome.target = unparsed->upgrade->target;
  outcome.status = 101;
  outcome.bytes_in = passed.forward;
  outcome.bytes_out = passed.backward;
  outcome.upgraded = true;
  connection.ends->finished(outcome);
}

net::awaitable<std::expected<Upstream, base::Failure>> Ends::connect_http2(net::Loop& /*loop*/,
                                                                           std::string /*id*/,
                                                                           std::string /*first*/,
                                                                           net::TimePoint /*by*/) {
  co_return std::unexpected(
      base::Failure{base::Hop::client, make_error_code(base::Errc::other_version), "use HTTP/1.1"});
}

net::awaitable<net::Result<void>> Ends::begin_http2(const Upstream& upstream, std::string first,
                                                    net::TimePoint deadline) {
  upstream.stream->set_deadline(net::Direction::send, deadline);
  const auto sent = co_await net::write_all(*upstream.stream, net::as_buffer(first));
  upstream.stream->clear_deadline(net::Direction::send);
  if (sent && upstream.counters) {
    upstream.counters->forward.fetch_add(first.size(), std::memory_order_relaxed);
  }
  co_return sent;
}

}  // namespace simplon::http
