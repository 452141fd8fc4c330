// How frames arrive: replies to who waits for them, the rest to what their connection id stands
// for. Content types that we do not know are passed over.
#include <array>

#include "net/buffer_pool.hpp"
#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {
namespace {

using net::Errc;
using net::Event;
using Kind = EdgeErrorKind;

constexpr std::int32_t kFirstEdgeContent = content::kConnect;

// What a circuit would keep for as long as it waits; a cut name would be another's.
std::string kept(const FrameView& frame, std::int32_t id) {
  const std::string_view text = frame.string(id);
  return std::string(text.size() <= kMaxDialText ? text : std::string_view());
}

}  // namespace

void ChannelCore::read_transport() {
  net::PooledBuffer batch = net::PooledBuffer::take();
  reading_ = true;
  for (int reads = 0; reads < kReadsPerTurn && alive_ && stalled_.empty(); ++reads) {
    const auto got = transport_->try_read(batch.bytes());
    if (!got && got.error() == Errc::would_block) {
      break;
    }
    if (!got || *got == 0) {
      end(lost_by(got ? std::error_code() : got.error(), got.has_value()), Close::now);
      break;
    }
    last_heard_ = loop().now();
    if (const auto fed = parser_.feed(batch.bytes().first(*got), *this); !fed) {
      const bool version = fed.error() == Errc::other_version;
      end({.kind = Kind::protocol,
           .text = version ? "the router speaks another version of the channel protocol"
                           : "the router sent what is no frame"},
          Close::now);
    }
  }
  reading_ = false;
  if (alive_ && stalled_.empty()) {
    transport_->wait(Event::readable, *this);
  }
}

// A Hello is answered before the token is looked at: one that the router does not like is told by
// the end of the connection, and nothing else.
EdgeError ChannelCore::lost_by(std::error_code error, bool in_order) const {
  const std::string words = in_order ? "it closed the connection" : error.message();
  const bool doubted = error == Errc::bad_certificate ||
                       (greeted_ && !trusted_ && loop().now() - greeted_at_ <= kLoginDoubt &&
                        (in_order || error == Errc::reset || error == Errc::truncated));
  const std::string at = "router " + printable(options_.router.name, 100) + ": ";
  if (doubted) {
    return {.kind = Kind::login_refused,
            .text = at + "it does not accept our login (" + words + ")",
            .retry = true,
            .new_session = true};
  }
  return {.kind = Kind::link_lost, .text = at + words, .retry = true};
}

bool ChannelCore::frame(const FrameView& frame) {
  if (frame.content() >= kFirstEdgeContent) {
    trusted_ = true;
  }
  if (reply(frame)) {
    return alive_;
  }
  const auto id = frame.number(header::kConnId);
  const auto at = id ? conns_.find(*id) : conns_.end();
  switch (frame.content()) {
    case content::kData:
      // Of a circuit that was closed on this side there may be more under way.
      if (at != conns_.end() && at->second.stream != nullptr) {
        const auto keep = at->second.stream->shared_from_this();
        at->second.stream->data(frame);
      }
      break;
    case content::kStateClosed:
      state_closed(frame);
      break;
    case content::kStateConnected:
      // Of a dial that was given up.
      if (id && *id < next_id_ && at == conns_.end()) {
        say_closed_again(*id);
      }
      break;
    case content::kDial:
      incoming_dial(frame);
      break;
    case content::kBindSuccess:
      if (at != conns_.end() && at->second.binding != nullptr) {
        at->second.binding->establish();
      }
      break;
    case content::kConnInspectRequest:
      inspect(frame);
      break;
    case content::kLatency: {
      FrameWriter answer = control(content::kResult);
      answer.u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
          .flag(header::kResultSuccess);
      if (const auto time = frame.header(header::kReflected); time && time->size() <= 16) {
        answer.header(header::kReflected, *time);
      }
      answer.end();
      sent_control();
      break;
    }
    default:
      break;
  }
  return alive_;
}

bool ChannelCore::reply(const FrameView& frame) {
  const auto to = frame.number(header::kReplyFor);
  return to && answer(static_cast<std::int32_t>(*to), frame);
}

bool ChannelCore::answer(std::int32_t sequence, const FrameView& frame) {
  const auto at = pending_.find(sequence);
  if (at == pending_.end()) {
    return false;
  }
  const auto pending = std::move(at->second);
  pending_.erase(at);
  pending->error = pending->reply(frame);
  pending->gate.open();
  return true;
}

void ChannelCore::state_closed(const FrameView& frame) {
  const auto id = frame.number(header::kConnId);
  const auto at = id ? conns_.find(*id) : conns_.end();
  if (at == conns_.end()) {
    return;
  }
  const Conn conn = at->second;
  if (conn.request != 0 && answer(conn.request, frame)) {
    return;  // a refusal, although it does not say of what
  }
  if (conn.stream != nullptr) {
    const auto keep = conn.stream->shared_from_this();
    drop(*id);
    conn.stream->peer_closed();
  } else if (conn.binding != nullptr) {
    drop(*id);
    conn.binding->end(refusal_of(frame));
  } else if (conn.offer != nullptr) {
    drop(*id);
    --offers_;
    conn.offer->open = false;
    conn.offer->timer.cancel();
  }
}

void ChannelCore::incoming_dial(const FrameView& frame) {
  const auto to = frame.number(header::kConnId);
  const auto at = to ? conns_.find(*to) : conns_.end();
  if (at == conns_.end() || at->second.binding == nullptr) {
    refuse_dial(frame, "no listener for conn id [" + std::to_string(to.value_or(0)) + "]");
    return;
  }
  const auto binding = at->second.binding->shared_from_this();
  if (frame.text() != binding->request_.session_token) {
    refuse_dial(frame, "invalid token");
    return;
  }
  const auto id = frame.number(header::kRouterProvidedConnId);
  if (!id || *id < kFirstRouterConnId || conns_.contains(*id)) {
    refuse_dial(frame, "the router gave no new connection id");
    return;
  }
  if (offers_ >= kMaxOffers || conns_.size() >= kMaxConns) {
    refuse_dial(frame, "simplon: a limit was reached: the host has too many circuits");
    return;
  }
  const std::string_view method = frame.string(header::kCryptoMethod);
  if (!method.empty() && method != std::string_view("\0", 1) && method != "libsodium") {
    refuse_dial(frame, "simplon: the host does not know this encryption");
    return;
  }
  const auto offer = std::make_shared<Offer>(self());
  if (binding->keys_) {
    const auto key = frame.header(header::kPublicKey);
    offer->keys = key ? host_keys(*binding->keys_, *key) : std::nullopt;
    if (!offer->keys) {
      refuse_dial(frame, "encryption required on service, initiator did not send public header");
      return;
    }
  }
  offer->binding = *to;
  offer->conn = *id;
  offer->sequence = frame.sequence();
  offer->dialer_id = kept(frame, header::kDialerIdentityId);
  offer->dialer_name = kept(frame, header::kDialerIdentityName);
  offer->caller = kept(frame, header::kCallerId);
  offer->app_data = kept(frame, header::kAppData);
  offer->circuit = kept(frame, header::kCircuitId);
  ++offers_;
  add(*id, {.offer = offer.get()});
  offer->timer.arm(loop().now() + kAnswerTimeout, [raw = offer.get()] {
    const auto keep = raw->channel;
    keep->reject(*raw, "the host did not answer in time");
  });
  if (const auto handler = binding->handler_; handler && *handler) {
    (*handler)(std::make_unique<IncomingDial>(offer));
  }
}

void ChannelCore::refuse_dial(const FrameView& frame, std::string_view text) {
  control(content::kDialFailed)
      .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
      .u32(header::kConnId, frame.number(header::kConnId).value_or(0))
      .body(text);
  sent_control();
}

// Routers take terminators away whose host does not answer this.
void ChannelCore::inspect(const FrameView& frame) {
  const std::uint32_t id = frame.number(header::kConnId).value_or(0);
  const auto at = conns_.find(id);
  enum : std::uint8_t { unknown = 0, circuit = 1, listener = 2 } type = unknown;
  if (at != conns_.end()) {
    type = at->second.binding != nullptr ? listener : circuit;
  }
  constexpr std::array<std::string_view, 3> kWords{"no such connection", "a circuit", "a listener"};
  control(content::kConnInspectResponse)
      .u32(header::kReplyFor, static_cast<std::uint32_t>(frame.sequence()))
      .u32(header::kConnId, id)
      .u8(header::kConnType, type)
      .body(kWords[type]);
  sent_control();
}

void ChannelCore::say_closed(std::uint32_t id) {
  control(content::kStateClosed).u32(header::kConnId, id).end();
  sent_control();
}

// Behind what the circuit sent, had it been one: a router may say anything.
void ChannelCore::say_closed_again(std::uint32_t id) {
  FrameWriter(out_.data(), content::kStateClosed, next_sequence()).u32(header::kConnId, id).end();
  sent_control();
}

}  // namespace simplon::overlay::ziti
