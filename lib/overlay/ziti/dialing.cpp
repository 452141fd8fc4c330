#include "overlay/ziti/dialing.hpp"

#include <algorithm>
#include <utility>

#include "overlay/ziti/app_data.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using Kind = EdgeErrorKind;

// Before what the network calls a passing trouble is tried once more.
constexpr std::chrono::milliseconds kAgain{250};
// How long a dial whose channel was lost lets the controller speak first.
constexpr std::chrono::milliseconds kControllerFirst{250};
// How long one that reached no router waits to hear of others.
constexpr std::chrono::seconds kOtherRouters{5};
// A question in the background.
constexpr std::chrono::seconds kAskDeadline{30};

std::unexpected<Refusal> refused_with(Failure failure) {
  return std::unexpected(Refusal{.failure = std::move(failure), .not_processed = true});
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
  if (failure.detail.empty()) {
    failure.detail = failure.code.message();
  }
  failure.code = Errc::link_lost;
  return failure;
}

// A router that does not take the login is asked again with it, and then with a new one.
constexpr int kLogins = 3;

// What a dial has tried.
struct Tries {
  bool session = false;
  bool router = false;
  bool routers = false;
  bool again = false;
  int login = 0;
};

bool once(bool& tried) { return !std::exchange(tried, true); }

}  // namespace

net::awaitable<std::expected<Dialed, Refusal>> Dialing::dial(std::shared_ptr<Dialing> self,
                                                             DialOptions options) {
  const AppData data{.kind = options.kind,
                     .connection_id = options.connection_id,
                     .on_behalf_of = options.on_behalf_of,
                     .frontend = options.frontend};
  const std::string& service = options.service;
  Refusal last{.failure = {.hop = Hop::overlay,
                           .code = Errc::timed_out,
                           .detail = "the deadline passed before the dial"}};
  Tries tries;
  // A channel ends with its login, too: the controller says so at once, where a router that is
  // shown an old one takes five seconds. But a controller that is silent keeps nobody waiting.
  net::Duration patience = self->pool_->take_loss() ? kControllerFirst : net::Duration::zero();
  std::vector<Router> lost;
  while (self->loop_.now() < options.deadline) {
    if (self->stopped_) {
      co_return refused_with(given_up());
    }
    auto ticket = co_await Dialing::ticket(
        self, service, std::exchange(patience, net::Duration::zero()), options.deadline);
    if (!ticket) {
      co_return refused_with(typed(std::move(ticket.error())));
    }
    std::vector<Router> routers = ticket->session.routers;
    std::erase_if(routers, [&](const Router& router) {
      return std::ranges::find(lost, router) != lost.end();
    });
    if (routers.empty()) {
      routers = ticket->session.routers;
    }
    const auto channel = co_await RouterPool::channel(self->pool_, routers, options.deadline);
    if (self->pool_->epoch() > ticket->login.epoch && ++tries.login < kLogins) {
      self->known_.erase(service);  // logged in again meanwhile: its session is of no use
      continue;
    }
    if (!channel) {
      last = dial_refusal(channel.error(), service);
      if (channel.error().kind != Kind::timed_out && once(tries.routers)) {
        patience = kOtherRouters;  // the network may name others now
        continue;
      }
      co_return std::unexpected(std::move(last));
    }
    auto stream = co_await (*channel)->dial({.session_token = ticket->session.token,
                                             .encrypted = ticket->service.encrypted,
                                             .caller = ticket->login.name,
                                             .app_data = encode_app_data(data),
                                             .marker = options.connection_id,
                                             .deadline = options.deadline});
    if (stream) {
      auto status = std::make_shared<OpenStatus>();
      status->accept();
      co_return Dialed{.stream = std::move(*stream), .status = std::move(status), .path = "ziti"};
    }
    const EdgeError& error = stream.error();
    last = dial_refusal(error, service);
    if (error.kind == Kind::login_refused) {
      lost.push_back((*channel)->router());
      if (lost.size() >= ticket->session.routers.size()) {
        self->known_.erase(service);  // the desk knows what the controller says about the login
      }
      if (++tries.login < kLogins) {
        continue;
      }
    } else if (error.kind == Kind::link_lost) {
      lost.push_back((*channel)->router());
      if (once(tries.router)) {
        continue;
      }
    } else if (error.new_session || error.kind == Kind::invalid_session) {
      self->refused(*ticket);
      if (once(tries.session)) {
        continue;
      }
    } else if (error.kind == Kind::no_controller && once(tries.again)) {
      co_await net::sleep_until(self->loop_, self->loop_.now() + kAgain);
      continue;
    }
    co_return std::unexpected(std::move(last));
  }
  co_return std::unexpected(std::move(last));
}

net::awaitable<ControlDesk::Answer> Dialing::ticket(std::shared_ptr<Dialing> self,
                                                    std::string service, net::Duration patience,
                                                    net::TimePoint deadline) {
  auto known = self->known_.find(service);
  const bool fresh = patience > net::Duration::zero();
  if (known != self->known_.end()) {
    if ((fresh || self->loop_.now() >= known->second.fresh_until) &&
        !std::exchange(known->second.asking, true)) {
      net::spawn(self->loop_, "overlay: routers of a service", ask_again(self, service));
    }
    const auto until = std::min(deadline, self->loop_.now() + patience);
    while (fresh && known != self->known_.end() && known->second.asking &&
           self->loop_.now() < until) {
      co_await self->asked_.changed(until);
      known = self->known_.find(service);
    }
    if (known != self->known_.end()) {
      co_return known->second.ticket;
    }
  }
  if (self->stopped_) {
    co_return std::unexpected(given_up());
  }
  auto found = co_await ControlDesk::ticket(self->desk_, self->loop_, service, SessionType::dial,
                                            fresh, deadline);
  if (!found || self->stopped_) {
    co_return found;
  }
  self->pool_->adopt(found->login);
  if (self->known_.size() < kMaxKnownServices || self->known_.contains(service)) {
    self->known_[service] = {.ticket = *found, .fresh_until = self->loop_.now() + kKnownFor};
  }
  co_return found;
}

net::awaitable<void> Dialing::ask_again(std::shared_ptr<Dialing> self, std::string service) {
  const auto found = co_await ControlDesk::ticket(
      self->desk_, self->loop_, service, SessionType::dial, true, self->loop_.now() + kAskDeadline);
  if (const auto known = self->known_.find(service); known != self->known_.end()) {
    known->second.asking = false;
    known->second.fresh_until = self->loop_.now() + kKnownFor;
    if (found) {
      known->second.ticket = *found;
    } else if (found.error().code != Errc::link_lost && found.error().code != Errc::timed_out) {
      self->known_.erase(known);
    }
  }
  self->asked_.notify();
}

// Unless another dial has a newer session already.
void Dialing::refused(const Ticket& ticket) {
  const auto known = known_.find(ticket.service.name);
  if (known != known_.end() && known->second.ticket.session.token == ticket.session.token) {
    known_.erase(known);
  }
  desk_->session_refused(ticket, SessionType::dial);
}

void Dialing::adopt(const RouterLogin& login) {
  if (stopped_) {
    return;
  }
  pool_->adopt(login);
  forget();
}

void Dialing::forget() {
  known_.clear();
  asked_.notify();
}

void Dialing::stop() {
  stopped_ = true;
  forget();
  pool_->stop();
}

}  // namespace simplon::overlay::ziti
