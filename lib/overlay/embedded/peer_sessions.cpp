#include "overlay/embedded/peer_sessions.hpp"

#include <algorithm>
#include <utility>

#include <sodium.h>

#include "base/log.hpp"
#include "overlay/embedded/open.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Hop;

Refusal refusal(base::Failure failure) {
  return {.failure = std::move(failure), .not_processed = true};
}

Refusal given_up() {
  return refusal({.hop = Hop::overlay,
                  .code = Errc::link_lost,
                  .detail = "the overlay was given up on this side"});
}

}  // namespace

PeerSessions::PeerSessions(net::Loop& loop, std::shared_ptr<const Member> member,
                           std::shared_ptr<Directory> directory)
    : loop_(loop), member_(std::move(member)), directory_(std::move(directory)), sweep_(loop) {}

net::awaitable<std::expected<Dialed, Refusal>> PeerSessions::dial(DialOptions options) {
  const auto self = shared_from_this();
  if (stopped_) {
    co_return std::unexpected(given_up());
  }
  auto known = known_.find(options.service);
  if (known == known_.end()) {
    auto hosts = co_await directory_->resolve(loop_, options.service, options.deadline);
    if (stopped_) {
      co_return std::unexpected(given_up());
    }
    if (!hosts) {
      co_return std::unexpected(refusal(std::move(hosts.error())));
    }
    if (known_.size() >= kMaxKnownServices) {
      known_.clear();
    }
    known = known_.insert_or_assign(options.service, *std::move(hosts)).first;
  }
  const Host host = choose(known->second);
  auto session = co_await session_with(host, options.deadline);
  if (!session) {
    known_.erase(options.service);
    co_return std::unexpected(std::move(session.error()));
  }
  auto dialed = open(*session, options);
  if (dialed) {
    // A service that moved: the next dial asks the hub again.
    dialed->status->when_settled(
        [weak = weak_from_this(), status = std::weak_ptr(dialed->status), options] {
          const auto here = weak.lock();
          const auto settled = status.lock();
          if (here && settled && settled->state() == OpenStatus::State::refused &&
              settled->refusal().failure.code == Errc::not_hosted) {
            here->known_.erase(options.service);
          }
        });
  }
  co_return dialed;
}

const Host& PeerSessions::choose(const std::vector<Host>& hosts) const {
  const auto met = std::ranges::find_if(hosts, [this](const Host& host) {
    const auto link = links_.find(host.instance);
    return link != links_.end() && link->second->session && link->second->session->usable();
  });
  return met != hosts.end() ? *met
                            : hosts[randombytes_uniform(static_cast<std::uint32_t>(hosts.size()))];
}

net::awaitable<std::expected<SessionPtr, Refusal>> PeerSessions::session_with(
    Host host, net::TimePoint deadline) {
  const auto found = links_.find(host.instance);
  LinkPtr link = found == links_.end() ? nullptr : found->second;
  if (link && link->session) {
    if (link->session->usable()) {
      co_return link->session;
    }
    links_.erase(host.instance);  // its streams keep a session that goes away in order
    link = nullptr;
  }
  if (!link) {
    link = std::make_shared<Link>();
    links_.emplace(host.instance, link);
    net::spawn(loop_, "session with another agent", make(shared_from_this(), link, host));
  }
  const auto gate = std::make_shared<net::Gate>(loop_);
  link->waiting.push_back(gate);
  if (!co_await gate->wait_until(deadline)) {
    co_return std::unexpected(refusal({.hop = Hop::overlay,
                                       .code = Errc::timed_out,
                                       .detail = "no session with " + host.member + " in time"}));
  }
  if (!link->session) {
    co_return std::unexpected(refusal(link->failure));
  }
  co_return link->session;
}

net::awaitable<void> PeerSessions::make(std::shared_ptr<PeerSessions> self, LinkPtr link,
                                        Host host) {
  auto meeting = co_await self->directory_->connect(self->loop_, host.instance,
                                                    self->loop_.now() + kRelayDeadline);
  std::expected<RelayedPath, base::Failure> path = std::unexpected(base::Failure{});
  if (meeting && !self->stopped_) {
    path = co_await meet(self->loop_, self->member_, meeting->hub, meeting->ticket, host.spki,
                         net::TlsRole::client);
  }
  if (self->stopped_) {
    link->failure = given_up().failure;
  } else if (!meeting) {
    link->failure = std::move(meeting.error());
  } else if (!path) {
    link->failure = std::move(path.error());
    link->failure.detail = host.member + ": " + link->failure.detail;
  } else {
    base::log().debug("overlay: session with {} through the relay", host.member);
    const std::weak_ptr<PeerSessions> weak = self;
    link->session = Session::start(
        std::move(path->transport), SessionRole::client, {.budget = self->member_->budget},
        {.inbound =
             [services = self->member_->services, from = path->peer,
              &loop = self->loop_](net::StreamPtr stream) {
               net::spawn(loop, "open", receive(services, std::move(stream), from));
             },
         .ended =
             [weak, instance = host.instance, raw = std::weak_ptr(link)](std::error_code) {
               const auto here = weak.lock();
               const auto ended = raw.lock();
               if (here && ended) {
                 const auto at = here->links_.find(instance);
                 if (at != here->links_.end() && at->second == ended) {
                   here->forget(instance);
                 }
               }
             }});
    if (!self->sweep_.armed()) {
      self->sweep();
    }
  }
  if (!link->session) {
    const auto at = self->links_.find(host.instance);
    if (at != self->links_.end() && at->second == link) {
      self->forget(host.instance);
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

std::expected<Dialed, Refusal> PeerSessions::open(const SessionPtr& session,
                                                  const DialOptions& options) {
  auto stream = session->open_stream();
  if (!stream) {
    return std::unexpected(refusal({.hop = Hop::overlay,
                                    .code = stream.error(),
                                    .detail = "the session takes no new stream now"}));
  }
  auto opened = start_open(std::move(*stream), {.service = options.service,
                                                .kind = options.kind,
                                                .connection_id = options.connection_id,
                                                .on_behalf_of = options.on_behalf_of,
                                                .frontend = options.frontend});
  if (!opened) {
    return std::unexpected(refusal(
        {.hop = Hop::overlay, .code = opened.error(), .detail = "the open could not be sent"}));
  }
  return Dialed{
      .stream = std::move(opened->stream), .status = std::move(opened->status), .path = "relay"};
}

void PeerSessions::meet_dialer(Meeting meeting, std::string spki, std::function<void()> done) {
  if (stopped_) {
    done();
    return;
  }
  net::spawn(loop_, "session of another agent",
             host(shared_from_this(), std::move(meeting), std::move(spki), std::move(done)));
}

net::awaitable<void> PeerSessions::host(std::shared_ptr<PeerSessions> self, Meeting meeting,
                                        std::string spki, std::function<void()> done) {
  auto path = co_await meet(self->loop_, self->member_, meeting.hub, meeting.ticket, spki,
                            net::TlsRole::server);
  if (!path || self->stopped_) {
    if (!path) {
      base::log().debug("overlay: a session that another agent wanted did not come about: {}",
                        path.error().message());
    }
    done();
    co_return;
  }
  const std::weak_ptr<PeerSessions> weak = self;
  const auto key = std::make_shared<const Session*>(nullptr);
  auto session = Session::start(
      std::move(path->transport), SessionRole::server, {.budget = self->member_->budget},
      {.inbound =
           [services = self->member_->services, from = path->peer,
            &loop = self->loop_](net::StreamPtr stream) {
             net::spawn(loop, "open", receive(services, std::move(stream), from));
           },
       .ended =
           [weak, key, done](std::error_code) {
             if (const auto here = weak.lock()) {
               here->inbound_.erase(*key);
             }
             done();
           }});
  *key = session.get();
  self->inbound_.emplace(session.get(), session);
}

void PeerSessions::forget(const std::string& instance) {
  links_.erase(instance);
  std::erase_if(known_, [&](const auto& entry) {
    return std::ranges::any_of(entry.second,
                               [&](const Host& host) { return host.instance == instance; });
  });
}

void PeerSessions::sweep() {
  const auto before = loop_.now() - kIdleSession;
  for (auto at = links_.begin(); at != links_.end();) {
    const SessionPtr session = at->second->session;
    const auto idle = session ? session->idle_since() : std::nullopt;
    if (idle && *idle <= before) {
      at = links_.erase(at);
      session->close();
    } else {
      ++at;
    }
  }
  if (!links_.empty()) {
    sweep_.arm(loop_.now() + kIdleSession / 5, [this] { sweep(); });
  }
}

void PeerSessions::stop() {
  if (std::exchange(stopped_, true)) {
    return;
  }
  sweep_.cancel();
  directory_.reset();
  known_.clear();
  for (const auto& [instance, link] : std::exchange(links_, {})) {
    if (link->session) {
      link->session->reset();
    } else {
      link->failure = given_up().failure;
      wake(*link);
    }
  }
  for (const auto& [raw, session] : std::exchange(inbound_, {})) {
    session->reset();
  }
}

}  // namespace simplon::overlay
