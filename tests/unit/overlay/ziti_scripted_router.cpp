#include "unit/overlay/ziti_scripted_router.hpp"

#include <algorithm>
#include <array>

namespace simplon::overlay::ziti::test {

using net::Event;

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
    return each->seen.service == attempt->service && each->seen.healthy &&
           each->seen.identity == attempt->identity;
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
  const auto byte_of = [&frame](std::int32_t id, std::size_t at) {
    const auto value = frame.header(id);
    return value && value->size() > at ? std::to_integer<unsigned>((*value)[at]) : 0U;
  };
  made->seen = {.service = service->first,
                .router = from.router(),
                .listener_id = std::string(frame.string(header::kListenerId)),
                .identity = std::string(frame.string(header::kTerminatorIdentity)),
                .cost = static_cast<std::uint16_t>(byte_of(header::kCost, 0) |
                                                   byte_of(header::kCost, 1) << 8U),
                .precedence = static_cast<std::uint8_t>(byte_of(header::kPrecedence, 0))};
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

ScriptedLink::ScriptedLink(ScriptedFabric& fabric, std::string router, net::StreamPtr transport)
    : fabric_(fabric), router_(std::move(router)), transport_(std::move(transport)) {}

ScriptedLink::~ScriptedLink() {
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::writable);
}

void ScriptedLink::begin() { transport_->wait(Event::readable, *this); }

void ScriptedLink::ready(Event event, std::error_code) {
  const auto keep = shared_from_this();
  if (event == Event::readable) {
    read();
  } else {
    waits_writable_ = false;
    write();
  }
}

void ScriptedLink::read() {
  std::vector<std::byte> batch(64UL * 1024);
  for (int reads = 0; reads < 4 && alive_ && waits_for_.expired(); ++reads) {
    const auto got = transport_->try_read(batch);
    if (!got && got.error() == base::Errc::would_block) {
      break;
    }
    if (!got || *got == 0) {
      end(false);
      return;
    }
    if (!parser_.feed(std::span(batch).first(*got), *this)) {
      end(false);
    }
  }
  if (alive_ && waits_for_.expired()) {
    transport_->wait(Event::readable, *this);
  }
}

void ScriptedLink::flush_later() {
  if (alive_ && !std::exchange(flush_posted_, true)) {
    fabric_.loop_.at_end_of_turn([weak = weak_from_this()] {
      if (const auto link = weak.lock()) {
        link->flush_posted_ = false;
        if (!link->waits_writable_) {
          link->write();
        }
      }
    });
  }
}

void ScriptedLink::write() {
  while (alive_ && written_ < out_.size()) {
    const auto put = transport_->try_write(std::span(out_).subspan(written_));
    if (!put && put.error() == base::Errc::would_block) {
      waits_writable_ = true;
      transport_->wait(Event::writable, *this);
      break;
    }
    if (!put) {
      end(false);
      return;
    }
    written_ += *put;
  }
  if (written_ == out_.size()) {
    out_.clear();
    written_ = 0;
    if (closing_) {
      end(true);
      return;
    }
  } else if (written_ > 1024UL * 1024) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }
  if (!congested()) {
    for (const auto& weak : std::exchange(held_, {})) {
      if (const auto link = weak.lock(); link && link->alive_) {
        link->waits_for_.reset();
        link->transport_->wait(Event::readable, *link);
      }
    }
  }
}

void ScriptedLink::end(bool in_order) {
  if (!std::exchange(alive_, false)) {
    return;
  }
  const auto keep = shared_from_this();
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::writable);
  if (in_order) {
    transport_->close();
  } else {
    transport_->reset();
  }
  for (const auto& weak : std::exchange(held_, {})) {
    if (const auto link = weak.lock(); link && link->alive_) {
      link->waits_for_.reset();
      link->transport_->wait(Event::readable, *link);
    }
  }
  fabric_.lost(*this);
}

void ScriptedLink::send_closed(std::uint32_t conn, std::string_view text,
                               std::optional<std::int32_t> reply_for) {
  FrameWriter closed(out_, content::kStateClosed, next_sequence());
  closed.u32(header::kConnId, conn);
  if (reply_for) {
    closed.u32(header::kReplyFor, static_cast<std::uint32_t>(*reply_for));
  }
  closed.body(text);
  flush_later();
}

void ScriptedLink::hello(const FrameView& frame) {
  const Faults& faults = fabric_.faults;
  if (faults.silent_hello) {
    return;
  }
  login_ = frame.string(header::kSessionToken);
  FrameWriter(out_, content::kResult, next_sequence())
      .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
      .flag(header::kResultSuccess, faults.hello_refusal.empty())
      .flag(header::kSupportsBindSuccess)
      .body(faults.hello_refusal);
  closing_ = !faults.hello_refusal.empty() || faults.refused_logins.contains(login_);
  flush_later();
}

bool ScriptedLink::frame(const FrameView& frame) {
  fabric_.seen.push_back(frame.content());
  if (fabric_.intercept && fabric_.intercept(*this, frame)) {
    return alive_;
  }
  const std::uint32_t conn = frame.number(header::kConnId).value_or(0);
  const auto bound = fabric_.terminator(*this, conn);
  switch (frame.content()) {
    case content::kHello:
      hello(frame);
      break;
    case content::kConnect:
      fabric_.connect_request(*this, frame);
      break;
    case content::kBind:
      fabric_.bind_request(*this, frame);
      break;
    case content::kDialSuccess:
    case content::kDialFailed:
      if (const auto dial = dials_.extract(
              static_cast<std::int32_t>(frame.number(header::kReplyFor).value_or(0)))) {
        fabric_.answered(dial.mapped(), *this, frame);
      }
      break;
    case content::kData:
      forward(frame);
      break;
    case content::kUnbind:
    case content::kStateClosed:
      if (bound) {
        fabric_.remove(bound);
      } else if (frame.content() == content::kStateClosed) {
        close_circuit(conn);
      }
      break;
    case content::kUpdateBind:
      if (bound) {
        if (const auto cost = frame.header(header::kCost); cost && cost->size() == 2) {
          bound->seen.cost = static_cast<std::uint16_t>(
              std::to_integer<unsigned>((*cost)[0]) | std::to_integer<unsigned>((*cost)[1]) << 8U);
        }
        if (const auto value = frame.header(header::kPrecedence); value && value->size() == 1) {
          bound->seen.precedence = std::to_integer<std::uint8_t>(value->front());
        }
      }
      break;
    case content::kHealthEvent:
      if (bound) {
        bound->seen.healthy = frame.flag(header::kHealthStatus);
      }
      break;
    case content::kConnInspectResponse:
      if (bound) {
        bound->seen.inspected = true;
      }
      break;
    case content::kUpdateToken: {
      fabric_.updated_tokens.emplace_back(frame.text());
      const bool refused = !fabric_.faults.refused_token_update.empty();
      FrameWriter(out_, refused ? content::kUpdateTokenFailure : content::kUpdateTokenSuccess,
                  next_sequence())
          .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
          .body(fabric_.faults.refused_token_update);
      closing_ = refused;
      flush_later();
      break;
    }
    case content::kLatency:
      if (!fabric_.faults.silent_probes) {
        FrameWriter answer(out_, content::kResult, next_sequence());
        answer.u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
            .flag(header::kResultSuccess);
        if (const auto time = frame.header(header::kReflected)) {
          answer.header(header::kReflected, *time);
        }
        answer.end();
        flush_later();
      }
      break;
    default:
      break;
  }
  return alive_;
}

void ScriptedLink::forward(const FrameView& frame) {
  const auto at = circuits_.find(frame.number(header::kConnId).value_or(0));
  const auto to = at == circuits_.end() ? nullptr : at->second.link.lock();
  if (to == nullptr) {
    return;
  }
  FrameWriter data(to->out_, content::kData, to->next_sequence());
  data.u32(header::kConnId, at->second.conn);
  for (const std::int32_t id : {header::kFlags, header::kReflected}) {
    if (const auto value = frame.header(id)) {
      data.header(id, *value);
    }
  }
  data.body(Bytes(frame.body()));
  to->flush_later();
  if (to->congested()) {
    waits_for_ = to;
    to->held_.push_back(weak_from_this());
  }
}

void ScriptedLink::close_circuit(std::uint32_t conn) {
  const auto circuit = circuits_.extract(conn);
  if (!circuit) {
    return;
  }
  --fabric_.circuits_;
  if (const auto to = circuit.mapped().link.lock()) {
    to->circuits_.erase(circuit.mapped().conn);
    to->send_closed(circuit.mapped().conn, "close called");
  }
}

}  // namespace simplon::overlay::ziti::test
