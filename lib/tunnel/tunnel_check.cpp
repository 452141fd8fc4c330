#include "tunnel/tunnel_check.hpp"

#include <utility>

#include "base/ids.hpp"
#include "net/memory.hpp"
#include "net/tcp.hpp"
#include "overlay/embedded/open.hpp"
#include "tunnel/check_request.hpp"
#include "tunnel/target.hpp"
#include "tunnel/target_connection.hpp"

namespace simplon::tunnel {
namespace {

using base::Errc;
using overlay::CheckReport;
using overlay::CheckStep;
using overlay::OpenStatus;
using overlay::StreamKind;
using State = CheckStep::State;

// A step on this host, or over an overlay, where networks try for up to ten seconds themselves.
constexpr std::chrono::seconds kStepLimit{10};
constexpr std::chrono::seconds kOverlayLimit{15};

// Reports it. True: go on.
bool passes(CheckStep step, const CheckReport& report) {
  const bool good = step.state != State::failed;
  return report(std::move(step)) && good;
}

CheckStep good(std::string hop, std::optional<std::chrono::nanoseconds> latency,
               std::string message, std::string id = {}) {
  return {.hop = std::move(hop),
          .latency = latency,
          .message = std::move(message),
          .advice = {},
          .connection_id = std::move(id)};
}

struct Reached {
  CheckStep step;
  net::StreamPtr stream;
};

const char kTargetAdvice[] =
    "start the service, or see that it listens at that address; the share needs no change";

// `tls`: none, only to connect.
net::awaitable<Reached> reach_target(net::Loop* loop, std::string hop, Target target,
                                     std::shared_ptr<const net::TlsContext> tls) {
  const net::TimePoint start = loop->now();
  const std::string place = target.text();
  const bool secured = tls != nullptr;
  auto stream =
      co_await connect_target(*loop, std::move(target), std::move(tls), start + kStepLimit);
  if (!stream) {
    CheckStep step = overlay::broken(std::move(hop), stream.error().text);
    step.message = stream.error().text;
    step.advice = secured ? "the agent verifies the target's certificate with the system's "
                            "authorities: see name, dates and issuer, or share it as http://"
                          : kTargetAdvice;
    co_return Reached{std::move(step), nullptr};
  }
  co_return Reached{good(std::move(hop), loop->now() - start,
                         secured ? "TLS, with a good certificate" : place + " takes connections"),
                    std::move(*stream)};
}

bool speaks_http(const Target& target) {
  return target.scheme == Target::Scheme::http || target.scheme == Target::Scheme::https ||
         target.scheme == Target::Scheme::unix_http;
}

net::awaitable<bool> check_target(const CheckSubject& subject, const Share& share,
                                  const Target& target, const CheckOptions& options,
                                  const CheckReport& report) {
  auto reached = co_await reach_target(subject.loop, "target", target, nullptr);
  if (!passes(std::move(reached.step), report)) {
    co_return false;
  }
  if (target.scheme == Target::Scheme::https) {
    reached.stream->close();
    reached = co_await reach_target(subject.loop, "target TLS", target, subject.target_tls);
    if (!passes(std::move(reached.step), report)) {
      co_return false;
    }
  }
  if (!speaks_http(target)) {
    reached.stream->close();
    co_return true;
  }
  CheckRequest request{.hop = "target HTTP",
                       .host = share.host_header.empty() ? target.authority() : share.host_header,
                       .path = options.path,
                       .connection_id = {}};
  co_return passes(co_await ask_head(std::move(reached.stream), std::move(request),
                                     subject.loop->now() + kStepLimit),
                   report);
}

// A stream as it would come from the overlay, without one.
net::awaitable<std::optional<overlay::Dialed>> enter_engine(net::Loop* loop, CheckSubject subject,
                                                            overlay::OpenRequest request) {
  auto [near_end, far_end] = net::make_memory_pair(*loop);
  // A name that every overlay takes, whatever the share's own is: the engine does not read it.
  request.service = "doctor";
  auto opened = overlay::start_open(near_end, request);
  if (!opened) {
    co_return std::nullopt;
  }
  auto read = co_await overlay::read_open(far_end, loop->now() + kStepLimit);
  if (!read) {
    far_end->reset();
    co_return std::nullopt;
  }
  overlay::Identity identity;
  if (const overlay::Network* const network = subject.link->network()) {
    identity.peer.name = network->self();
  }
  subject.engine(overlay::make_inbound(far_end, *std::move(read), std::move(identity)));
  co_return overlay::Dialed{
      .stream = std::move(opened->stream), .status = std::move(opened->status), .path = "memory"};
}

// Whether the host took the stream; of raw ones that means that it has its target.
net::awaitable<CheckStep> taken(net::Loop* loop, std::string hop, overlay::Dialed dialed,
                                net::TimePoint start, std::string id, std::string otherwise) {
  const auto state = co_await dialed.status->decided(*loop, start + kOverlayLimit);
  if (state != OpenStatus::State::accepted) {
    const base::Failure& failure = dialed.status->refusal().failure;
    dialed.stream->reset();
    CheckStep step = overlay::broken(std::move(hop), failure.message(), std::move(otherwise));
    step.connection_id = std::move(id);
    co_return step;
  }
  dialed.stream->close();
  co_return good(std::move(hop), loop->now() - start, "accepted, path: " + dialed.path,
                 std::move(id));
}

// HTTP through a stream that was opened, or, for raw bytes, whether the target was reached.
net::awaitable<CheckStep> through(net::Loop* loop, std::string hop, overlay::Dialed dialed,
                                  net::TimePoint start, bool http, std::string host,
                                  std::string path, std::string id) {
  if (!http) {
    co_return co_await taken(loop, std::move(hop), std::move(dialed), start, std::move(id),
                             "on the share's host: simplonctl doctor SHARE");
  }
  CheckRequest request{
      .hop = hop, .host = std::move(host), .path = std::move(path), .connection_id = id};
  CheckStep step =
      co_await ask_head(dialed.stream, std::move(request), loop->now() + kOverlayLimit);
  if (dialed.status->state() == OpenStatus::State::refused) {
    step = overlay::broken(std::move(hop), dialed.status->refusal().failure.message(),
                           "on the share's host: simplonctl doctor SHARE");
    step.connection_id = std::move(id);
  }
  co_return step;
}

bool check_link(const CheckSubject& subject, const CheckReport& report) {
  const overlay::LinkStatus at = subject.link->status();
  const std::string& name = subject.link->name();
  if (at.state == overlay::LinkState::up) {
    return passes(good("overlay link", {}, "\"" + name + "\" is up"), report);
  }
  std::string words = "\"" + name + "\" is " + std::string(overlay::to_string(at.state));
  if (!at.last_error.empty()) {
    words += ": " + at.last_error;
  }
  CheckStep step = overlay::broken("overlay link", words);
  step.advice += (step.advice.empty() ? "" : "; ") + ("simplonctl doctor " + name);
  return passes(std::move(step), report);
}

bool check_registration(const CheckSubject& subject, const std::string& service,
                        const CheckReport& report) {
  for (const HopStatus& hop : subject.status().hops) {
    if (hop.name == kRegistrationHop && hop.state != HopState::up) {
      return passes(
          overlay::broken(
              "registration",
              hop.last_error.empty() ? "\"" + service + "\" is not registered yet" : hop.last_error,
              "it is tried again; look again in some seconds"),
          report);
    }
  }
  return passes(good("registration", {}, "the overlay knows \"" + service + "\""), report);
}

struct Opened {
  std::optional<overlay::Dialed> dialed;
  base::Failure failure;
};

net::awaitable<Opened> dial(const CheckSubject& subject, std::string service, StreamKind kind,
                            bool frontend, std::string id) {
  auto dialed =
      co_await subject.link->dial(*subject.loop, {.service = std::move(service),
                                                  .kind = kind,
                                                  .connection_id = std::move(id),
                                                  .on_behalf_of = "simplonctl doctor",
                                                  .frontend = frontend,
                                                  .deadline = subject.loop->now() + kOverlayLimit});
  if (!dialed) {
    co_return Opened{.dialed = {}, .failure = std::move(dialed.error())};
  }
  co_return Opened{.dialed = std::move(*dialed), .failure = {}};
}

CheckStep not_dialed(std::string hop, const base::Failure& failure, std::string id) {
  CheckStep step =
      overlay::broken(std::move(hop), failure.message(),
                      "is the share there, and its agent connected? On its host: simplonctl list");
  step.connection_id = std::move(id);
  return step;
}

// Over the overlay to the share's agent, and no further.
net::awaitable<CheckStep> far_end(const CheckSubject& subject, std::string hop, std::string service,
                                  bool frontend) {
  const std::string id = base::new_id();
  const net::TimePoint start = subject.loop->now();
  auto opened = co_await dial(subject, std::move(service), StreamKind::probe, frontend, id);
  if (!opened.dialed) {
    co_return not_dialed(std::move(hop), opened.failure, id);
  }
  co_return co_await taken(subject.loop, std::move(hop), *std::move(opened.dialed), start, id,
                           "on the share's host: simplonctl doctor SHARE");
}

// To the target behind a share, over the overlay.
net::awaitable<CheckStep> over_overlay(const CheckSubject& subject, std::string service, bool http,
                                       std::string host, std::string path) {
  const std::string id = base::new_id();
  const net::TimePoint start = subject.loop->now();
  auto opened = co_await dial(subject, std::move(service),
                              http ? StreamKind::http : StreamKind::raw, false, id);
  if (!opened.dialed) {
    co_return not_dialed("whole path", opened.failure, id);
  }
  co_return co_await through(subject.loop, "whole path", *std::move(opened.dialed), start, http,
                             std::move(host), std::move(path), id);
}

// An OpenZiti identity may well host a service and not dial it: that is no fault, and nothing more
// can be tried from here. On zrok a dial would make an access.
bool dials_itself(const CheckSubject& subject) {
  const overlay::Network* const network = subject.link->network();
  return network != nullptr && network->kind() != "zrok";
}

bool not_ours_to_dial(const CheckSubject& subject, const base::Failure& failure) {
  const overlay::Network* const network = subject.link->network();
  return network != nullptr && network->kind() == "ziti" &&
         (failure.code == Errc::not_permitted || failure.code == Errc::no_such_service);
}

net::awaitable<bool> may_dial(const CheckSubject& subject, const std::string& service,
                              const CheckReport& report) {
  const std::string id = base::new_id();
  const net::TimePoint start = subject.loop->now();
  auto opened = co_await dial(subject, service, StreamKind::probe, false, id);
  if (!opened.dialed) {
    if (!not_ours_to_dial(subject, opened.failure)) {
      passes(not_dialed("overlay", opened.failure, id), report);
    }
    co_return false;
  }
  co_return passes(co_await taken(subject.loop, "overlay", *std::move(opened.dialed), start, id,
                                  "see this agent's log at level debug"),
                   report);
}

net::awaitable<void> check_share(CheckSubject subject, CheckOptions options, CheckReport report) {
  const Share& share = std::get<Share>(subject.tunnel->spec);
  const auto target = parse_target(share.target);
  if (!target.ok()) {
    report(overlay::broken("target", std::string(target.status().message()),
                           "make the share again with another target"));
    co_return;
  }
  if (!co_await check_target(subject, share, *target, options, report)) {
    co_return;
  }
  const bool http = speaks_http(*target);
  const std::string id = base::new_id();
  const net::TimePoint start = subject.loop->now();
  auto entered = co_await enter_engine(subject.loop, subject,
                                       {.service = {},
                                        .kind = http ? StreamKind::http : StreamKind::raw,
                                        .connection_id = id,
                                        .on_behalf_of = "simplonctl doctor"});
  if (!entered) {
    passes(overlay::broken("share's engine", "it could not be entered",
                           "a fault of this agent: see its log"),
           report);
    co_return;
  }
  CheckStep engine = co_await through(
      subject.loop, "share's engine", *std::move(entered), start, http,
      share.host_header.empty() ? target->authority() : share.host_header, options.path, id);
  if (!passes(std::move(engine), report)) {
    co_return;
  }
  const std::string known_as = subject.status().known_as;
  const std::string service = known_as.empty() ? share.service : known_as;
  if (!check_link(subject, report) || !check_registration(subject, service, report) ||
      !dials_itself(subject) || !co_await may_dial(subject, service, report)) {
    co_return;
  }
  passes(co_await over_overlay(subject, service, http, target->authority(), options.path), report);
}

// The listener as clients reach it; one on all addresses by the loopback.
net::awaitable<Reached> reach_listener(const CheckSubject& subject) {
  const std::string& listen = *listen_of(subject.tunnel->spec);
  auto endpoint = net::parse_endpoint(listen);
  if (!endpoint) {
    co_return Reached{overlay::broken("listener", listen + ": is no address"), nullptr};
  }
  if (endpoint->host.empty() || endpoint->host == "0.0.0.0") {
    endpoint->host = "127.0.0.1";
  } else if (endpoint->host == "::") {
    endpoint->host = "::1";
  }
  const net::TimePoint start = subject.loop->now();
  auto stream =
      co_await net::connect_tcp(*subject.loop, endpoint->host, endpoint->port, start + kStepLimit);
  if (!stream) {
    co_return Reached{
        overlay::broken("listener", listen + ": " + stream.error().message(),
                        "another program may have the port; simplonctl get says what this agent "
                        "knows of it"),
        nullptr};
  }
  co_return Reached{good("listener", subject.loop->now() - start, listen + " takes connections"),
                    std::move(*stream)};
}

// From the listener to the target, as a client would.
net::awaitable<bool> from_listener(const CheckSubject& subject, std::string host,
                                   const CheckOptions& options, const CheckReport& report) {
  auto reached = co_await reach_listener(subject);
  if (reached.stream == nullptr) {
    co_return passes(std::move(reached.step), report);
  }
  // What takes websockets may answer nothing else.
  CheckRequest request{.hop = "whole path",
                       .host = host,
                       .path = options.websocket ? "/" : options.path,
                       .connection_id = {}};
  if (!passes(co_await ask_head(std::move(reached.stream), std::move(request),
                                subject.loop->now() + kOverlayLimit),
              report)) {
    co_return false;
  }
  if (!options.websocket) {
    co_return true;
  }
  reached = co_await reach_listener(subject);
  if (reached.stream == nullptr) {
    co_return passes(std::move(reached.step), report);
  }
  CheckRequest upgrade{
      .hop = "websocket", .host = std::move(host), .path = options.path, .connection_id = {}};
  co_return passes(co_await ask_echo(std::move(reached.stream), std::move(upgrade),
                                     subject.loop->now() + kOverlayLimit),
                   report);
}

// The listener alone, and the link below it.
net::awaitable<bool> check_entry(const CheckSubject& subject, const CheckReport& report) {
  auto reached = co_await reach_listener(subject);
  if (reached.stream != nullptr) {
    reached.stream->close();
  }
  co_return passes(std::move(reached.step), report) && check_link(subject, report);
}

net::awaitable<void> check_access(CheckSubject subject, CheckOptions options, CheckReport report) {
  const Access& access = std::get<Access>(subject.tunnel->spec);
  if (!co_await check_entry(subject, report) ||
      !passes(co_await far_end(subject, "far end", access.service, false), report)) {
    co_return;
  }
  if (access.protocol == Protocol::tcp) {
    passes(co_await over_overlay(subject, access.service, false, {}, {}), report);
    co_return;
  }
  co_await from_listener(subject, access.listen, options, report);
}

net::awaitable<void> check_frontend(CheckSubject subject, CheckOptions options,
                                    CheckReport report) {
  const Frontend& frontend = std::get<Frontend>(subject.tunnel->spec);
  if (!co_await check_entry(subject, report) || options.service.empty() ||
      !passes(co_await far_end(subject, "far end", options.service, true), report)) {
    co_return;
  }
  co_await from_listener(subject, options.service + "." + frontend.zone, options, report);
}

}  // namespace

net::awaitable<void> check_tunnel(CheckSubject subject, CheckOptions options, CheckReport report) {
  const TunnelPtr tunnel = subject.tunnel;
  if (std::holds_alternative<Share>(tunnel->spec)) {
    co_await check_share(std::move(subject), std::move(options), std::move(report));
  } else if (std::holds_alternative<Access>(tunnel->spec)) {
    co_await check_access(std::move(subject), std::move(options), std::move(report));
  } else {
    co_await check_frontend(std::move(subject), std::move(options), std::move(report));
  }
}

}  // namespace simplon::tunnel
