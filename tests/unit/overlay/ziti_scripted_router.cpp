#include "unit/overlay/ziti_scripted_router.hpp"

#include <algorithm>
#include <array>

namespace simplon::overlay::ziti::test {

using net::Event;

namespace {

unsigned byte_of(const FrameView& frame, std::int32_t id, std::size_t at) {
  const auto value = frame.header(id);
  return value && value->size() > at ? std::to_integer<unsigned>((*value)[at]) : 0U;
}

std::uint16_t cost_of(const FrameView& frame) {
  return static_cast<std::uint16_t>(byte_of(frame, header::kCost, 0) |
                                    byte_of(frame, header::kCost, 1) << 8U);
}

std::uint8_t precedence_of(const FrameView& frame) {
  return static_cast<std::uint8_t>(byte_of(frame, header::kPrecedence, 0));
}

}  // namespace

// A dial on its way to a host.
struct ScriptedFabric::Attempt {
  explicit Attempt(net::Loop& loop) : timer(loop) {}

  std::weak_ptr<ScriptedLink> dialer;
  std::uint32_t conn = 0;
  std::int32_t sequence = 0;
  std::string service;
  std::string identity;
  std::string circuit;
  std::map<std::int32_t, std::vector<std::byte>> passed_on;  // headers
  std::shared_ptr<Terminator> terminator;
  std::uint32_t host_conn = 0;
  int tries = 0;
  bool over = false;
  net::Timer timer;
};

ScriptedFabric::~ScriptedFabric() {
  intercept = nullptr;
  for (const auto& link : links_) {
    link->alive_ = false;
    link->transport_->cancel_wait(Event::readable);
    link->transport_->cancel_wait(Event::writable);
  }
}

net::StreamPtr ScriptedFabric::connect(const std::string& router, std::size_t capacity) {
  auto [client, served] = net::make_memory_pair(loop_, capacity);
  serve(router, served);
  return client;
}

void ScriptedFabric::serve(std::string router, net::StreamPtr transport) {
  links_.push_back(std::make_shared<ScriptedLink>(*this, std::move(router), std::move(transport)));
  links_.back()->begin();
}

std::vector<SeenBinding> ScriptedFabric::bindings() const {
  std::vector<SeenBinding> out;
  out.reserve(terminators_.size());
  for (const auto& terminator : terminators_) {
    out.push_back(terminator->seen);
  }
  return out;
}

std::size_t ScriptedFabric::terminators(const std::string& service) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      terminators_, [&](const auto& each) { return each->seen.service == service; }));
}

std::size_t ScriptedFabric::connections(const std::string& router) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(links_, [&](const auto& each) { return each->router() == router; }));
}

std::size_t ScriptedFabric::times_seen(std::int32_t content) const {
  return static_cast<std::size_t>(std::ranges::count(seen, content));
}

void ScriptedFabric::drop_router(const std::string& router) {
  const auto links = links_;
  for (const auto& link : links) {
    if (link->router() == router) {
      link->end(false);
    }
  }
}

void ScriptedFabric::end_bindings(const std::string& service, const std::string& text) {
  const auto all = terminators_;
  for (const auto& each : all) {
    if (each->seen.service == service) {
      if (const auto link = each->link.lock()) {
        link->send_closed(each->conn, text);
      }
      remove(each);
    }
  }
}

void ScriptedFabric::end_circuits(const std::string& text) {
  for (const auto& link : links_) {
    for (const auto& [conn, far] : link->circuits_) {
      link->send_closed(conn, text);
    }
    link->circuits_.clear();
  }
  circuits_ = 0;
}

void ScriptedFabric::inject(std::string_view bytes, const std::string& router) {
  for (const auto& link : links_) {
    if (link->router() == router) {
      const auto raw = std::as_bytes(std::span(bytes));
      link->out_.insert(link->out_.end(), raw.begin(), raw.end());
      link->flush_later();
    }
  }
}

void ScriptedFabric::write(ScriptedLink& to,
                           const std::function<void(std::vector<std::byte>&)>& frames) {
  frames(to.out());
  to.flush_later();
}

void ScriptedFabric::connect_request(ScriptedLink& from, const FrameView& frame) {
  const std::uint32_t conn = frame.number(header::kConnId).value_or(0);
  const std::string token(frame.text());
  const auto refuse = [&](const std::string& text) {
    from.send_closed(conn, text, frame.sequence());
  };
  if (faults.silent_dials) {
    return;
  }
  if (const auto at = faults.refused_dials.find(token); at != faults.refused_dials.end()) {
    refuse(at->second);
    return;
  }
  const auto service = services_.find(token.starts_with("dial:") ? token.substr(5) : "");
  if (service == services_.end()) {
    refuse(token.starts_with("bind:") ? "incorrect session type" : "no such service session token");
    return;
  }
  if (service->second && !frame.has(header::kPublicKey)) {
    refuse("encryption required on service, initiator did not send public header");
    return;
  }
  const auto attempt = std::make_shared<Attempt>(loop_);
  attempt->dialer = from.weak_from_this();
  attempt->conn = conn;
  attempt->sequence = frame.sequence();
  attempt->service = service->first;
  attempt->identity = frame.string(header::kTerminatorIdentity);
  attempt->circuit = "circuit-" + std::to_string(next_circuit_++);
  for (const std::int32_t id :
       {header::kPublicKey, header::kCallerId, header::kAppData, header::kConnectionMarker}) {
    if (const auto value = frame.header(id)) {
      attempt->passed_on[id].assign(value->begin(), value->end());
    }
  }
  const auto identity = identities.find(from.login());
  const std::string name = identity == identities.end() ? from.login() : identity->second;
  if (!name.empty()) {
    const auto add = [&](std::int32_t id, std::string_view text) {
      const auto bytes = std::as_bytes(std::span(text));
      attempt->passed_on[id].assign(bytes.begin(), bytes.end());
    };
    add(header::kDialerIdentityId, "id-" + name);
    add(header::kDialerIdentityName, name);
  }
  try_next(attempt, "");
}

void ScriptedFabric::try_next(const std::shared_ptr<Attempt>& attempt, const std::string& failure) {
  const auto dialer = attempt->dialer.lock();
  if (attempt->over || dialer == nullptr) {
    return;
  }
  const auto give_up = [&](const std::string& text) {
    attempt->over = true;
    attempt->timer.cancel();
    dialer->send_closed(attempt->conn, text, attempt->sequence);
  };
  std::vector<std::shared_ptr<Terminator>> fit;
  std::ranges::copy_if(terminators_, std::back_inserter(fit), [&](const auto& each) {
    return each->seen.service == attempt->service && each->seen.identity == attempt->identity;
  });
  if (fit.size() > 1) {
    std::erase(fit, attempt->terminator);  // another one for the second try
  }
  const auto best_at = std::ranges::min_element(fit, {}, [](const auto& each) {
    constexpr std::array kRanks{1, 0, 2};  // default, required, failed
    return std::pair(kRanks[std::min<std::size_t>(each->seen.precedence, 2)], each->seen.cost);
  });
  const auto best = best_at == fit.end() ? nullptr : *best_at;
  const auto host = best == nullptr ? nullptr : best->link.lock();
  if (host == nullptr) {
    give_up("service " + attempt->service + " has no terminators" +
            (attempt->identity.empty() ? "" : " for instanceId " + attempt->identity));
    return;
  }
  if (attempt->tries++ == 2) {
    give_up("exceeded maximum [2] retries creating circuit [" + attempt->circuit +
            "] (failed to establish connection with terminator address t. error: (" + failure +
            "))");
    return;
  }
  attempt->terminator = best;
  attempt->host_conn = host->next_conn_++;
  const std::int32_t sequence = host->next_sequence();
  host->dials_[sequence] = attempt;
  FrameWriter dial(host->out_, content::kDial, sequence);
  dial.u32(header::kConnId, best->conn)
      .u32(header::kRouterProvidedConnId, attempt->host_conn)
      .text(header::kCircuitId, attempt->circuit);
  for (const auto& [id, value] : attempt->passed_on) {
    dial.header(id, value);
  }
  dial.body(best->token);
  host->flush_later();
  const std::weak_ptr again = attempt;
  attempt->timer.arm(loop_.now() + answer_timeout, [this, again, sequence, late = host] {
    if (const auto pending = again.lock()) {
      const auto keep = late->dials_.extract(sequence);
      late->send_closed(pending->host_conn, "timeout");
      try_next(pending, "timeout waiting for dial response");
    }
  });
}

void ScriptedFabric::answered(const std::shared_ptr<Attempt>& attempt, ScriptedLink& host,
                              const FrameView& frame) {
  attempt->timer.cancel();
  if (frame.content() == content::kDialFailed) {
    try_next(attempt, std::string(frame.text()));
    return;
  }
  const auto dialer = attempt->dialer.lock();
  if (dialer == nullptr || attempt->over || frame.body().size() != 4) {
    host.send_closed(attempt->host_conn, "");
    return;
  }
  attempt->over = true;
  ++circuits_;
  dialer->circuits_[attempt->conn] = {host.weak_from_this(), attempt->host_conn};
  host.circuits_[attempt->host_conn] = {dialer, attempt->conn};
  FrameWriter connected(dialer->out_, content::kStateConnected, dialer->next_sequence());
  connected.u32(header::kReplyFor, static_cast<std::uint32_t>(attempt->sequence))
      .u32(header::kConnId, attempt->conn)
      .text(header::kCircuitId, attempt->circuit)
      .u32(1101, 0);
  if (!attempt->terminator->key.empty() && !faults.no_host_key) {
    connected.header(header::kPublicKey, attempt->terminator->key);
  }
  connected.end();
  dialer->flush_later();
}

void ScriptedFabric::bind_request(ScriptedLink& from, const FrameView& frame) {
  const std::uint32_t conn = frame.number(header::kConnId).value_or(0);
  const std::string token(frame.text());
  const auto refuse = [&](const std::string& text) {
    from.send_closed(conn, text, frame.sequence());
  };
  if (faults.silent_binds) {
    return;
  }
  if (const auto at = faults.refused_binds.find(token); at != faults.refused_binds.end()) {
    refuse(at->second);
    return;
  }
  const auto service = services_.find(token.starts_with("bind:") ? token.substr(5) : "");
  if (service == services_.end()) {
    refuse(token.starts_with("dial:")
               ? "rejecting bind, invalid session type. expected Bind, got Dial"
               : "failed to create service token from JWT: " + token);
    return;
  }
  const auto made = std::make_shared<Terminator>();
  made->link = from.weak_from_this();
  made->conn = conn;
  made->token = token;
  if (const auto key = frame.header(header::kPublicKey)) {
    made->key.assign(key->begin(), key->end());
  }
  made->seen = {.service = service->first,
                .router = from.router(),
                .listener_id = std::string(frame.string(header::kListenerId)),
                .identity = std::string(frame.string(header::kTerminatorIdentity)),
                .cost = cost_of(frame),
                .precedence = precedence_of(frame)};
  const auto all = terminators_;
  for (const auto& older : all) {
    if (!made->seen.listener_id.empty() && older->seen.listener_id == made->seen.listener_id &&
        older->link.lock().get() == &from) {
      from.send_closed(older->conn, "found a newer terminator for listener id");
      remove(older);
    }
  }
  terminators_.push_back(made);
  FrameWriter(from.out_, content::kStateConnected, from.next_sequence())
      .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
      .u32(header::kConnId, conn)
      .flag(header::kRouterProvidedConnId)
      .end();
  if (frame.flag(header::kSupportsInspect)) {
    FrameWriter(from.out_, content::kConnInspectRequest, from.next_sequence())
        .u32(header::kConnId, conn)
        .end();
  }
  if (frame.flag(header::kSupportsBindSuccess) && !faults.no_bind_success) {
    FrameWriter(from.out_, content::kBindSuccess, from.next_sequence())
        .u32(header::kConnId, conn)
        .end();
  }
  from.flush_later();
}

void ScriptedFabric::change(Terminator& bound, const FrameView& frame) {
  if (frame.content() == content::kHealthEvent) {
    bound.seen.healthy = frame.flag(header::kHealthStatus);
  } else if (frame.content() == content::kConnInspectResponse) {
    bound.seen.inspected = true;
  } else {
    bound.seen.cost = cost_of(frame);
    bound.seen.precedence = precedence_of(frame);
  }
}

std::shared_ptr<ScriptedFabric::Terminator> ScriptedFabric::terminator(const ScriptedLink& link,
                                                                       std::uint32_t conn) const {
  const auto at = std::ranges::find_if(terminators_, [&](const auto& each) {
    return each->conn == conn && each->link.lock().get() == &link;
  });
  return at == terminators_.end() ? nullptr : *at;
}

void ScriptedFabric::remove(const std::shared_ptr<Terminator>& gone) {
  std::erase(terminators_, gone);
}

void ScriptedFabric::lost(ScriptedLink& link) {
  const auto keep = link.shared_from_this();
  std::erase_if(terminators_, [&](const auto& each) { return each->link.lock().get() == &link; });
  const auto circuits = std::exchange(link.circuits_, {});
  for (const auto& [conn, far] : circuits) {
    --circuits_;
    if (const auto other = far.link.lock()) {
      other->circuits_.erase(far.conn);
      other->send_closed(far.conn, "close called");
    }
  }
  const auto dials = std::exchange(link.dials_, {});
  for (const auto& [sequence, attempt] : dials) {
    attempt->timer.cancel();
    try_next(attempt, "channel closed");
  }
  std::erase(links_, keep);
}

}  // namespace simplon::overlay::ziti::test
