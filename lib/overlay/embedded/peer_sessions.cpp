#include "overlay/embedded/peer_sessions.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "overlay/embedded/open.hpp"

namespace simplon::overlay {
namespace {

// Open at once on one session that another member made: as many as a tunnel takes connections, so
// that an access on a single loop can hold its thousands of idle websockets.
constexpr std::size_t kMaxStreamsOfPeer = 16 * 1024;

using base::Errc;
using base::Failure;
using base::Hop;

// A dial tries so many times: another host, or the same one found anew.
constexpr int kAttempts = 3;
// Before a session that had too many unanswered opens is asked again.
constexpr std::chrono::milliseconds kOpenAgain{5};
// The side that opened a session closes it first.
constexpr std::chrono::minutes kIdleInbound = kIdleSession + std::chrono::minutes(1);
constexpr std::chrono::minutes kSweep{1};
// How often a session that nobody needs any more is looked at.
constexpr std::chrono::seconds kRetire{1};

std::unexpected<Refusal> refused(Failure failure) {
  return std::unexpected(Refusal{.failure = std::move(failure), .not_processed = true});
}

Failure given_up() {
  return {.hop = Hop::overlay,
          .code = Errc::link_lost,
          .detail = "the overlay was given up on this side"};
}

Failure late(std::string detail) {
  return {.hop = Hop::overlay, .code = Errc::timed_out, .detail = std::move(detail)};
}

// The few codes that a dial may end with.
Failure typed(Failure failure) {
  for (const Errc known :
       {Errc::no_such_service, Errc::not_permitted, Errc::not_hosted, Errc::host_refused,
        Errc::timed_out, Errc::link_lost, Errc::draining, Errc::memory}) {
    if (failure.code == known) {
      return failure;
    }
  }
  const bool imposter = failure.code == Errc::bad_certificate;
  if (failure.detail.empty()) {
    failure.detail = failure.code.message();
  }
  failure.code = imposter ? Errc::not_permitted : Errc::link_lost;
  return failure;
}

// One process may not be reached as two members.
std::string key_of(const Host& host) { return host.instance + host.spki; }

// Streams that are open live on.
net::awaitable<void> retire(SessionPtr session) {
  session->go_away();
  net::Loop& loop = session->loop();
  while (session->alive() && !session->idle_since()) {
    co_await net::sleep_until(loop, loop.now() + kRetire);
  }
  session->close();
}

net::awaitable<void> receive_one(std::shared_ptr<const Services> services, net::StreamPtr stream,
                                 Identity from, std::shared_ptr<void> slot) {
  co_await receive(std::move(services), std::move(stream), std::move(from));
}

}  // namespace

PeerSessions::PeerSessions(net::Loop& loop, std::shared_ptr<const Member> member,
                           std::shared_ptr<const Lookup> lookup)
    : loop_(loop), member_(std::move(member)), lookup_(std::move(lookup)), sweep_(loop) {}

net::awaitable<std::expected<Dialed, Refusal>> PeerSessions::dial(
    std::shared_ptr<PeerSessions> self, DialOptions options) {
  const OpenRequest request = open_request(options);
  Failure last = late("the deadline passed before the dial");
  for (int attempt = 0; attempt < kAttempts && self->loop_.now() < options.deadline; ++attempt) {
    if (self->stopped_) {
      co_return refused(given_up());
    }
    auto hosts = co_await hosts_of(self, options.service, options.deadline);
    if (!hosts) {
      co_return refused(typed(std::move(hosts.error())));
    }
    self->choose_first(*hosts);
    for (const Host& host : *hosts) {
      auto session = co_await session_with(self, host, options.deadline);
      if (!session) {
        last = std::move(session.error());
        continue;
      }
      auto stream = co_await open_stream(self->loop_, *session, options.deadline);
      if (!stream) {
        last = {.hop = Hop::overlay,
                .code = stream.error(),
                .detail = "the session with " + host.member + " takes no new stream"};
        continue;
      }
      auto opened = start_open(std::move(*stream), request);
      if (!opened) {
        last = {.hop = Hop::overlay,
                .code = opened.error(),
                .detail = "the open could not be sent: " + opened.error().message()};
        continue;
      }
      Dialed dialed{.stream = std::move(opened->stream),
                    .status = std::move(opened->status),
                    .path = "relay"};
      self->watch(dialed, options.service);
      co_return dialed;
    }
    // What was known did not work: the hub may know better.
    self->known_.erase(options.service);
  }
  co_return refused(typed(std::move(last)));
}

net::awaitable<PeerSessions::Hosts> PeerSessions::hosts_of(std::shared_ptr<PeerSessions> self,
                                                           std::string service,
                                                           net::TimePoint deadline) {
  const auto known = self->known_.find(service);
  if (known != self->known_.end()) {
    if (self->loop_.now() >= known->second.fresh_until &&
        !std::exchange(known->second.asking, true)) {
      net::spawn(self->loop_, "hosts of a service", ask_again(self, service));
    }
    co_return known->second.hosts;
  }
  auto hosts = co_await self->lookup_->resolve(self->loop_, service, deadline);
  if (hosts && !self->stopped_) {
    if (self->known_.size() >= kMaxKnownServices) {
      self->known_.clear();
    }
    self->known_[service] = {.hosts = *hosts, .fresh_until = self->loop_.now() + kKnownFor};
  }
  co_return hosts;
}

net::awaitable<void> PeerSessions::ask_again(std::shared_ptr<PeerSessions> self,
                                             std::string service) {
  auto hosts =
      co_await self->lookup_->resolve(self->loop_, service, self->loop_.now() + kAnswerDeadline);
  const auto known = self->known_.find(service);
  if (known == self->known_.end()) {
    co_return;
  }
  known->second.asking = false;
  known->second.fresh_until = self->loop_.now() + kKnownFor;
  if (hosts) {
    known->second.hosts = std::move(*hosts);
  } else if (hosts.error().code != Errc::link_lost && hosts.error().code != Errc::timed_out) {
    self->known_.erase(known);
  }
}

SessionPtr PeerSessions::usable(const Host& host) const {
  const auto link = links_.find(key_of(host));
  const bool ready =
      link != links_.end() && link->second->session && link->second->session->usable();
  return ready ? link->second->session : nullptr;
}

// A host that we have a session with first.
void PeerSessions::choose_first(std::vector<Host>& hosts) const {
  std::ranges::partition(hosts, [this](const Host& host) { return usable(host) != nullptr; });
}

net::awaitable<std::expected<SessionPtr, Failure>> PeerSessions::session_with(
    std::shared_ptr<PeerSessions> self, Host host, net::TimePoint deadline) {
  if (auto session = self->usable(host)) {
    co_return session;
  }
  if (self->stopped_) {
    co_return std::unexpected(given_up());
  }
  LinkPtr& slot = self->links_[key_of(host)];
  if (slot && slot->session) {
    net::spawn(self->loop_, "old session", retire(std::move(slot->session)));
    slot = nullptr;
  }
  const bool fresh = slot == nullptr;
  if (fresh) {
    slot = std::make_shared<Link>();
  }
  const LinkPtr link = slot;
  if (fresh) {
    net::spawn(self->loop_, "session with another agent", make(self, link, host));
  }
  const auto gate = std::make_shared<net::Gate>(self->loop_);
  link->waiting.push_back(gate);
  if (!co_await gate->wait_until(deadline)) {
    co_return std::unexpected(late("no session with " + host.member + " in time"));
  }
  if (!link->session) {
    co_return std::unexpected(link->failure);
  }
  co_return link->session;
}

net::awaitable<void> PeerSessions::make(std::shared_ptr<PeerSessions> self, LinkPtr link,
                                        Host host) {
  auto meeting = co_await self->lookup_->connect(self->loop_, host.instance,
                                                 self->loop_.now() + kRelayDeadline);
  std::expected<RelayedPath, Failure> path = std::unexpected(Failure{});
  if (meeting && !self->stopped_) {
    path = co_await meet(self->loop_, self->member_, meeting->hub, meeting->ticket, host.spki,
                         net::TlsRole::client);
  }
  if (self->stopped_) {
    link->failure = given_up();
  } else if (!meeting) {
    link->failure = std::move(meeting.error());
  } else if (!path) {
    link->failure = std::move(path.error());
    link->failure.detail = host.member + ": " + link->failure.detail;
  } else {
    base::log().debug("overlay: session with {} through the relay", host.member);
    link->session = Session::start(
        std::move(path->transport), SessionRole::client, {.budget = self->member_->budget},
        {.inbound = self->receiver(path->peer),
         .ended = [weak = std::weak_ptr(self), key = key_of(host),
                   made = std::weak_ptr(link)](std::error_code why) {
           const auto here = weak.lock();
           const auto ended = made.lock();
           if (here && ended && here->links_.contains(key) && here->links_[key] == ended) {
             base::log().debug("overlay: a session ended: {}", why.message());
             here->forget(key);
           }
         }});
    if (!self->sweep_.armed()) {
      self->sweep_.arm(self->loop_.now() + kSweep, [raw = self.get()] { raw->sweep(); });
    }
  }
  if (!link->session) {
    const auto at = self->links_.find(key_of(host));
    if (at != self->links_.end() && at->second == link) {
      self->forget(key_of(host));
    }
  }
  wake(*link);
}

void PeerSessions::wake(Link& link) {
  for (const auto& weak : std::exchange(link.waiting, {})) {
    if (const auto gate = weak.lock()) {
      gate->open();
    }
  }
}

// Too many opens that the other side has not acknowledged are a matter of a round trip.
net::awaitable<std::expected<net::StreamPtr, std::error_code>> PeerSessions::open_stream(
    net::Loop& loop, SessionPtr session, net::TimePoint deadline) {
  for (;;) {
    auto stream = session->open_stream();
    if (stream || stream.error() != Errc::limit_exceeded) {
      co_return stream;
    }
    if (loop.now() >= deadline) {
      co_return base::fail(Errc::timed_out);
    }
    co_await net::sleep_until(loop, std::min(deadline, loop.now() + kOpenAgain));
  }
}

// A service that moved: the next dial asks the hub again.
void PeerSessions::watch(const Dialed& dialed, const std::string& service) {
  dialed.status->when_settled(
      [weak = weak_from_this(), status = std::weak_ptr(dialed.status), service] {
        const auto here = weak.lock();
        const auto settled = status.lock();
        if (here && settled && settled->state() == OpenStatus::State::refused) {
          const std::error_code code = settled->refusal().failure.code;
          if (code == Errc::not_hosted || code == Errc::draining || code == Errc::link_lost) {
            here->known_.erase(service);
          }
        }
      });
}

void PeerSessions::meet_dialer(Meeting meeting, std::string spki, std::shared_ptr<void> done) {
  if (!stopped_) {
    net::spawn(loop_, "session of another agent",
               host(shared_from_this(), std::move(meeting), std::move(spki), std::move(done)));
  }
}

net::awaitable<void> PeerSessions::host(std::shared_ptr<PeerSessions> self, Meeting meeting,
                                        std::string spki, std::shared_ptr<void> done) {
  auto path = co_await meet(self->loop_, self->member_, meeting.hub, meeting.ticket, spki,
                            net::TlsRole::server);
  if (!path) {
    base::log().debug("overlay: a session that another agent wanted did not come about: {}",
                      path.error().message());
    co_return;
  }
  if (self->stopped_) {
    path->transport->reset();
    co_return;
  }
  const std::uint64_t id = self->next_inbound_++;
  auto session = Session::start(std::move(path->transport), SessionRole::server,
                                {.budget = self->member_->budget, .max_streams = kMaxStreamsOfPeer},
                                {.inbound = self->receiver(path->peer),
                                 .ended = [weak = std::weak_ptr(self), id](std::error_code) {
                                   if (const auto here = weak.lock()) {
                                     here->inbound_.erase(id);
                                   }
                                 }});
  self->inbound_.emplace(id, Serving{.session = std::move(session), .done = std::move(done)});
  if (!self->sweep_.armed()) {
    self->sweep_.arm(self->loop_.now() + kSweep, [raw = self.get()] { raw->sweep(); });
  }
}

// What a peer makes us remember for streams that do not say what they want is bounded.
std::move_only_function<void(net::StreamPtr)> PeerSessions::receiver(const Identity& from) {
  return [services = member_->services, from, &loop = loop_,
          opening = std::make_shared<std::size_t>(0)](net::StreamPtr stream) {
    if (*opening >= kMaxOpening) {
      stream->reset(Errc::limit_exceeded);
      return;
    }
    ++*opening;
    std::shared_ptr<void> slot(nullptr, [opening](void*) { --*opening; });
    net::spawn(loop, "open", receive_one(services, std::move(stream), from, std::move(slot)));
  };
}

void PeerSessions::forget(const std::string& key) {
  links_.erase(key);
  std::erase_if(known_, [&](const auto& entry) {
    return std::ranges::any_of(entry.second.hosts,
                               [&](const Host& host) { return key_of(host) == key; });
  });
}

void PeerSessions::sweep() {
  const auto now = loop_.now();
  const auto idle_for = [now](const SessionPtr& session, net::Duration limit) {
    const auto idle = session ? session->idle_since() : std::nullopt;
    return idle && *idle + limit <= now;
  };
  std::vector<SessionPtr> idle;
  for (const auto& [key, link] : links_) {
    if (idle_for(link->session, kIdleSession)) {
      idle.push_back(link->session);
    }
  }
  for (const auto& [id, serving] : inbound_) {
    if (idle_for(serving.session, kIdleInbound)) {
      idle.push_back(serving.session);
    }
  }
  for (const SessionPtr& session : idle) {
    session->close();
  }
  std::erase_if(links_, [&](const auto& entry) {
    return std::ranges::find(idle, entry.second->session) != idle.end();
  });
  if (!links_.empty() || !inbound_.empty()) {
    sweep_.arm(now + kSweep, [this] { sweep(); });
  }
}

void PeerSessions::stop() {
  if (std::exchange(stopped_, true)) {
    return;
  }
  sweep_.cancel();
  known_.clear();
  for (const auto& [key, link] : std::exchange(links_, {})) {
    if (link->session) {
      net::spawn(loop_, "session without a network", retire(std::move(link->session)));
    } else {
      link->failure = given_up();
      wake(*link);
    }
  }
  for (auto& [id, serving] : std::exchange(inbound_, {})) {
    net::spawn(loop_, "session without a network", retire(std::move(serving.session)));
  }
}

}  // namespace simplon::overlay
