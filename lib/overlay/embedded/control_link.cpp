#include "overlay/embedded/control_link.hpp"

#include <utility>

#include <sodium.h>

#include "base/log.hpp"
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
/// How long a dial waits for a link that is being made again.
constexpr std::chrono::seconds kReconnectPatience{2};

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
    bool was_up = false;
    for (const std::string& text : self->member_->identity.addresses) {
      const auto address = net::parse_endpoint(text);
      if (!address) {
        self->set(LinkState::down, "\"" + text + "\" is not an address of a hub");
        continue;
      }
      was_up = co_await self->attempt(*address);
      if (was_up || self->stopped_) {
        break;
      }
    }
    if (!self->stopped_) {
      co_await self->pause(was_up);
    }
  }
}

net::awaitable<bool> ControlLink::attempt(net::Endpoint address) {
  const auto deadline = control_.now() + kConnectDeadline;
  const std::string at = "hub " + net::to_string(address);
  auto tcp = co_await net::connect_tcp(control_, address.host, address.port, deadline);
  if (stopped_) {
    co_return false;
  }
  if (!tcp) {
    set(LinkState::down, at + ": " + tcp.error().message());
    co_return false;
  }
  net::limit_unacknowledged(**tcp, kDeadAfter);
  std::string why;
  auto tls = co_await net::tls_connect(std::move(*tcp), member_->client, "", deadline, &why);
  if (stopped_) {
    co_return false;
  }
  if (!tls) {
    set(LinkState::down, at + ": " + tls.error().message() + (why.empty() ? "" : " (" + why + ")"));
    co_return false;
  }
  const auto proven = prove(**tls);
  if (!proven || !proven->hub) {
    (*tls)->reset(Errc::bad_certificate);
    set(LinkState::down, at + ": who answers there is not a hub of this network");
    co_return false;
  }
  session_end_ = {};
  const std::weak_ptr<ControlLink> weak = weak_from_this();
  session_ = Session::start(std::move(*tls), SessionRole::client, {.budget = member_->budget},
                            {.inbound = {}, .ended = [weak](std::error_code error) {
                               if (const auto self = weak.lock()) {
                                 self->session_end_ = error;
                               }
                             }});
  auto stream = session_->open_stream();
  bool was_up = false;
  if (stream) {
    auto opened = start_open(
        std::move(*stream),
        {.service = "hub", .kind = StreamKind::control, .connection_id = {}, .on_behalf_of = {}});
    if (opened) {
      hub_ = address;
      was_up = co_await serve(std::move(opened->stream));
    }
  }
  if (session_) {
    session_->reset();
    session_.reset();
  }
  writer_.reset();
  lost(at + ": " +
       (session_end_ ? session_end_.message()
                     : std::string(was_up ? "the hub ended the link" : "no answer to hello")));
  co_return was_up;
}

net::awaitable<bool> ControlLink::serve(net::StreamPtr stream) {
  writer_ = std::make_unique<ControlWriter>(stream);
  MemberMessage hello;
  hello.set_id(next_id_++);
  hello.mutable_hello()->set_instance(member_->instance);
  if (!writer_->write(hello)) {
    co_return false;
  }
  stream->set_deadline(net::Direction::receive, control_.now() + kAnswerDeadline);
  HubMessage message;
  const auto answer = co_await read_message(stream, &message);
  if (stopped_ || !answer || !*answer || message.id() != hello.id() || !message.has_done()) {
    if (answer && *answer && message.has_failed()) {
      set(LinkState::down, "the hub refused: " + message.failed().detail());
    }
    co_return false;
  }
  stream->clear_deadline(net::Direction::receive);
  set(LinkState::up);
  base::log().info("overlay: link to hub {} is up", net::to_string(*hub_));
  if (handlers_.up) {
    handlers_.up();
  }
  wake_waiters();
  while (!stopped_) {
    message.Clear();
    const auto got = co_await read_message(stream, &message);
    if (!got || !*got || stopped_) {
      break;
    }
    dispatch(message);
  }
  co_return true;
}

net::awaitable<void> ControlLink::pause(bool was_up) {
  if (was_up) {
    outage_since_ = control_.now();
    // A hub that went away in order is being restarted; it is tried at once, then with pauses.
    if (session_end_ == Errc::closed) {
      co_return;
    }
  }
  const bool soon = control_.now() - outage_since_ < kSoonFor;
  backoff_ = std::make_shared<net::Gate>(control_);
  const auto gate = backoff_;
  co_await gate->wait_until(control_.now() + jittered(soon ? kSoon : kRarely));
  backoff_.reset();
}

void ControlLink::dispatch(const HubMessage& message) {
  if (message.id() == 0) {
    if (message.has_offer() && handlers_.offer) {
      handlers_.offer(message.offer());
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
    pending->answer = std::unexpected(Failure{.hop = Hop::hub,
                                              .code = code == Errc::reset ? Errc::internal : code,
                                              .detail = message.failed().detail()});
  } else {
    pending->answer = message;
  }
  pending->gate.open();
}

net::awaitable<bool> ControlLink::wait_up(net::TimePoint deadline) {
  const auto self = shared_from_this();
  const auto patience = control_.now() + kReconnectPatience;
  while (!stopped_ && status_.state != LinkState::up) {
    // The first attempt gets all the time there is; a link that was found down, a moment.
    const auto until = status_.state == LinkState::down ? std::min(deadline, patience) : deadline;
    if (control_.now() >= until) {
      co_return false;
    }
    const auto gate = std::make_shared<net::Gate>(control_);
    waiting_.push_back(gate);
    co_await gate->wait_until(until);
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
    (void)writer_->write(message);  // a lost link is told to all who wait for it
  }
}

void ControlLink::set(LinkState state, std::string error) {
  if (status_.state == state && status_.last_error == error) {
    return;
  }
  if (state == LinkState::down && status_.last_error != error) {
    base::log().warn("overlay: {}", error);
  }
  if (status_.state != state) {
    status_.since = std::chrono::system_clock::now();
  }
  status_.state = state;
  status_.last_error = std::move(error);
  if (handlers_.changed) {
    handlers_.changed();
  }
  if (state == LinkState::down) {
    wake_waiters();
  }
}

void ControlLink::lost(std::string why) {
  // What a failed hello said is more than that the link ended.
  if (status_.state != LinkState::down) {
    set(LinkState::down, std::move(why));
  }
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
