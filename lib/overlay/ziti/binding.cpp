#include "overlay/ziti/binding.hpp"

#include <vector>

#include "overlay/ziti/channel_core.hpp"

namespace simplon::overlay::ziti {
namespace {

using net::Errc;

// Refusals are told to the dialer, through two other parties' messages.
constexpr std::size_t kMaxRejection = 1024;

}  // namespace

BindingCore::BindingCore(std::shared_ptr<ChannelCore> channel, std::uint32_t id,
                         BindRequest request, DialHandler handler)
    : channel_(std::move(channel)),
      id_(id),
      request_(std::move(request)),
      keys_(request_.encrypted ? std::optional(KeyPair::make()) : std::nullopt),
      handler_(std::make_shared<DialHandler>(std::move(handler))) {}

void BindingCore::set_health(bool passing) {
  if (attached_) {
    channel_->control(content::kHealthEvent)
        .u32(header::kConnId, id_)
        .flag(header::kHealthStatus, passing)
        .body(request_.session_token);
    channel_->sent_control();
  }
}

void BindingCore::update(const Rank& rank) {
  if (attached_) {
    channel_->control(content::kUpdateBind)
        .u32(header::kConnId, id_)
        .u16(header::kCost, rank.cost)
        .u8(header::kPrecedence, static_cast<std::uint8_t>(rank.precedence))
        .body(request_.session_token);
    channel_->sent_control();
  }
}

void BindingCore::close() {
  changed_ = nullptr;
  handler_ = nullptr;
  if (attached_) {
    channel_->unbind(*this);
    attached_ = false;
  }
}

void BindingCore::establish() {
  if (!std::exchange(established_, true)) {
    tell();
  }
}

void BindingCore::end(EdgeError why) {
  attached_ = false;
  if (!ended_) {
    ended_ = std::move(why);
    tell();
  }
}

void BindingCore::tell() {
  channel_->loop().post([weak = weak_from_this()] {
    if (const auto keep = weak.lock(); keep && keep->changed_) {
      const auto changed = keep->changed_;  // may replace itself
      changed();
    }
  });
}

// Behind the reply to the Bind, which was waited for.
void ChannelCore::unbind(const BindingCore& binding) {
  control(content::kUnbind).u32(header::kConnId, binding.id_).body(binding.request_.session_token);
  control(content::kStateClosed).u32(header::kConnId, binding.id_).end();
  drop(binding.id_);
  std::vector<Offer*> open;
  for (const auto& [id, conn] : conns_) {
    if (conn.offer != nullptr && conn.offer->binding == binding.id_) {
      open.push_back(conn.offer);
    }
  }
  for (Offer* const offer : open) {
    reject(*offer, "the service is no longer hosted here");
  }
  sent_control();
}

net::StreamPtr ChannelCore::accept(Offer& offer) {
  const auto stream = std::make_shared<CircuitStream>(self(), offer.conn, offer.keys);
  if (!std::exchange(offer.open, false) || !alive_) {
    stream->fail(alive_ ? Errc::reset : Errc::link_lost);
    return stream;
  }
  offer.timer.cancel();
  --offers_;
  conns_[offer.conn] = {.stream = stream.get()};
  control(content::kDialSuccess)
      .u32(header::kReplyFor, static_cast<std::uint32_t>(offer.sequence))
      .u32(header::kConnId, offer.binding)
      .body_u32(offer.conn);
  sent_control();
  if (alive_) {
    stream->begin();
  }
  return stream;
}

void ChannelCore::reject(Offer& offer, std::string_view text) {
  if (!std::exchange(offer.open, false)) {
    return;
  }
  offer.timer.cancel();
  --offers_;
  drop(offer.conn);
  control(content::kDialFailed)
      .u32(header::kReplyFor, static_cast<std::uint32_t>(offer.sequence))
      .u32(header::kConnId, offer.binding)
      .body(printable(text, kMaxRejection));
  sent_control();
}

IncomingDial::IncomingDial(std::shared_ptr<Offer> offer) : offer_(std::move(offer)) {}

IncomingDial::~IncomingDial() { offer_->channel->reject(*offer_, "simplon: refused by the host"); }

net::Loop& IncomingDial::loop() const { return offer_->channel->loop(); }
const std::string& IncomingDial::dialer_id() const { return offer_->dialer_id; }
const std::string& IncomingDial::dialer_name() const { return offer_->dialer_name; }
const std::string& IncomingDial::caller() const { return offer_->caller; }
const std::string& IncomingDial::app_data() const { return offer_->app_data; }
const std::string& IncomingDial::circuit() const { return offer_->circuit; }

net::StreamPtr IncomingDial::accept() { return offer_->channel->accept(*offer_); }

void IncomingDial::reject(std::string_view text) { offer_->channel->reject(*offer_, text); }

}  // namespace simplon::overlay::ziti
