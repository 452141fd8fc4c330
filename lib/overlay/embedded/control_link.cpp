#include "overlay/embedded/control_link.hpp"

#include <array>
#include <ctime>
#include <utility>

#include <sodium.h>

#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/version.hpp"
#include "net/tcp.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/session_codes.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using link::v1::HubMessage;
using link::v1::MemberMessage;
using std::chrono::milliseconds;

// Full jitter (design, "Liveness"): soon in the first minutes of an outage, rarely after.
constexpr milliseconds kShortestPause{100};
constexpr milliseconds kSoon{1'000};
constexpr milliseconds kRarely{30'000};
constexpr std::chrono::minutes kSoonFor{10};
// How long a dial waits for a link that is being made.
constexpr std::chrono::seconds kReconnectPatience{3};

milliseconds jittered(milliseconds most) {
  const auto range = static_cast<std::uint32_t>((most - kShortestPause).count() + 1);
  return kShortestPause + milliseconds(randombytes_uniform(range));
}

Failure gone(const std::string& why) {
  return {.hop = Hop::hub, .code = Errc::link_lost, .detail = why};
}

}  // namespace

ControlLink::ControlLink(net::Loop& control, std::shared_ptr<const Member> member,
                         Handlers handlers)
    : control_(control), member_(std::move(member)), handlers_(std::move(handlers)) {
  status_.since = std::chrono::system_clock::now();
}

void ControlLink::start() {
  outage_since_ = control_.now();
  net::spawn(control_, "link to the hub", run(shared_from_this()));
}

void ControlLink::stop() {
  if (std::exchange(stopped_, true)) {
    return;
  }
  handlers_ = {};
  lost("the overlay was given up on this side");
  if (session_) {
    session_->close();
  }
  if (backoff_) {
    backoff_->open();
  }
  wake_waiters();
}

net::awaitable<void> ControlLink::run(std::shared_ptr<ControlLink> self) {
  while (!self->stopped_) {
    Ended last;
    std::string why;
    for (const std::string& text : self->member_->identity.addresses) {
      const auto address = net::parse_endpoint(text);  // make_member has seen that it is one
      last = co_await self->attempt(address.value_or(net::Endpoint{}));
      if (self->stopped_) {
        co_return;
      }
      why += (why.empty() ? "" : "; ") + ("hub " + text) + ": " + last.why;
      if (last.was_up) {
        break;
      }
    }
    self->lost(std::move(why));
    co_await self->pause(last);
  }
}

net::awaitable<ControlLink::Ended> ControlLink::attempt(net::Endpoint address) {
  const auto deadline = control_.now() + kConnectDeadline;
  auto tcp = co_await net::connect_tcp(control_, address.host, address.port, deadline);
  if (!tcp) {
    co_return Ended{.why = tcp.error().message()};
  }
  net::limit_unacknowledged(**tcp, kDeadAfter);
  std::string why;
  auto tls = co_await net::tls_connect(std::move(*tcp), member_->client, "", deadline, &why);
  if (!tls) {
    co_return Ended{.why = tls.error().message() + (why.empty() ? "" : " (" + why + ")")};
  }
  const auto proven = prove(**tls);
  if (!proven || !proven->hub || stopped_) {
    (*tls)->reset(Errc::bad_certificate);
    co_return Ended{.why = "who answers there is not a hub of this network"};
  }
  struct End {
    explicit End(net::Loop& loop) : told(loop) {}
    net::Gate told;
    std::error_code error;
  };
  const auto end = std::make_shared<End>(control_);
  session_ = Session::start(std::move(*tls), SessionRole::client, {.budget = member_->budget},
                            {.inbound = {}, .ended = [end](std::error_code error) {
                               end->error = error;
                               end->told.open();
                             }});
  const SessionPtr session = session_;
  Ended ended;
  auto stream = session->open_stream();
  auto opened = stream ? start_open(std::move(*stream), {.service = "hub",
                                                         .kind = StreamKind::control,
                                                         .connection_id = {},
                                                         .on_behalf_of = {}})
                       : base::Result<Opened>(std::unexpected(stream.error()));
  if (opened) {
    hub_ = address;
    ended = co_await serve(std::move(opened->stream), opened->status);
  } else {
    ended.why = opened.error().message();
  }
  writer_.reset();
  session_.reset();
  if (!session->alive()) {
    // Its streams failed just now; why comes in a handler of its own.
    co_await end->told.wait_until(control_.now() + kAnswerDeadline);
    if (end->error == Errc::closed) {
      ended.in_order = true;
      ended.why = "the hub went away";
    } else if (end->error && ended.why.empty()) {
      ended.why = end->error.message();
    }
  }
  session->close();
  co_return ended;
}

net::awaitable<ControlLink::Ended> ControlLink::serve(net::StreamPtr stream,
                                                      std::shared_ptr<OpenStatus> opened) {
  Ended ended;
  writer_ = std::make_unique<ControlWriter>(stream);
  MemberMessage hello;
  hello.set_id(next_id_++);
  hello.mutable_hello()->set_instance(member_->instance);
  hello.mutable_hello()->set_version(base::version());
  if (const auto sent = writer_->write(hello); !sent) {
    ended.why = sent.error().message();
    co_return ended;
  }
  stream->set_deadline(net::Direction::receive, control_.now() + kAnswerDeadline);
  HubMessage message;
  for (;;) {
    message.Clear();
    const auto got = co_await read_message(stream, &message);
    if (stopped_) {
      co_return ended;
    }
    if (!got) {
      ended.why = opened->state() == OpenStatus::State::refused
                      ? opened->refusal().failure.message()
                      : got.error().message();
      co_return ended;
    }
    if (!*got) {
      ended.in_order = true;
      ended.why = "the hub ended the link";
      co_return ended;
    }
    if (ended.was_up) {
      dispatch(message);
      continue;
    }
    if (message.id() != hello.id()) {
      continue;
    }
    if (!message.has_done()) {
      ended.why = "the hub refused: " + base::printable(message.failed().detail());
      co_return ended;
    }
    stream->clear_deadline(net::Direction::receive);
    ended.was_up = true;
    up_since_ = control_.now();
    base::log().info("overlay: link to hub {} is up", net::to_string(*hub_));
    set(LinkState::up, expiry_warning());
    if (const auto up = handlers_.up) {
      up();
    }
    wake_waiters();
  }
}

net::awaitable<void> ControlLink::pause(const Ended& last) {
  const auto now = control_.now();
  if (last.was_up) {
    outage_since_ = now;
    // A hub that went away in order is being restarted, and tried at once; but not in circles.
    if (last.in_order && now - up_since_ >= kSoon) {
      co_return;
    }
  }
  const bool soon = now - outage_since_ < kSoonFor;
  const auto gate = std::make_shared<net::Gate>(control_);
  backoff_ = gate;
  co_await gate->wait_until(now + jittered(soon ? kSoon : kRarely));
  backoff_.reset();
}

std::string ControlLink::expiry_warning() const {
  if (member_->expires - std::chrono::system_clock::now() > kExpiryWarning) {
    return {};
  }
  const std::time_t when = std::chrono::system_clock::to_time_t(member_->expires);
  std::tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&when, &parts) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts) == 0) {
    return "this identity's certificate ends soon";
  }
  return std::string("this identity's certificate ends on ") + text.data();
}

void ControlLink::dispatch(const HubMessage& message) {
  if (message.id() == 0) {
    if (const auto offer = handlers_.offer; offer && message.has_offer()) {
      offer(message.offer());
    }
    return;
  }
  const auto found = pending_.find(message.id());
  if (found == pending_.end()) {
    return;  // answers a tell(), or somebody who gave up
  }
  const PendingPtr pending = std::move(found->second);
  pending_.erase(found);
  if (message.has_failed()) {
    const Errc code = from_wire(message.failed().code());
    pending->answer =
        std::unexpected(Failure{.hop = Hop::hub,
                                .code = code == Errc::reset ? Errc::host_refused : code,
                                .detail = base::printable(message.failed().detail())});
  } else {
    pending->answer = message;
  }
  pending->gate.open();
}

net::awaitable<bool> ControlLink::wait_up(net::TimePoint deadline) {
  const auto self = shared_from_this();
  const auto until = std::min(deadline, control_.now() + kReconnectPatience);
  while (!stopped_ && status_.state != LinkState::up) {
    if (control_.now() >= until) {
      co_return false;
    }
    const auto gate = std::make_shared<net::Gate>(control_);
    waiting_.push_back(gate);
    if (!co_await gate->wait_until(until) && control_.now() < until) {
      co_return false;  // cancelled
    }
  }
  co_return !stopped_;
}

net::awaitable<ControlLink::Answer> ControlLink::ask(MemberMessage message,
                                                     net::TimePoint deadline) {
  const auto self = shared_from_this();
  if (!writer_ || status_.state != LinkState::up) {
    co_return std::unexpected(gone(status_.last_error));
  }
  const std::uint64_t id = next_id_++;
  message.set_id(id);
  const auto pending = std::make_shared<Pending>(control_);
  pending_.emplace(id, pending);
  if (!writer_->write(message)) {
    pending_.erase(id);
    co_return std::unexpected(gone("the message could not be sent"));
  }
  if (!co_await pending->gate.wait_until(deadline)) {
    pending_.erase(id);
    co_return std::unexpected(
        Failure{.hop = Hop::hub, .code = Errc::timed_out, .detail = "the hub did not answer"});
  }
  co_return std::move(pending->answer);
}

void ControlLink::tell(MemberMessage message) {
  if (writer_ && status_.state == LinkState::up) {
    message.set_id(next_id_++);
    if (const auto sent = writer_->write(message); !sent) {
      // The reader of the link finds out as well, and tells all who wait.
      base::log().debug("overlay: the hub takes no message: {}", sent.error().message());
    }
  }
}

void ControlLink::set(LinkState state, std::string error) {
  if (status_.state == state && status_.last_error == error) {
    return;
  }
  if (state == LinkState::down && !stopped_) {
    base::log().warn("overlay: {}", error);
  }
  if (status_.state != state) {
    status_.since = std::chrono::system_clock::now();
  }
  status_.state = state;
  status_.last_error = std::move(error);
  if (const auto changed = handlers_.changed) {
    changed();
  }
}

void ControlLink::lost(std::string why) {
  set(LinkState::down, std::move(why));
  for (auto& [id, pending] : std::exchange(pending_, {})) {
    pending->answer = std::unexpected(gone(status_.last_error));
    pending->gate.open();
  }
}

void ControlLink::wake_waiters() {
  for (const auto& weak : std::exchange(waiting_, {})) {
    if (const auto gate = weak.lock()) {
      gate->open();
    }
  }
}

}  // namespace simplon::overlay
