#include "overlay/embedded/hub_session.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <simplon/link/v1/link.pb.h>
#include <sodium.h>

#include "base/log.hpp"
#include "base/printable.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/session_codes.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using link::v1::HubMessage;
using link::v1::MemberMessage;

constexpr std::string_view kControlService = "hub";
// The control stream, and streams that are being refused.
constexpr std::size_t kMaxStreams = 4;
// A member that sends without pause lets others have their turn.
constexpr int kMessagesInTurn = 32;
constexpr std::size_t kMaxVersion = 64;  // of the program, in a log line

void fail(HubMessage* answer, Errc code, std::string_view detail) {
  answer->mutable_failed()->set_code(to_wire(code));
  answer->mutable_failed()->set_detail(std::string(detail));
}

void fail(HubMessage* answer, const absl::Status& why) {
  const std::string detail(why.message());
  switch (why.code()) {
    case absl::StatusCode::kPermissionDenied:
      return fail(answer, Errc::not_permitted, detail);
    case absl::StatusCode::kResourceExhausted:
      return fail(answer, Errc::limit_exceeded, detail);
    default:
      base::log().error("hub: {}", detail);
      return fail(answer, Errc::internal, "the hub's database failed");
  }
}

// So that all hosts of a service get their part, and none can be left out for good.
void shuffle(std::vector<const HubDirectory::Instance*>& hosts) {
  for (std::size_t i = hosts.size(); i > 1; --i) {
    std::swap(hosts[i - 1], hosts[randombytes_uniform(static_cast<std::uint32_t>(i))]);
  }
}

}  // namespace

HubSession::HubSession(std::shared_ptr<HubCore> core, const HubStore::Member& who)
    : core_(std::move(core)), end_timer_(core_->loop) {
  member = who.name;
  spki = who.spki;
}

bool HubSession::start(const std::shared_ptr<HubCore>& core, net::StreamPtr transport,
                       const HubStore::Member& who) {
  const auto of_member =
      std::ranges::count(core->sessions, who.spki,
                         [](const auto& session) -> const std::string& { return session->spki; });
  if (core->sessions.size() >= kMaxHubSessions ||
      static_cast<std::size_t>(of_member) >= kMaxSessionsOfMember) {
    transport->reset();
    return false;
  }
  const auto self = std::make_shared<HubSession>(core, who);
  const std::weak_ptr<HubSession> weak = self;
  core->sessions.insert(self);
  self->close_at(core->loop.now() + kHelloDeadline);
  self->session_ = Session::start(std::move(transport), SessionRole::server,
                                  {.budget = core->budget, .max_streams = kMaxStreams},
                                  {.inbound =
                                       [weak](net::StreamPtr stream) {
                                         if (const auto alive = weak.lock()) {
                                           net::spawn(alive->core_->loop, "hub control channel",
                                                      serve(alive, std::move(stream)));
                                         }
                                       },
                                   .ended =
                                       [weak](std::error_code why) {
                                         if (const auto alive = weak.lock()) {
                                           alive->ended(why);
                                         }
                                       }});
  return true;
}

void HubSession::go_away() { session_->go_away(); }

void HubSession::reset() {
  leave();
  session_->reset();
}

void HubSession::close_at(net::TimePoint when) {
  end_timer_.arm(when, [weak = weak_from_this()] {
    if (const auto late = weak.lock()) {
      late->session_->close();
    }
  });
}

void HubSession::ended(std::error_code why) {
  if (online_) {
    base::log().info("hub: member {} left: {}", member, why ? why.message() : "closed");
  }
  leave();
  core_->sessions.erase(shared_from_this());
}

void HubSession::leave() {
  end_timer_.cancel();
  if (std::exchange(online_, false)) {
    core_->directory.leave(*this);
  }
}

net::awaitable<void> HubSession::serve(std::shared_ptr<HubSession> self, net::StreamPtr stream) {
  auto request = co_await read_open(stream, self->core_->loop.now() + kOpenDeadline);
  if (!request) {
    stream->reset(request.error());
    co_return;
  }
  const bool control = request->kind == StreamKind::control && request->service == kControlService;
  Identity from{.peer = {.name = self->member, .spki_sha256 = self->spki, .certificate = {}}};
  const auto inbound = make_inbound(stream, *std::move(request), std::move(from));
  if (!control || self->writer_) {
    inbound->reject({.failure = {.hop = base::Hop::hub,
                                 .code = Errc::not_permitted,
                                 .detail = "a hub takes one control channel of a session"}});
    co_return;
  }
  inbound->accept();
  self->writer_.emplace(stream);
  for (int count = 1;; ++count) {
    MemberMessage message;
    const auto got = co_await read_message(stream, &message);
    if (!got) {
      stream->reset(got.error());
      break;
    }
    if (!*got || !self->handle(message)) {
      stream->close();
      break;
    }
    if (count % kMessagesInTurn == 0) {
      co_await boost::asio::post(self->core_->loop.context(), boost::asio::use_awaitable);
    }
  }
  self->leave();
  // Not at once: the member learns first why.
  self->close_at(self->core_->loop.now() + net::kCloseTimeout);
}

bool HubSession::handle(const MemberMessage& message) {
  HubMessage answer;
  answer.set_id(message.id());
  bool fine = message.id() != 0 && message.has_hello() != online_;
  if (!fine) {
    fail(&answer, Errc::protocol_error, "Hello comes first, and once; an id is not 0");
  } else {
    switch (message.body_case()) {
      case MemberMessage::kHello:
        fine = hello(message, &answer);
        break;
      case MemberMessage::kRegister:
        answer_register(message, &answer);
        break;
      case MemberMessage::kWithdraw:
        core_->directory.withdraw(*this, message.withdraw().service());
        answer.mutable_done();
        break;
      case MemberMessage::kResolve:
        answer_resolve(message, &answer);
        break;
      case MemberMessage::kConnect:
        answer_connect(message, &answer);
        break;
      case MemberMessage::BODY_NOT_SET:
        fail(&answer, Errc::bad_request, "this hub does not know such a message");
        break;
    }
  }
  return writer_->write(answer).has_value() && fine;
}

bool HubSession::hello(const MemberMessage& message, HubMessage* answer) {
  if (message.hello().instance().size() != kInstanceBytes) {
    fail(answer, Errc::protocol_error, "an instance has 16 bytes");
    return false;
  }
  id = message.hello().instance();
  if (auto* const before = core_->directory.find(id)) {
    if (before->spki != spki) {
      id.clear();
      fail(answer, Errc::not_permitted, "another member's instance");
      return false;
    }
    // The same process over a new session: the hub has not noticed yet that the old one is dead.
    const auto session = static_cast<HubSession*>(before)->shared_from_this();
    session->leave();
    session->session_->close();
  }
  online_ = core_->directory.join(*this);
  end_timer_.cancel();
  base::log().info("hub: member {} is here ({})", member,
                   base::printable(message.hello().version(), kMaxVersion));
  answer->mutable_done();
  return true;
}

void HubSession::answer_register(const MemberMessage& message, HubMessage* answer) {
  const std::string& service = message.register_().service();
  if (!valid_service_name(service)) {
    return fail(answer, Errc::bad_request, "a service is named by one DNS label");
  }
  // Checked before the claim, which lasts.
  if (services.size() >= kMaxServicesOfInstance && !services.contains(service)) {
    return fail(answer, Errc::limit_exceeded, "the instance hosts too many services");
  }
  const auto status = core_->store->claim(
      service, spki, std::chrono::system_clock::now(),
      [this](std::string_view claimed) { return !core_->directory.hosts(claimed).empty(); });
  if (!status.ok()) {
    return fail(answer, status);
  }
  core_->directory.host(*this, service);
  answer->mutable_done();
}

void HubSession::answer_resolve(const MemberMessage& message, HubMessage* answer) {
  const std::string& service = message.resolve().service();
  const auto owners = core_->store->owners(service);
  if (!owners.ok()) {
    return fail(answer, owners.status());
  }
  if (owners->empty()) {
    return fail(answer, Errc::no_such_service, "nobody ever hosted it");
  }
  auto hosts = core_->directory.hosts(service);
  if (hosts.empty()) {
    return fail(answer, Errc::not_hosted, "its host is not online");
  }
  shuffle(hosts);
  hosts.resize(std::min(hosts.size(), kMaxHostsTold));
  auto* const resolved = answer->mutable_resolved();
  for (const Instance* const host : hosts) {
    auto* const told = resolved->add_hosts();
    told->set_member(host->member);
    told->set_instance(host->id);
    told->set_spki_sha256(host->spki);
  }
  for (const std::string& owner : *owners) {
    resolved->add_owners(owner);
  }
}

void HubSession::answer_connect(const MemberMessage& message, HubMessage* answer) {
  Instance* const host = core_->directory.find(message.connect().instance());
  if (host == nullptr) {
    return fail(answer, Errc::not_hosted, "the instance is not online");
  }
  const auto tickets = core_->relay.issue(spki);
  if (!tickets) {
    return fail(answer, Errc::limit_exceeded, "too many relayed connections");
  }
  if (!host->offer(tickets->host, *this)) {
    return fail(answer, Errc::not_hosted, "the instance does not listen");
  }
  answer->mutable_ticket()->set_ticket(tickets->dialer);
}

bool HubSession::offer(const std::string& ticket, const Instance& dialer) {
  if (!online_ || !writer_) {
    return false;
  }
  HubMessage event;
  event.mutable_offer()->set_ticket(ticket);
  event.mutable_offer()->set_member(dialer.member);
  event.mutable_offer()->set_spki_sha256(dialer.spki);
  return writer_->write(event).has_value();
}

}  // namespace simplon::overlay
