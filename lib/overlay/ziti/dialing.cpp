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
  // shown an old one takes five seconds.
  bool fresh = self->pool_->take_loss();
  std::vector<Router> lost;
  while (self->loop_.now() < options.deadline) {
    if (self->stopped_) {
      co_return refused_with(given_up());
    }
    auto ticket =
        co_await Dialing::ticket(self, service, std::exchange(fresh, false), options.deadline);
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
    if (!channel) {
      last = dial_refusal(channel.error(), service);
      if (channel.error().kind != Kind::timed_out && once(tries.routers)) {
        fresh = true;  // the network may name others now
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
                                                    std::string service, bool fresh,
                                                    net::TimePoint deadline) {
  const auto known = self->known_.find(service);
  if (known != self->known_.end() && !fresh) {
    if (self->loop_.now() >= known->second.fresh_until &&
        !std::exchange(known->second.asking, true)) {
      net::spawn(self->loop_, "overlay: routers of a service", ask_again(self, service));
    }
    co_return known->second.ticket;
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
  const auto known = self->known_.find(service);
  if (known == self->known_.end()) {
    co_return;
  }
  known->second.asking = false;
  known->second.fresh_until = self->loop_.now() + kKnownFor;
  if (found) {
    known->second.ticket = *found;
  } else if (found.error().code != Errc::link_lost && found.error().code != Errc::timed_out) {
    self->known_.erase(known);
  }
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
  known_.clear();
}

void Dialing::forget() { known_.clear(); }

void Dialing::stop() {
  stopped_ = true;
  known_.clear();
  pool_->stop();
}

}  // namespace simplon::overlay::ziti
