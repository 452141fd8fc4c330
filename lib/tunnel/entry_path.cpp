#include "tunnel/entry_path.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "tunnel/policies.hpp"

namespace simplon::tunnel {
namespace {

using base::Errc;
using overlay::OpenStatus;

// The ends of one client connection: it keeps one stream for its life, and a stream never serves
// two services.
class ServiceEnds final : public http::Ends {
 public:
  ServiceEnds(std::shared_ptr<EntryPath> path, net::Loop& loop)
      : path_(std::move(path)), unanswered_(loop) {}
  ~ServiceEnds() override { drop(); }

  std::expected<std::string, base::Failure> route(std::string_view host) override {
    auto service = path_->route(host);
    if (!service) {
      path_->traffic().count_failure();
    }
    return service;
  }

  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(
      net::Loop& loop, std::string route, std::string connection_id, bool fresh,
      net::TimePoint deadline) override {
    if (!fresh && kept_ && kept_route_ == route && !kept_->stream->closed()) {
      http::Upstream upstream = std::move(*kept_);
      kept_.reset();
      upstream.reused = true;
      co_return upstream;
    }
    drop();
    std::string service = route;
    auto dialed = co_await path_->dial(loop, std::move(route), overlay::StreamKind::http,
                                       std::move(connection_id), deadline);
    if (!dialed) {
      co_return std::unexpected(std::move(dialed.error()));
    }
    const std::shared_ptr<OpenStatus> status = dialed->status;
    if (status->state() == OpenStatus::State::pending) {
      // The request waits for a response as long as it takes, but not for an agent that never
      // answers the open.
      unanswered_.arm(deadline, [status, stream = std::weak_ptr(dialed->stream)] {
        if (status->state() == OpenStatus::State::pending) {
          status->refuse({.failure = {.hop = base::Hop::overlay,
                                      .code = Errc::timed_out,
                                      .detail = "the hosting agent did not answer"},
                          .not_processed = false});
          if (const auto open = stream.lock()) {
            open->reset(Errc::timed_out);
          }
        }
      });
    }
    http::Upstream upstream;
    upstream.stream = std::move(dialed->stream);
    // For requests of HTTP/1.0, which may name no host.
    upstream.authority = overlay::valid_service_name(service) ? std::move(service) : "localhost";
    upstream.refusal = [status]() -> std::optional<base::Failure> {
      if (status->state() == OpenStatus::State::refused) {
        return status->refusal().failure;
      }
      return std::nullopt;
    };
    co_return upstream;
  }

  net::awaitable<std::expected<http::Upstream, base::Failure>> connect_http2(
      net::Loop& loop, std::string connection_id, std::string first,
      net::TimePoint deadline) override {
    if (path_->is_frontend()) {
      path_->traffic().count_failure();
      co_return std::unexpected(base::Failure{
          base::Hop::frontend, make_error_code(Errc::other_version),
          "a frontend finds the share by the Host of HTTP/1.1: use that, or reach the share "
          "through an access"});
    }
    auto service = path_->route({});
    auto dialed = co_await path_->dial(loop, std::move(*service), overlay::StreamKind::http,
                                       std::move(connection_id), deadline);
    if (!dialed) {
      co_return std::unexpected(std::move(dialed.error()));
    }
    http::Upstream upstream;
    upstream.stream = dialed->stream;
    upstream.counters = path_->traffic().spliced();
    // The first bytes do not wait for the host's answer; what follows them does, so that a refusal
    // can still be told.
    const auto sent = co_await begin_http2(upstream, std::move(first), deadline);
    const auto state = co_await dialed->status->decided(loop, deadline);
    if (state != OpenStatus::State::accepted) {
      upstream.stream->reset();
      co_return std::unexpected(dialed->status->refusal().failure);
    }
    if (!sent) {
      upstream.stream->reset();
      path_->traffic().count_failure();
      co_return std::unexpected(base::Failure{base::Hop::overlay, sent.error(), {}});
    }
    co_return upstream;
  }

  void release(const std::string& route, http::Upstream upstream) override {
    drop();
    kept_route_ = route;
    kept_ = std::move(upstream);
  }

  void finished(const Outcome& outcome) override { path_->traffic().count_request(outcome); }

 private:
  void drop() {
    if (kept_) {
      kept_->stream->close();
      kept_.reset();
    }
  }

  const std::shared_ptr<EntryPath> path_;
  net::Timer unanswered_;
  std::optional<http::Upstream> kept_;
  std::string kept_route_;
};

// How long a client of a full tunnel gets for its request, and then to read the answer.
constexpr std::chrono::seconds kTurnAwayTime{1};

std::shared_ptr<const http::Policy> policy_for_turned_away(const http::Policy& of_tunnel) {
  auto policy = std::make_shared<http::Policy>(of_tunnel);
  policy->timeouts.head = policy->timeouts.linger = kTurnAwayTime;
  return policy;
}

// The ends of a connection for which there is no place: the first request is told so, and is the
// last.
class NoPlace final : public http::Ends {
 public:
  NoPlace(std::shared_ptr<EntryPath> path, std::shared_ptr<http::Drain> drain, std::string detail)
      : path_(std::move(path)), drain_(std::move(drain)), detail_(std::move(detail)) {}

  std::expected<std::string, base::Failure> route(std::string_view /*host*/) override {
    return std::unexpected(failure());
  }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect(
      net::Loop& /*loop*/, std::string /*route*/, std::string /*connection_id*/, bool /*fresh*/,
      net::TimePoint /*deadline*/) override {
    co_return std::unexpected(failure());
  }
  net::awaitable<std::expected<http::Upstream, base::Failure>> connect_http2(
      net::Loop& /*loop*/, std::string /*connection_id*/, std::string /*first*/,
      net::TimePoint /*deadline*/) override {
    co_return std::unexpected(failure());
  }
  void release(const std::string& /*route*/, http::Upstream /*upstream*/) override {}
  void finished(const Outcome& outcome) override {
    Outcome counted = outcome;
    counted.refused = outcome.status != kTooMany;  // that it was when the connection came
    path_->traffic().count_request(counted);
  }

 private:
  base::Failure failure() {
    drain_->request();
    return {.hop = path_->is_frontend() ? base::Hop::frontend : base::Hop::access,
            .code = Errc::limit_exceeded,
            .detail = detail_};
  }

  const std::shared_ptr<EntryPath> path_;
  const std::shared_ptr<http::Drain> drain_;
  const std::string detail_;
};

// Failures that say something about a service's hosting, and not about the name that somebody on
// the internet asked a frontend for.
bool about_far_end(const base::Failure& failure) {
  return failure.code != Errc::no_such_service && failure.code != Errc::not_permitted;
}

}  // namespace

EntryPath::EntryPath(TunnelPtr tunnel, std::shared_ptr<OverlayLink> link,
                     std::shared_ptr<Traffic> traffic)
    : tunnel_(std::move(tunnel)),
      frontend_(std::get_if<Frontend>(&tunnel_->spec)),
      link_(std::move(link)),
      traffic_(std::move(traffic)),
      policy_(std::make_shared<const http::Policy>(policy_of(*tunnel_))),
      turn_away_policy_(policy_for_turned_away(*policy_)),
      trusted_(trusted_proxies(tunnel_->spec)),
      client_limit_(client_limit(tunnel_->spec)) {}

bool EntryPath::trusts(const net::SocketAddress& client) const {
  return std::ranges::any_of(trusted_, [&](const auto& range) { return range.contains(client); });
}

std::uint64_t EntryPath::most_of(const net::SocketAddress& client) const {
  if (trusts(client)) {
    return 0;
  }
  return client_limit_.value_or(client.loopback() ? 0 : kMaxConnectionsPerClient);
}

void EntryPath::take(Lane& lane, net::Accepted accepted) {
  if (lane.drain->requested()) {
    return;
  }
  net::StreamPtr client = net::make_socket_stream(lane.loop, std::move(accepted.socket));
  std::string id = base::new_id();
  base::log().debug("conn={} {} {}: connection from {}", id, kind_name(tunnel_->spec),
                    tunnel_->name, net::to_string(accepted.from.endpoint()));
  const auto* access = std::get_if<Access>(&tunnel_->spec);
  const bool raw = access != nullptr && access->protocol == Protocol::tcp;
  auto place = traffic_->client_places().take(client_of(accepted.from), most_of(accepted.from));
  auto here = place ? traffic_->admit(lane, client, std::move(*place)) : nullptr;
  if (here == nullptr) {
    traffic_->count_failure();
    traffic_->count_refusal(kTooMany);
    here = raw ? nullptr : traffic_->turn_away(lane, client);
    if (here != nullptr) {
      net::spawn(lane.loop, "entry's client too many",
                 turn_away(shared_from_this(), std::move(here), std::move(client), std::move(id),
                           (place ? "this tunnel has" : "your address has") +
                               std::string(" as many connections as it may; try again soon")));
    } else {
      client->reset();
    }
  } else if (raw) {
    net::spawn(lane.loop, "access's raw connection",
               pass(shared_from_this(), std::move(here), std::move(client), std::move(id)));
  } else {
    net::spawn(lane.loop, "entry's client",
               serve(shared_from_this(), std::move(here), lane.drain, std::move(client),
                     accepted.from, std::move(id)));
  }
}

std::expected<std::string, base::Failure> EntryPath::route(std::string_view host) const {
  if (frontend_ == nullptr) {
    return std::get<Access>(tunnel_->spec).service;
  }
  if (host.ends_with('.')) {
    host.remove_suffix(1);
  }
  std::string_view service = host;
  if (service.ends_with(frontend_->zone)) {
    service.remove_suffix(frontend_->zone.size());
    if (service.ends_with('.')) {
      service.remove_suffix(1);
      if (overlay::valid_service_name(service)) {
        return std::string(service);
      }
    }
  }
  return std::unexpected(base::Failure{
      .hop = base::Hop::frontend,
      .code = Errc::not_found,
      .detail = (host == frontend_->zone ? "this is the zone itself"
                                         : "the host is not one label under this zone") +
                std::string("; a share is reached at <service>.") + frontend_->zone});
}

void EntryPath::note(const std::string& service, const std::string& id,
                     const base::Failure& failure) {
  base::log().debug("conn={} {} {}: service {}: {}", id, kind_name(tunnel_->spec), tunnel_->name,
                    service, failure.message());
  traffic_->count_failure();
  if (frontend_ == nullptr || about_far_end(failure)) {
    traffic_->far_end("service \"" + service + "\": " + failure.message());
  }
}

net::awaitable<std::expected<overlay::Dialed, base::Failure>> EntryPath::dial(
    net::Loop& loop, std::string service, overlay::StreamKind kind, std::string id,
    net::TimePoint deadline) {
  overlay::DialOptions options;
  options.service = service;
  options.kind = kind;
  options.connection_id = id;
  options.frontend = frontend_ != nullptr;
  options.deadline = deadline;
  auto dialed = co_await link_->dial(loop, std::move(options));
  if (!dialed) {
    note(service, id, dialed.error());
    co_return std::unexpected(std::move(dialed.error()));
  }
  base::log().debug("conn={} {} {}: stream to {} ({})", id, kind_name(tunnel_->spec), tunnel_->name,
                    service, dialed->path);
  // Weak: the status holds this until it is settled, and is settled or dropped with its stream.
  dialed->status->when_settled([self = shared_from_this(), status = std::weak_ptr(dialed->status),
                                service = std::move(service), id = std::move(id)] {
    const auto settled = status.lock();
    if (settled == nullptr) {
      return;
    }
    if (settled->state() == OpenStatus::State::accepted) {
      self->traffic_->far_end({});
    } else if (settled->refusal().failure.code != Errc::cancelled) {  // by our own client
      self->note(service, id, settled->refusal().failure);
    }
  });
  co_return std::move(*dialed);
}

net::awaitable<void> EntryPath::serve(std::shared_ptr<EntryPath> self,
                                      std::unique_ptr<Connection> /*here*/,
                                      std::shared_ptr<http::Drain> drain, net::StreamPtr client,
                                      net::SocketAddress from, std::string id) {
  http::Client who{
      .forwarding = self->trusts(from) ? http::Forwarding::append : http::Forwarding::replace,
      .address = from.ip(),
      .peer = {}};
  auto ends = std::make_shared<ServiceEnds>(self, client->loop());
  co_await http::serve(std::move(client), std::move(ends), self->policy_, std::move(who), id,
                       std::move(drain));
  base::log().debug("conn={} {} {}: ended", id, kind_name(self->tunnel_->spec),
                    self->tunnel_->name);
}

net::awaitable<void> EntryPath::turn_away(std::shared_ptr<EntryPath> self,
                                          std::unique_ptr<Connection> /*here*/,
                                          net::StreamPtr client, std::string id,
                                          std::string detail) {
  auto drain = std::make_shared<http::Drain>();
  auto ends = std::make_shared<NoPlace>(self, drain, std::move(detail));
  http::Client nobody;  // nothing is forwarded
  co_await http::serve(std::move(client), std::move(ends), self->turn_away_policy_,
                       std::move(nobody), std::move(id), std::move(drain));
}

net::awaitable<void> EntryPath::pass(std::shared_ptr<EntryPath> self,
                                     std::unique_ptr<Connection> /*here*/, net::StreamPtr client,
                                     std::string id) {
  net::Loop& loop = client->loop();
  const net::TimePoint deadline = http::over_at(loop.now(), self->policy_->timeouts.connect);
  auto dialed = co_await self->dial(loop, std::get<Access>(self->tunnel_->spec).service,
                                    overlay::StreamKind::raw, id, deadline);
  if (!dialed) {
    client->reset();
    co_return;
  }
  const auto state = co_await dialed->status->decided(loop, deadline);
  if (state != OpenStatus::State::accepted) {
    // TCP has no words for it: the client learns at once that there is nobody.
    dialed->stream->reset();
    client->reset();
    co_return;
  }
  net::SpliceOptions options;
  options.counters = self->traffic_->spliced();
  const net::SpliceResult result = co_await net::splice(client, dialed->stream, std::move(options));
  base::log().debug("conn={} access {}: ended, {} bytes in, {} out{}{}", id, self->tunnel_->name,
                    result.forward, result.backward, result.error ? ": " : "",
                    result.error ? result.error.message() : "");
}

}  // namespace simplon::tunnel
