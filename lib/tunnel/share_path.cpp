#include "tunnel/share_path.hpp"

#include <algorithm>
#include <utility>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "tunnel/policies.hpp"

namespace simplon::tunnel {
namespace {

using base::Errc;
using overlay::StreamKind;

constexpr std::size_t kMaxIdBytes = 64;

// The dialer's id, so that both agents' logs join. It comes from a peer and goes into our log: what
// is no id is replaced.
std::string id_of(const overlay::Inbound& inbound) {
  const std::string& id = inbound.connection_id();
  const bool sane = !id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
  return sane ? id : base::new_id();
}

}  // namespace

SharePath::SharePath(Options options, std::shared_ptr<Traffic> traffic)
    : options_(std::move(options)),
      traffic_(std::move(traffic)),
      policy_(std::make_shared<const http::Policy>(policy_of(*options_.tunnel))),
      agent_limit_(agent_limit(options_.tunnel->spec)) {}

void SharePath::take(std::unique_ptr<overlay::Inbound> inbound) {
  Lane* const lane = traffic_->lane(inbound->loop());
  const StreamKind kind = inbound->kind();
  const bool draining = lane != nullptr && lane->drain->requested();
  if (lane == nullptr || draining || kind == StreamKind::control) {
    inbound->reject({.failure = {.hop = base::Hop::share,
                                 .code = draining ? Errc::draining : Errc::host_refused,
                                 .detail = {}},
                     .not_processed = true});
    return;
  }
  std::string id = id_of(*inbound);
  base::log().debug("conn={} share {}: {} stream from {}", id, options_.tunnel->name,
                    overlay::to_string(kind), inbound->from().peer.name);
  if (kind == StreamKind::probe) {
    // The answer is the probe's result.
    inbound->accept();
    inbound->stream()->close();
    return;
  }
  auto place = traffic_->client_places().take(client_of(inbound->from().peer), agent_limit_);
  auto here = place ? traffic_->admit(*lane, inbound->stream(), std::move(*place)) : nullptr;
  if (here == nullptr) {
    traffic_->count_failure();
    traffic_->count_refusal(kTooMany);  // the entry tells it
    inbound->reject({.failure = {.hop = base::Hop::share,
                                 .code = Errc::limit_exceeded,
                                 .detail = std::string(place ? "the share has" : "this agent has") +
                                           " as many connections as it may; try again soon"},
                     .not_processed = true});
    return;
  }
  if (kind == StreamKind::raw) {
    net::spawn(
        lane->loop, "share's raw stream",
        pass(shared_from_this(), std::move(here), &lane->loop, std::move(inbound), std::move(id)));
  } else {
    inbound->accept();
    http::Client who{
        .forwarding = http::Forwarding::pass, .address = {}, .peer = inbound->from().peer.name};
    net::spawn(lane->loop, "share's client",
               serve(shared_from_this(), std::move(here), lane->drain, inbound->stream(),
                     std::move(who), std::move(id)));
  }
}

net::awaitable<void> SharePath::serve(std::shared_ptr<SharePath> self,
                                      std::unique_ptr<Connection> /*here*/,
                                      std::shared_ptr<http::Drain> drain, net::StreamPtr stream,
                                      http::Client who, std::string id) {
  co_await http::serve(std::move(stream), self, self->policy_, std::move(who), id,
                       std::move(drain));
  base::log().debug("conn={} share {}: ended", id, self->options_.tunnel->name);
}

net::awaitable<void> SharePath::pass(std::shared_ptr<SharePath> self,
                                     std::unique_ptr<Connection> /*here*/, net::Loop* loop,
                                     std::unique_ptr<overlay::Inbound> inbound, std::string id) {
  const net::StreamPtr client = inbound->stream();
  const net::TimePoint deadline = http::over_at(loop->now(), self->policy_->timeouts.connect);
  auto target = co_await self->dial_target(*loop, id, deadline);
  if (!target) {
    inbound->reject({.failure = target.error(), .not_processed = true});
    co_return;
  }
  // Only now: a dead target is a refusal, and a server that speaks first is heard.
  inbound->accept();
  inbound.reset();
  net::SpliceOptions options;
  options.counters = self->traffic_->spliced();
  const net::SpliceResult result = co_await net::splice(client, *target, std::move(options));
  base::log().debug("conn={} share {}: ended, {} bytes in, {} out{}{}", id,
                    self->options_.tunnel->name, result.forward, result.backward,
                    result.error ? ": " : "", result.error ? result.error.message() : "");
}

net::awaitable<std::expected<net::StreamPtr, base::Failure>> SharePath::dial_target(
    net::Loop& loop, std::string id, net::TimePoint deadline) {
  auto stream = co_await connect_target(loop, options_.target, options_.tls, deadline);
  if (!stream) {
    const TargetFailure& failed = stream.error();
    base::log().debug("conn={} share {}: {}", id, options_.tunnel->name, failed.text);
    traffic_->count_failure();
    traffic_->far_end(failed.text);
    co_return std::unexpected(failed.failure);
  }
  traffic_->far_end({});
  co_return std::move(*stream);
}

std::expected<std::string, base::Failure> SharePath::route(std::string_view /*host*/) {
  return "target";
}

net::awaitable<std::expected<http::Upstream, base::Failure>> SharePath::connect(
    net::Loop& loop, std::string /*route*/, std::string connection_id, bool fresh,
    net::TimePoint deadline) {
  if (options_.target.scheme == Target::Scheme::h2c) {
    co_return speaks_other_version(
        "the target of this share speaks HTTP/2 only (h2c://): use a client "
        "with prior knowledge of HTTP/2, through an access");
  }
  Lane* const lane = traffic_->lane(loop);
  http::Upstream upstream;
  upstream.authority = options_.target.authority();
  if (!fresh && lane != nullptr) {
    upstream.stream = lane->idle.take();
    upstream.reused = upstream.stream != nullptr;
  }
  if (upstream.stream == nullptr) {
    auto stream = co_await dial_target(loop, std::move(connection_id), deadline);
    if (!stream) {
      co_return std::unexpected(std::move(stream.error()));
    }
    upstream.stream = std::move(*stream);
  }
  co_return upstream;
}

net::awaitable<std::expected<http::Upstream, base::Failure>> SharePath::connect_http2(
    net::Loop& loop, std::string connection_id, std::string first, net::TimePoint deadline) {
  // A tcp target gets whatever bytes come.
  if (options_.target.scheme != Target::Scheme::h2c &&
      options_.target.scheme != Target::Scheme::tcp) {
    co_return speaks_other_version(
        "this service speaks HTTP/1.1: use that, or share the service as "
        "h2c://host:port if it speaks HTTP/2 with prior knowledge");
  }
  auto stream = co_await dial_target(loop, std::move(connection_id), deadline);
  if (!stream) {
    co_return std::unexpected(std::move(stream.error()));
  }
  http::Upstream upstream;
  upstream.stream = std::move(*stream);
  upstream.counters = traffic_->spliced();
  if (const auto sent = co_await begin_http2(upstream, std::move(first), deadline); !sent) {
    upstream.stream->reset();
    traffic_->count_failure();
    co_return std::unexpected(base::Failure{base::Hop::target, sent.error(), {}});
  }
  co_return upstream;
}

std::unexpected<base::Failure> SharePath::speaks_other_version(std::string detail) {
  traffic_->count_failure();
  return std::unexpected(
      base::Failure{base::Hop::target, make_error_code(Errc::other_version), std::move(detail)});
}

void SharePath::release(const std::string& /*route*/, http::Upstream upstream) {
  if (Lane* const lane = traffic_->lane(upstream.stream->loop())) {
    lane->idle.put(std::move(upstream.stream));
  }
}

void SharePath::finished(const Outcome& outcome) { traffic_->count_request(outcome); }

}  // namespace simplon::tunnel
