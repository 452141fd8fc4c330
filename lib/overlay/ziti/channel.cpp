#include "overlay/ziti/channel.hpp"

#include <algorithm>

#include "net/tcp.hpp"
#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {

using net::Errc;
using net::Event;

namespace {

using Kind = EdgeErrorKind;

// A timer that is later than this says nothing about the router.
constexpr std::chrono::seconds kLateLoop{1};

std::unexpected<EdgeError> failed(Kind kind, std::string text, bool retry = true) {
  return std::unexpected(
      EdgeError{.kind = kind, .text = std::move(text), .retry = retry, .new_session = false});
}

std::string words(const Router& router, std::string_view what) {
  return "router " + printable(router.name, 100) + " at " + net::to_string(router.endpoint) + ": " +
         printable(what, 300);
}

}  // namespace

net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> Channel::connect(
    net::Loop& loop, Options options) {
  const net::Endpoint& at = options.router.endpoint;
  auto tcp = co_await net::connect_tcp(loop, at.host, at.port, options.deadline);
  if (!tcp) {
    co_return failed(tcp.error() == Errc::timed_out ? Kind::timed_out : Kind::link_lost,
                     words(options.router, tcp.error().message()));
  }
  std::string why;
  auto tls =
      co_await net::tls_connect(std::move(*tcp), options.tls, at.host, options.deadline, &why);
  if (!tls) {
    const std::string detail = tls.error().message() + (why.empty() ? "" : " (" + why + ")");
    co_return failed(tls.error() == Errc::timed_out ? Kind::timed_out : Kind::link_lost,
                     words(options.router, detail));
  }
  net::StreamPtr transport = std::move(*tls);
  co_return co_await start(std::move(transport), std::move(options));
}

net::awaitable<std::expected<std::shared_ptr<Channel>, EdgeError>> Channel::start(
    net::StreamPtr transport, Options options) {
  const auto core = std::make_shared<ChannelCore>(std::move(transport), std::move(options));
  core->budget().join(core);
  if (const auto greeted = co_await core->begin(); !greeted) {
    core->abandon();
    co_return std::unexpected(greeted.error());
  }
  co_return core;
}

ChannelCore::ChannelCore(net::StreamPtr transport, Options options)
    : MemoryBudget::Member(transport->loop()),
      transport_(std::move(transport)),
      options_(std::move(options)),
      budget_(options_.budget ? options_.budget : std::make_shared<MemoryBudget>()),
      stall_timer_(loop()),
      probe_timer_(loop()),
      last_heard_(loop().now()),
      close_timer_(loop()) {}

ChannelCore::~ChannelCore() {
  budget_->leave(*this);
  transport_->cancel_wait(Event::readable);
  transport_->cancel_wait(Event::writable);
  transport_->cancel_wait(Event::flushed);
  if (!finished_) {
    transport_->reset();
  }
}

net::awaitable<std::expected<void, EdgeError>> ChannelCore::begin() {
  const auto keep = self();
  auto hello = std::make_shared<Pending>(loop());
  hello->reply = [this](const FrameView& frame) -> std::optional<EdgeError> {
    if (frame.content() != content::kResult || !frame.flag(header::kResultSuccess)) {
      EdgeError refused = refusal_of(frame);
      if (refused.kind == Kind::other) {
        refused = {
            .kind = Kind::login_refused, .text = refused.text, .retry = true, .new_session = true};
      }
      return refused;
    }
    greeted_ = true;
    greeted_at_ = loop().now();
    bind_success_ = frame.flag(header::kSupportsBindSuccess);
    return std::nullopt;
  };
  const std::int32_t sequence = next_sequence();
  pending_.emplace(sequence, hello);
  FrameWriter(out_.control(), content::kHello, sequence)
      .text(header::kSessionToken, options_.api_token)
      .body(options_.client_name);
  sent_control();
  transport_->wait(Event::readable, *this);
  const auto outcome = co_await answered(hello, sequence, options_.deadline);
  if (outcome && alive_) {
    probe();
  }
  co_return outcome;
}

std::optional<EdgeError> ChannelCore::busy() const {
  if (!alive_) {
    return lost_;
  }
  if (conns_.size() >= kMaxConns || pending_.size() >= kMaxPending || next_id_ > kLastOwnConnId) {
    return EdgeError{.kind = Kind::other,
                     .text = words(options_.router, "too much is under way on this channel"),
                     .retry = true};
  }
  return std::nullopt;
}

void ChannelCore::add(std::uint32_t id, Conn conn) {
  bindings_ += conn.binding != nullptr ? 1 : 0;
  conns_.emplace(id, conn);
  watch_stalled();
}

void ChannelCore::drop(std::uint32_t id) {
  if (const auto at = conns_.find(id); at != conns_.end()) {
    bindings_ -= at->second.binding != nullptr ? 1 : 0;
    conns_.erase(at);
    watch_stalled();
  }
}

std::int32_t ChannelCore::next_sequence() {
  sequence_ = sequence_ == std::numeric_limits<std::int32_t>::max() ? 1 : sequence_ + 1;
  return sequence_;
}

net::awaitable<std::expected<void, EdgeError>> ChannelCore::answered(
    std::shared_ptr<Pending> pending, std::int32_t sequence, net::TimePoint deadline) {
  if (!co_await pending->gate.wait_until(deadline)) {
    pending_.erase(sequence);
    co_return failed(Kind::timed_out, words(options_.router, "no answer in time"));
  }
  if (pending->error) {
    co_return std::unexpected(*pending->error);
  }
  co_return std::expected<void, EdgeError>{};
}

net::awaitable<std::expected<net::StreamPtr, EdgeError>> ChannelCore::dial(DialRequest request) {
  const auto keep = self();
  if (const auto refused = busy()) {
    co_return std::unexpected(*refused);
  }
  const std::uint32_t id = next_id_++;
  const auto keys = request.encrypted ? std::optional(KeyPair::make()) : std::nullopt;
  const auto stream = std::make_shared<net::StreamPtr>();
  auto connect = std::make_shared<Pending>(loop());
  connect->reply = [this, id, keys, stream](const FrameView& frame) {
    return dialed(frame, id, keys, *stream);
  };
  const std::int32_t sequence = next_sequence();
  pending_.emplace(sequence, connect);
  add(id, {.request = sequence});
  FrameWriter frame(out_.control(), content::kConnect, sequence);
  frame.u32(header::kConnId, id);
  if (keys) {
    frame.header(header::kPublicKey, keys->public_bytes());
  }
  const auto optional = [&frame](std::int32_t id_of_header, const std::string& value) {
    if (!value.empty()) {
      frame.text(id_of_header, value);
    }
  };
  optional(header::kCallerId, request.caller);
  optional(header::kConnectionMarker, request.marker);
  optional(header::kTerminatorIdentity, request.terminator_identity);
  optional(header::kAppData, request.app_data);
  frame.body(request.session_token);
  sent_control();

  const auto outcome = co_await answered(connect, sequence, request.deadline);
  if (!outcome) {
    // The circuit may come to be after all: a late StateConnected is answered the same way.
    if (alive_ && conns_.contains(id)) {
      drop(id);
      say_closed(id);
    }
    co_return std::unexpected(outcome.error());
  }
  co_return std::move(*stream);
}

// The keys are in place before the next frame is looked at: it may be the host's first.
std::optional<EdgeError> ChannelCore::dialed(const FrameView& frame, std::uint32_t id,
                                             const std::optional<KeyPair>& keys,
                                             net::StreamPtr& stream) {
  if (frame.content() == content::kStateClosed) {
    drop(id);
    return refusal_of(frame);
  }
  const auto refuse = [&](Kind kind, std::string_view text) {
    drop(id);
    say_closed(id);
    return EdgeError{.kind = kind, .text = words(options_.router, text)};
  };
  if (frame.content() != content::kStateConnected) {
    return refuse(Kind::protocol, "the answer to a dial is none");
  }
  std::optional<CircuitKeys> circuit;
  if (keys) {
    const auto host = frame.header(header::kPublicKey);
    if (!host) {
      return refuse(Kind::encryption_missing,
                    "the service wants encryption and its host sent no key");
    }
    circuit = dialer_keys(*keys, *host);
    if (!circuit) {
      return refuse(Kind::protocol, "the key of the service's host is none");
    }
  }
  const auto made = std::make_shared<CircuitStream>(self(), id, circuit);
  conns_[id].stream = made.get();
  made->begin();
  stream = made;
  return std::nullopt;
}

net::awaitable<std::expected<std::shared_ptr<Binding>, EdgeError>> ChannelCore::bind(
    BindRequest request, DialHandler handler) {
  const auto keep = self();
  if (const auto refused = busy()) {
    co_return std::unexpected(*refused);
  }
  const std::uint32_t id = next_id_++;
  const net::TimePoint deadline = request.deadline;
  const auto binding =
      std::make_shared<BindingCore>(keep, id, std::move(request), std::move(handler));
  const BindRequest& wanted = binding->request_;
  auto pending = std::make_shared<Pending>(loop());
  pending->reply = [this, id, weak = std::weak_ptr(binding)](
                       const FrameView& frame) -> std::optional<EdgeError> {
    if (frame.content() == content::kStateConnected) {
      if (const auto bound = weak.lock(); bound && !bind_success_) {
        bound->establish();  // a router that will not tell
      }
      return std::nullopt;
    }
    drop(id);
    if (const auto bound = weak.lock()) {
      bound->attached_ = false;
    }
    if (frame.content() == content::kStateClosed) {
      return refusal_of(frame);
    }
    say_closed(id);
    return EdgeError{.kind = Kind::protocol,
                     .text = words(options_.router, "the answer to a bind is none")};
  };
  const std::int32_t sequence = next_sequence();
  pending_.emplace(sequence, pending);
  add(id, {.binding = binding.get(), .request = sequence});
  FrameWriter frame(out_.control(), content::kBind, sequence);
  frame.u32(header::kConnId, id);
  if (binding->keys_) {
    frame.header(header::kPublicKey, binding->keys_->public_bytes());
  }
  frame.flag(header::kRouterProvidedConnId)
      .flag(header::kSupportsBindSuccess)
      .flag(header::kSupportsInspect)
      .u16(header::kCost, wanted.rank.cost)
      .u8(header::kPrecedence, static_cast<std::uint8_t>(wanted.rank.precedence));
  if (!wanted.listener_id.empty()) {
    frame.text(header::kListenerId, wanted.listener_id);
  }
  if (!wanted.terminator_identity.empty()) {
    frame.text(header::kTerminatorIdentity, wanted.terminator_identity);
  }
  frame.body(wanted.session_token);
  sent_control();

  const auto outcome = co_await answered(pending, sequence, deadline);
  if (!outcome) {
    if (alive_ && std::exchange(binding->attached_, false)) {
      drop(id);
      say_closed(id);
    }
    co_return std::unexpected(outcome.error());
  }
  co_return binding;
}

net::awaitable<std::expected<void, EdgeError>> ChannelCore::update_token(std::string jwt) {
  const auto keep = self();
  if (const auto refused = busy()) {
    co_return std::unexpected(*refused);
  }
  auto pending = std::make_shared<Pending>(loop());
  pending->reply = [](const FrameView& frame) -> std::optional<EdgeError> {
    if (frame.content() == content::kUpdateTokenSuccess) {
      return std::nullopt;
    }
    return EdgeError{.kind = Kind::login_refused,
                     .text = printable(frame.text()),
                     .retry = true,
                     .new_session = true};
  };
  const std::int32_t sequence = next_sequence();
  pending_.emplace(sequence, pending);
  FrameWriter(out_.control(), content::kUpdateToken, sequence).body(jwt);
  sent_control();
  co_return co_await answered(pending, sequence, loop().now() + kProbeTimeout);
}

void ChannelCore::on_lost(std::move_only_function<void(const EdgeError&)> lost) {
  if (alive_) {
    on_lost_ = std::move(lost);
  } else if (lost) {
    loop().post([lost = std::move(lost), why = lost_]() mutable { lost(why); });
  }
}

void ChannelCore::close() {
  on_lost_ = nullptr;
  end({.kind = Kind::link_lost, .text = "closed on this side", .retry = true}, Close::flush);
}

void ChannelCore::abandon() {
  on_lost_ = nullptr;
  end({.kind = Kind::link_lost, .text = "closed on this side", .retry = true}, Close::now);
  finish();
}

void ChannelCore::ready(Event event, std::error_code) {
  const auto keep = shared_from_this();
  switch (event) {
    case Event::readable:
      read_transport();
      break;
    case Event::writable:
      blocked_ = false;
      flush();
      break;
    case Event::flushed:
      transport_flushed();
      break;
  }
}

// The budget is exhausted, and no channel holds more than this one.
bool ChannelCore::shed() {
  CircuitStream* fullest = nullptr;
  const auto consider = [&fullest](CircuitStream* stream) {
    if (stream != nullptr && !stream->queue_.empty() &&
        (fullest == nullptr || stream->queue_.memory() > fullest->queue_.memory())) {
      fullest = stream;
    }
  };
  for (const auto& [id, conn] : conns_) {
    consider(conn.stream);
  }
  for (CircuitStream* stream : unread_) {
    consider(stream);
  }
  if (fullest == nullptr) {
    return false;
  }
  budget_->count_shed();
  fullest->drop_unread();
  fullest->received_fin_ = false;  // the bytes before the end are gone: this is no clean end
  fullest->abort(Errc::memory);
  return true;
}

void ChannelCore::probe() {
  auto pending = std::make_shared<Pending>(loop());
  pending->reply = [this](const FrameView&) -> std::optional<EdgeError> {
    latency_ = loop().now() - probe_sent_;
    probe_timer_.arm(loop().now() + kProbeInterval, [this] {
      const auto keep = shared_from_this();
      probe();
    });
    return std::nullopt;
  };
  probe_sequence_ = next_sequence();
  probe_sent_ = loop().now();
  pending_.emplace(probe_sequence_, std::move(pending));
  FrameWriter(out_.control(), content::kLatency, probe_sequence_)
      .u64(header::kReflected, static_cast<std::uint64_t>(probe_sent_.time_since_epoch().count()))
      .end();
  sent_control();
  if (!alive_) {
    return;
  }
  // An idle channel holds no buffers.
  if (out_.backlog() == 0) {
    out_.shrink();
  }
  probe_timer_.arm(loop().now() + kProbeTimeout, [this] {
    const auto keep = shared_from_this();
    probe_over();
  });
}

// A router answers one probe at a time, and none while its queue to us is full.
void ChannelCore::probe_over() {
  pending_.erase(probe_sequence_);
  if (loop().now() - probe_sent_ > kProbeTimeout + kLateLoop) {
    probe();  // the loop stood still: what came meanwhile has not been read yet
    return;
  }
  if (stalled_.empty() && last_heard_ <= probe_sent_) {
    end({.kind = Kind::link_lost, .text = words(options_.router, "no sign of life"), .retry = true},
        Close::now);
    return;
  }
  probe_timer_.arm(loop().now() + kProbeInterval - kProbeTimeout, [this] {
    const auto keep = shared_from_this();
    probe();
  });
}

void ChannelCore::end(EdgeError why, Close how) {
  if (!alive_) {
    return;
  }
  const auto keep = self();
  const auto conns = conns_;
  if (how == Close::flush) {
    for (const auto& [id, conn] : conns) {
      if (!alive_) {
        return;  // by what was said
      }
      if (conn.stream != nullptr) {
        conn.stream->send_closed();
      } else if (conn.offer != nullptr) {
        reject(*conn.offer, "the host closes");
      } else if (conn.binding != nullptr) {
        unbind(*conn.binding);
      } else {
        say_closed(id);
      }
    }
  }
  if (!std::exchange(alive_, false)) {
    return;
  }
  lost_ = std::move(why);
  probe_timer_.cancel();
  stall_timer_.cancel();
  transport_->cancel_wait(Event::readable);
  conns_.clear();
  bindings_ = 0;
  for (const auto& [id, conn] : conns) {
    if (conn.stream != nullptr) {
      conn.stream->fail(Errc::link_lost);
    } else if (conn.binding != nullptr) {
      conn.binding->end(lost_);
    } else if (conn.offer != nullptr) {
      conn.offer->open = false;
      conn.offer->timer.cancel();
    }
  }
  for (CircuitStream* stream : std::exchange(flushing_, {})) {
    stream->flushing_ = false;
    stream->notify_later(Event::flushed, Errc::link_lost);
  }
  for (const auto& [sequence, pending] : std::exchange(pending_, {})) {
    pending->error = lost_;
    pending->gate.open();
  }
  if (on_lost_) {
    // Later, because a caller may be in the middle of something.
    loop().post([lost = std::exchange(on_lost_, nullptr), text = lost_]() mutable { lost(text); });
  }
  if (how == Close::now) {
    finish();
    return;
  }
  close_timer_.arm(loop().now() + net::kCloseTimeout, [keep] { keep->finish(); });
  schedule_flush();
}

// Everything has left, or nothing more will.
void ChannelCore::finish() {
  const bool flushed = out_.size() == 0;
  if (std::exchange(finished_, true)) {
    return;
  }
  // The timer may hold the last reference, and the caller be a member function.
  loop().post([keep = shared_from_this()] {});
  close_timer_.cancel();
  transport_->cancel_wait(Event::writable);
  transport_->cancel_wait(Event::flushed);
  if (flushed) {
    transport_->close();
  } else {
    transport_->reset();
  }
}

}  // namespace simplon::overlay::ziti
