#include "overlay/ziti/hosting.hpp"

#include <algorithm>
#include <utility>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "overlay/ziti/inbound.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;

// The network says that it is not ours to host: it is no use to wait.
bool not_ours(const Failure& failure) {
  return failure.code == Errc::not_permitted || failure.code == Errc::no_such_service;
}

DialHandler taking(const ListenOptions& options, Hosting::Handler handler) {
  return [name = options.service, open = options.allow_frontends, unsaid = options.unsaid,
          handler = std::move(handler)](std::unique_ptr<IncomingDial> dial) {
    auto inbound = make_inbound(std::move(dial), unsaid);
    if (inbound->from().may_run_frontends && !open) {
      inbound->reject({.failure = {.hop = Hop::share,
                                   .code = Errc::not_permitted,
                                   .detail = "\"" + name + "\" is not public"}});
      return;
    }
    handler(std::move(inbound));
  };
}

}  // namespace

Hosting::Hosting(Options options)
    : maker_(std::move(options.maker)),
      loops_(std::move(options.loops)),
      next_loop_(options.first_loop),
      service_(options.listen.service),
      seat_options_(std::make_shared<const SeatOptions>(
          SeatOptions{.maker = maker_,
                      .service = service_,
                      .listener_id = base::new_id(),
                      .handler = taking(options.listen, std::move(options.handler)),
                      .rank = options.listen.rank})),
      status_{.since = std::chrono::system_clock::now(), .last_error = {}} {}

void Hosting::start() { add_seat(); }

void Hosting::add_seat() {
  net::Loop* const loop = loops_[next_loop_++ % loops_.size()];
  auto seat = std::make_shared<Seat>(*loop, seat_options_, weak_from_this(), seats_.size());
  seats_.push_back({.seat = seat, .loop = loop});
  loop->post([seat = std::move(seat), healthy = healthy_] {
    seat->set_health(healthy);
    seat->start();
  });
}

net::awaitable<std::expected<Place, Failure>> Hosting::place(std::weak_ptr<Hosting> weak,
                                                             std::size_t number, bool fresh,
                                                             net::TimePoint deadline) {
  auto self = weak.lock();
  if (self == nullptr || self->withdrawn_) {
    co_return std::unexpected(given_up());
  }
  const auto desk = self->maker_->desk;
  const std::string service = self->service_;
  self->seats_[number].router.reset();
  self = nullptr;
  auto ticket = co_await ControlDesk::find(desk, service, SessionType::bind, fresh, deadline);
  if (!ticket) {
    co_return std::unexpected(std::move(ticket.error()));
  }
  self = weak.lock();
  if (self == nullptr || self->withdrawn_) {
    co_return std::unexpected(given_up());
  }
  const Router* best = nullptr;
  for (const Router& router : ticket->session.routers) {
    const bool taken = std::ranges::any_of(
        self->seats_, [&](const Taken& other) { return other.router == router; });
    const auto failures = [&](const Router& of) { return self->failures_[key_of(of)]; };
    if (!taken && (best == nullptr || failures(router) < failures(*best))) {
      best = &router;
    }
  }
  if (best == nullptr) {
    co_return std::unexpected(Failure{.hop = Hop::overlay,
                                      .code = Errc::not_found,
                                      .detail = "the network has no further router for it"});
  }
  const Router router = *best;
  self->seats_[number].router = router;
  while (self->seats_.size() < std::min(kMaxSeats, ticket->session.routers.size())) {
    self->add_seat();
  }
  co_return Place{.ticket = std::move(*ticket), .router = router};
}

void Hosting::report(std::size_t number, const SeatReport& report) {
  if (withdrawn_) {
    return;
  }
  Taken& seat = seats_[number];
  const std::string before = seat.failure ? seat.failure->detail : std::string();
  seat.established = report.established;
  seat.failure = report.quiet ? std::nullopt : report.failure;
  if (seat.router) {
    unsigned& failures = failures_[key_of(*seat.router)];
    failures = report.failure ? failures + 1 : 0;
  }
  if (!report.established) {
    seat.router.reset();
  }
  if (seat.failure && seat.failure->detail != before) {
    base::log().warn("{}", seat.failure->message());
  }
  judge();
}

void Hosting::judge() {
  LinkState state = LinkState::connecting;
  std::string error;
  for (const Taken& seat : seats_) {
    if (seat.failure) {
      error = seat.failure->message();
      if (not_ours(*seat.failure)) {
        state = LinkState::down;
      }
    }
  }
  if (established() > 0) {
    state = LinkState::up;
  }
  const bool news = status_.state != state || status_.last_error != error;
  if (status_.state != state) {
    status_.since = std::chrono::system_clock::now();
  }
  status_.state = state;
  status_.last_error = std::move(error);
  if (const auto changed = changed_; changed && news) {
    changed();
  }
}

std::size_t Hosting::established() const {
  return static_cast<std::size_t>(std::ranges::count(seats_, true, &Taken::established));
}

void Hosting::each(
    const std::function<std::move_only_function<void()>(std::shared_ptr<Seat>)>& work) {
  for (const Taken& taken : seats_) {
    taken.loop->post(work(taken.seat));
  }
}

void Hosting::adopt(const RouterLogin& login) {
  each([&login](std::shared_ptr<Seat> seat) {
    return [seat = std::move(seat), login] { seat->adopt(login); };
  });
}

void Hosting::nudge() {
  each([](std::shared_ptr<Seat> seat) { return [seat = std::move(seat)] { seat->wake(); }; });
}

void Hosting::set_health(bool passing) {
  if (withdrawn_ || std::exchange(healthy_, passing) == passing) {
    return;
  }
  each([passing](std::shared_ptr<Seat> seat) {
    return [seat = std::move(seat), passing] { seat->set_health(passing); };
  });
}

void Hosting::withdraw() {
  if (std::exchange(withdrawn_, true)) {
    return;
  }
  changed_ = nullptr;
  each([logged_in = maker_->logged_in.lock()](std::shared_ptr<Seat> seat) {
    return [seat = std::move(seat), logged_in] { seat->stop(logged_in); };
  });
}

}  // namespace simplon::overlay::ziti
