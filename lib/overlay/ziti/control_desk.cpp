#include "overlay/ziti/control_desk.hpp"

#include <utility>

#include "base/log.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {

using base::Failure;

namespace {

// As many logins may end one after another while one question is asked.
constexpr int kTries = 3;
// A controller that takes longer to say whether a login is good does not say that it is not.
constexpr std::chrono::seconds kConfirmTimeout{5};
// It is not asked again at once because another router refuses the login.
constexpr std::chrono::seconds kConfirmedFor{10};
// Routers that refuse the login, of which we know.
constexpr std::size_t kMaxRefusing = 256;

}  // namespace

net::awaitable<ControlDesk::Answer> ControlDesk::find_once(std::shared_ptr<ControlDesk> self,
                                                           std::string name, SessionType type,
                                                           bool fresh, net::TimePoint deadline) {
  while (self->asking_) {
    if (!co_await self->settled_.changed(deadline)) {
      co_return std::unexpected(
          Failure{.hop = base::Hop::overlay,
                  .code = base::Errc::timed_out,
                  .detail = "a router does not accept our login, and the controller does not say "
                            "whether it is good"});
    }
  }
  // The controller may go while one of its answers is awaited.
  const auto asking = [&](auto what) -> std::optional<decltype(what(std::declval<Controller&>()))> {
    const auto controller = self->controller_.lock();
    return controller ? std::optional(what(*controller)) : std::nullopt;
  };
  auto login = asking([&](Controller& at) { return at.logged_in(deadline); });
  if (!login) {
    co_return std::unexpected(given_up());
  }
  const auto logged_in = co_await std::move(*login);
  if (!logged_in) {
    co_return std::unexpected(logged_in.error());
  }
  auto service = asking([&](Controller& at) { return at.service(name, deadline); });
  if (!service) {
    co_return std::unexpected(given_up());
  }
  auto found = co_await std::move(*service);
  if (!found) {
    co_return std::unexpected(std::move(found.error()));
  }
  if (type == SessionType::dial ? !found->may_dial : !found->may_bind) {
    co_return std::unexpected(explain({.kind = EdgeErrorKind::not_permitted},
                                      type == SessionType::dial ? Attempted::dial : Attempted::host,
                                      name));
  }
  Ticket ticket{.service = std::move(*found)};
  auto session =
      asking([&](Controller& at) { return at.session(ticket.service.id, type, deadline); });
  if (!session) {
    co_return std::unexpected(given_up());
  }
  auto made = co_await std::move(*session);
  if (!made) {
    co_return std::unexpected(std::move(made.error()));
  }
  ticket.session = std::move(*made);
  if (fresh) {
    auto routers =
        asking([&](Controller& at) { return at.routers(ticket.service.id, type, deadline); });
    if (!routers) {
      co_return std::unexpected(given_up());
    }
    if (auto now = co_await std::move(*routers); now && !now->empty()) {
      ticket.session.routers = std::move(*now);
    }
  }
  ticket.login = self->login();
  co_return ticket;
}

// A session that was made in an earlier login than the one to show with it is of no use.
net::awaitable<ControlDesk::Answer> ControlDesk::find(std::shared_ptr<ControlDesk> self,
                                                      std::string name, SessionType type,
                                                      bool fresh, net::TimePoint deadline) {
  for (int tried = 1;; ++tried) {
    const std::uint64_t epoch = self->login().epoch;
    auto ticket = co_await find_once(self, name, type, fresh, deadline);
    if (!ticket || ticket->login.epoch == epoch || tried == kTries) {
      co_return ticket;
    }
  }
}

const RouterLogin& ControlDesk::login() {
  const auto controller = controller_.lock();
  const auto now = controller ? controller->login() : std::nullopt;
  if (now && now->token != login_.token) {
    const bool renewed = now->oidc && login_.oidc && now->since == since_;
    login_ = {.token = now->token,
              .oidc = now->oidc,
              .name = now->identity_name,
              .number = login_.number + 1,
              .epoch = login_.epoch + (renewed ? 0 : 1)};
    since_ = now->since;
  }
  return login_;
}

net::awaitable<ControlDesk::Answer> ControlDesk::ticket(std::shared_ptr<ControlDesk> self,
                                                        net::Loop& loop, std::string service,
                                                        SessionType type, bool fresh,
                                                        net::TimePoint deadline) {
  ControlLoop::Question<Ticket> question = [self, service, type, fresh, deadline] {
    return find(self, service, type, fresh, deadline);
  };
  co_return co_await ControlLoop::ask<Ticket>(self->control_, loop, std::move(question), deadline);
}

void ControlDesk::session_refused(const Ticket& ticket, SessionType type) {
  control_.post(
      [controller = controller_, service = ticket.service.id, type, token = ticket.session.token] {
        if (const auto at = controller.lock()) {
          at->drop_session(service, type, token);
        }
      });
}

void ControlDesk::login_refused(const Router& router, const std::string& token) {
  control_.post([self = shared_from_this(), router, token] { self->doubt_login(router, token); });
}

void ControlDesk::doubt_login(const Router& router, const std::string& token) {
  if (controller_.expired() || token != login().token) {
    return;
  }
  if (std::exchange(doubted_, token) != token) {
    refusing_.clear();
    confirmed_until_ = {};
  }
  if (refusing_.size() < kMaxRefusing || refusing_.contains(key_of(router))) {
    Refusing& refusing = refusing_[key_of(router)];
    refusing.name = router.name;
    ++refusing.times;
  }
  if (asking_) {
    return;
  }
  if (loop_.now() < confirmed_until_) {
    return report_refusals();
  }
  asking_ = true;
  net::spawn(loop_, "overlay: doubted login", ask_about_login(shared_from_this(), token));
}

net::awaitable<void> ControlDesk::ask_about_login(std::shared_ptr<ControlDesk> self,
                                                  std::string token) {
  // The controller is not kept while it answers.
  std::optional<net::awaitable<bool>> confirming;
  if (const auto controller = self->controller_.lock()) {
    confirming = controller->confirm_login(token, self->loop_.now() + kConfirmTimeout);
  }
  if (confirming) {
    if (co_await *std::move(confirming)) {
      self->confirmed_until_ = self->loop_.now() + kConfirmedFor;
      self->report_refusals();
    } else {
      base::log().info("overlay: the login is not good any more");
    }
  }
  self->asking_ = false;
  self->settled_.notify();
}

// A login that is new may not have reached every router: the first refusal says nothing.
void ControlDesk::report_refusals() {
  for (auto& [key, router] : refusing_) {
    if (router.times > 1 && !std::exchange(router.told, true)) {
      base::log().warn(
          "overlay: router {} does not accept our login, which the controller says is good: it is "
          "tried less and less often; see that router's link to its controller, and its clock",
          router.name);
    }
  }
}

}  // namespace simplon::overlay::ziti
