#include "overlay/ziti/seat.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "overlay/ziti/hosting.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Failure;

// The controller's answer to where to sit; longer outages are tried again.
constexpr std::chrono::seconds kPlaceDeadline{30};
// The router's answer to a bind.
constexpr std::chrono::seconds kBindDeadline{15};

}  // namespace

Seat::Seat(net::Loop& loop, std::shared_ptr<const SeatOptions> options,
           std::weak_ptr<Hosting> hosting, std::size_t number)
    : loop_(loop), options_(std::move(options)), hosting_(std::move(hosting)), number_(number) {}

void Seat::start() { net::spawn(loop_, "overlay: place of a service", run(shared_from_this())); }

net::awaitable<void> Seat::run(std::shared_ptr<Seat> self) {
  unsigned failures = 0;
  bool fresh = false;
  while (!self->stopped_) {
    ControlLoop::Question<Place> question = [hosting = self->hosting_, number = self->number_,
                                             fresh, deadline = self->loop_.now() + kPlaceDeadline] {
      return Hosting::place(hosting, number, fresh, deadline);
    };
    const auto place = co_await ControlLoop::ask<Place>(
        self->options_->maker->desk->control(), self->loop_, std::move(question),
        self->loop_.now() + kPlaceDeadline + kPlaceDeadline);
    if (self->stopped_) {
      break;
    }
    if (place) {
      const Ended ended = co_await sit(self, *place);
      if (self->stopped_) {
        break;
      }
      self->told(ended, *place);
      failures = ended.established ? 0 : failures;
      if (ended.at_once) {
        continue;
      }
    } else {
      const bool quiet = place.error().code == base::Errc::not_found;
      self->tell({.failure = place.error(), .quiet = quiet});
    }
    fresh = true;
    self->changed_ = false;
    co_await self->change(self->loop_.now() + self->pause(failures++));
  }
  self->logged_in_ = nullptr;
}

net::awaitable<Seat::Ended> Seat::sit(std::shared_ptr<Seat> self, Place place) {
  const SeatOptions& options = *self->options_;
  net::Loop& loop = self->loop_;
  const RouterLogin& login = place.ticket.login;
  if (login.number > self->login_.number) {
    self->login_ = login;
  }
  auto channel = co_await ChannelMaker::connect(options.maker, loop, place.router, login);
  if (!channel) {
    co_return Ended{.error = std::move(channel.error())};
  }
  if (self->stopped_ || self->login_.epoch != login.epoch) {
    (*channel)->close();
    co_return Ended{.at_once = true};
  }
  self->channel_ = std::move(*channel);
  self->epoch_ = login.epoch;
  if (self->login_.number > login.number) {
    renew(loop, self->channel_, self->login_.token);
  }
  const Rank bound_as = self->rank();
  auto binding = co_await self->channel_->bind({.session_token = place.ticket.session.token,
                                                .encrypted = place.ticket.service.encrypted,
                                                .listener_id = options.listener_id,
                                                .rank = bound_as,
                                                .deadline = loop.now() + kBindDeadline},
                                               options.handler);
  if (!binding) {
    retire(loop, std::exchange(self->channel_, nullptr), *options.maker);
    co_return Ended{.error = std::move(binding.error())};
  }
  self->binding_ = std::move(*binding);
  self->binding_->on_change([weak = std::weak_ptr(self)] {
    if (const auto here = weak.lock()) {
      here->wake();
    }
  });
  const ChannelGauge gauge(loop, options.maker->book, self->channel_);
  Ended ended;
  const net::TimePoint limit = loop.now() + kEstablishDeadline;
  while (!self->over(*self->binding_) && !self->binding_->established() && loop.now() < limit) {
    co_await self->change(limit);
  }
  if (!self->over(*self->binding_) && self->binding_->established()) {
    ended.established = true;
    // Updates of a place that the controller does not know yet are lost.
    if (self->rank() != bound_as) {
      self->binding_->update(self->rank());
    }
    if (!self->healthy_) {
      self->binding_->set_health(false);
    }
    base::log().debug("overlay: \"{}\" is offered at router {}", options.service,
                      place.router.name);
    self->tell({.established = true});
    while (!self->over(*self->binding_)) {
      co_await self->change(net::TimePoint::max());
    }
  }
  if (const auto why = self->binding_->ended()) {
    ended.error = *why;
  } else if (self->stopped_ || self->epoch_ != self->login_.epoch) {
    ended.at_once = true;
  } else {
    ended.error = {.kind = EdgeErrorKind::timed_out,
                   .text = "the controller did not confirm the place within a minute"};
  }
  self->binding_->close();
  self->binding_ = nullptr;
  retire(loop, std::exchange(self->channel_, nullptr), *options.maker);
  co_return ended;
}

bool Seat::over(const Binding& binding) const {
  return stopped_ || epoch_ != login_.epoch || binding.ended().has_value();
}

// Waits for wake(), also one that came before; at most until then.
net::awaitable<void> Seat::change(net::TimePoint until) {
  if (!std::exchange(changed_, false)) {
    const auto gate = std::make_shared<net::Gate>(loop_);
    gate_ = gate;
    co_await gate->wait_until(until);
    gate_ = nullptr;
    changed_ = false;
  }
}

void Seat::wake() {
  changed_ = true;
  if (gate_) {
    gate_->open();
  }
}

// 0..2^n seconds, at random: not every host comes back in the same moment.
net::Duration Seat::pause(unsigned failures) {
  const auto most =
      std::min(kLongestPause, std::chrono::seconds(1) * (1 << std::min(failures, 5U)));
  const std::chrono::milliseconds limit = most;
  return std::chrono::milliseconds(
      std::uniform_int_distribution<std::int64_t>(0, limit.count())(random_));
}

void Seat::told(const Ended& ended, const Place& place) {
  const EdgeError& error = ended.error;
  const auto& maker = *options_->maker;
  if (ended.at_once) {
    tell({});
    return;
  }
  if (error.kind == EdgeErrorKind::login_refused) {
    maker.desk->login_refused(place.router, place.ticket.login.token);
  } else if (error.new_session || error.kind == EdgeErrorKind::invalid_session) {
    maker.desk->session_refused(place.ticket, SessionType::bind);
  }
  maker.book->error(place.router, error.text);
  tell({.failure = explain(error, Attempted::host, options_->service)});
}

void Seat::tell(SeatReport report) {
  options_->maker->desk->control().post(
      [hosting = hosting_, number = number_, report = std::move(report)] {
        if (const auto at = hosting.lock()) {
          at->report(number, report);
        }
      });
}

void Seat::adopt(const RouterLogin& login) {
  if (login.number <= login_.number) {
    return;
  }
  const bool renewed = login.epoch == login_.epoch;
  login_ = login;
  if (channel_ && renewed) {
    renew(loop_, channel_, login.token);
  }
  // A new login may be what the last try lacked.
  if (!renewed) {
    wake();
  }
}

void Seat::set_health(bool passing) {
  if (std::exchange(healthy_, passing) != passing && binding_ && binding_->established()) {
    binding_->set_health(passing);
    binding_->update(rank());
  }
}

// Controllers only count health events: the precedence is what sends dials to other hosts. A host
// of the lowest is still tried where there is no other.
Rank Seat::rank() const {
  Rank out = options_->rank;
  if (!healthy_) {
    out.precedence = Precedence::failed;
  }
  return out;
}

void Seat::stop(std::shared_ptr<const void> logged_in) {
  logged_in_ = std::move(logged_in);
  stopped_ = true;
  if (binding_) {
    binding_->close();
  }
  wake();
}

}  // namespace simplon::overlay::ziti
