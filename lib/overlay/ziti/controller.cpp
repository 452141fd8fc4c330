// The login: made, kept alive, made again.
#include "overlay/ziti/controller.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <sodium.h>

#include "base/log.hpp"
#include "overlay/ziti/controller_impl.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A controller that refuses us goes on doing so until a person changes something.
constexpr seconds kMaxPause{30};
// How long a caller waits for a controller that cannot be reached: a restart passes so.
constexpr seconds kGrace{3};
// A login that did not last so long was of no use: the next one is not made at once.
constexpr seconds kGoodLogin{30};
constexpr seconds kLoginTimeout{30};
constexpr seconds kLogoutTimeout{2};

// A random point of a span of time.
net::Duration within(net::Duration from, net::Duration to) {
  const auto width = std::chrono::duration_cast<milliseconds>(to - from).count();
  const auto bound = static_cast<std::uint32_t>(std::clamp<std::int64_t>(width, 1, 1'000'000'000));
  return from + milliseconds(randombytes_uniform(bound));
}

absl::StatusOr<std::shared_ptr<const net::TlsContext>> context(const IdentityFile& identity,
                                                               std::string protocol) {
  std::string why;
  auto made = net::TlsContext::make({.role = net::TlsRole::client,
                                     .certificate_chain = identity.certificate,
                                     .private_key = identity.key,
                                     .trust_roots = identity.ca,
                                     .trust_intermediates = true,
                                     .protocols = {{.name = std::move(protocol)}}},
                                    &why);
  if (!made) {
    return absl::InvalidArgumentError(absl::StrCat("OpenZiti identity: ", why));
  }
  return *std::move(made);
}

}  // namespace

Controller::Impl::Impl(net::Loop& on, Options given, std::vector<ControllerSite> sites,
                       std::shared_ptr<const net::TlsContext> tls)
    : loop(on),
      options(std::move(given)),
      router_tls(std::move(tls)),
      sites_(std::move(sites)),
      changed_(on),
      wake_(on),
      listed_(on),
      made_(on),
      asked_(on) {
  at_ = randombytes_uniform(static_cast<std::uint32_t>(sites_.size()));
}

void Controller::Impl::start() {
  net::spawn(loop, "ziti: login", run(shared_from_this()));
  net::spawn(loop, "ziti: services", watch(shared_from_this()));
}

void Controller::Impl::end() {
  ended_ = true;
  on_change.clear();
  on_services.clear();
  on_token.clear();
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    sites_[i].client->close();
  }
  if (login) {
    // With a client of its own: all that is under way elsewhere has ended.
    ControllerSite last = site();
    last.client = last.client->another();
    net::spawn(loop, "ziti: logout",
               log_out(std::move(last), login->session, loop.now() + kLogoutTimeout));
    login.reset();
  }
  for (Signal* const signal : {&changed_, &wake_, &listed_, &made_, &asked_}) {
    signal->notify();
  }
}

net::Duration Controller::Impl::pause(int failures) const {
  const auto longest = std::min<net::Duration>(
      options.first_retry * (std::int64_t{1} << std::min(failures, 16)), kMaxPause);
  return within(milliseconds(1), longest);  // full jitter
}

void Controller::Impl::next_site() { at_ = (at_ + 1) % sites_.size(); }

std::string Controller::Impl::explained(const ApiError& error) const {
  const bool certificate =
      error.name == kCertificateRefused || (error.status == 401 && error.name != "SECOND_FACTOR");
  const auto gap = certificate ? chain_gap(options.identity) : std::nullopt;
  return gap ? absl::StrCat(error.words, "; ", *gap) : error.words;
}

base::Failure Controller::Impl::failure(Errc code, std::string words) {
  return {.hop = base::Hop::overlay, .code = code, .detail = std::move(words)};
}

base::Failure Controller::Impl::failure(const ApiError& error) const {
  const bool told = error.code == Errc::not_permitted || error.code == Errc::no_such_service ||
                    error.code == Errc::timed_out;
  return {.hop = base::Hop::overlay,
          .code = told ? error.code : make_error_code(Errc::link_lost),
          .detail = explained(error)};
}

void Controller::Impl::set_status(LinkState state, std::string error) {
  const bool same = status.state == state && status.last_error == error;
  if (status.state != state) {
    status.since = system_clock::now();
  }
  status.state = state;
  status.last_error = std::move(error);
  changed_.notify();
  if (same) {
    return;
  }
  // A callback may end this controller, which clears the list.
  const auto callbacks = on_change;
  for (const auto& callback : callbacks) {
    if (!ended_) {
      callback();
    }
  }
}

void Controller::Impl::forget_sessions() {
  sessions_.clear();
  ++logins_;
  listed_once_ = false;
  last_change_.clear();
}

void Controller::Impl::set_login(Login fresh, bool refreshed) {
  login = std::move(fresh);
  last_failure_.reset();
  refused_ = false;
  failing_since_ = net::TimePoint::max();
  if (!refreshed) {
    forget_sessions();
  }
  const ApiSession session = login->session;
  set_status(LinkState::up, "");
  const auto callbacks = on_token;
  for (const auto& callback : callbacks) {
    if (!ended_) {
      callback(session);
    }
  }
}

void Controller::Impl::drop_login(const std::string& token) {
  if (ended_ || !login || login->session.token != token) {
    return;
  }
  login.reset();
  forget_sessions();
  set_status(LinkState::connecting, "the login ended; logging in again");
  wake_.notify();
}

net::awaitable<void> Controller::Impl::rest(Self self, net::TimePoint until) {
  co_await self->wake_.changed(until);
}

net::awaitable<bool> Controller::Impl::log_in_once(Self self) {
  const auto deadline = self->loop.now() + kLoginTimeout;
  // One round over all controllers, but no further than to one that says no.
  for (std::size_t i = 0; i < self->sites_.size(); ++i) {
    LoginPlan plan{.site = self->site(), .many = self->sites_.size() > 1};
    auto made = co_await log_in(std::move(plan), deadline);
    if (self->ended_) {
      co_return false;
    }
    if (made) {
      base::log().info("ziti: logged in at {} as {} ({})", made->session.controller,
                       made->session.identity_name, made->session.oidc ? "OIDC" : "legacy");
      self->set_login(*std::move(made), /*refreshed=*/false);
      co_return true;
    }
    self->last_failure_ = made.error();
    self->refused_ = !made.error().passing();
    if (self->refused_) {
      break;
    }
    self->next_site();
  }
  if (self->failing_since_ == net::TimePoint::max()) {
    self->failing_since_ = self->loop.now();
  }
  std::string words = self->explained(*self->last_failure_);
  if (self->status.last_error != words) {
    base::log().warn("ziti: not logged in: {}", words);
  }
  self->set_status(LinkState::down, std::move(words));
  co_return false;
}

// Returns when the login is gone.
net::awaitable<void> Controller::Impl::keep(Self self) {
  int failures = 0;
  while (!self->ended_ && self->login) {
    const auto token = self->login->session.token;
    const net::Duration left = self->login->lifetime;
    const auto until =
        self->loop.now() + (failures > 0 ? self->pause(failures) : within(left / 2, left * 5 / 6));
    co_await rest(self, until);
    // Woken for another reason, it only asks earlier.
    if (self->ended_ || !self->login || self->login->session.token != token) {
      continue;
    }
    Login current = *self->login;
    auto kept =
        co_await keep_login(self->site(), std::move(current), self->loop.now() + kExchangeTimeout);
    if (self->ended_ || !self->login || self->login->session.token != token) {
      continue;
    }
    if (kept) {
      failures = 0;
      const bool changed = kept->session.token != token;
      if (changed) {
        self->set_login(*std::move(kept), /*refreshed=*/true);
      } else {
        self->login = *std::move(kept);
      }
      continue;
    }
    ++failures;
    const bool expired = system_clock::now() >= self->login->session.expires;
    if (!kept.error().passing() || expired) {
      base::log().info("ziti: the login is not kept: {}", kept.error().words);
      self->drop_login(token);
    } else if (self->login->session.oidc) {
      self->next_site();
    }
  }
}

net::awaitable<void> Controller::Impl::run(Self self) {
  int failures = 0;
  while (!self->ended_) {
    const auto began = self->loop.now();
    if (co_await log_in_once(self)) {
      co_await keep(self);
      failures = self->loop.now() - began >= kGoodLogin ? 0 : failures + 1;
      if (failures <= 1) {
        continue;
      }
    } else {
      ++failures;
    }
    if (!self->ended_) {
      co_await rest(self, self->loop.now() + self->pause(failures));
    }
  }
}

net::awaitable<Controller::Impl::Outcome<ApiSession>> Controller::Impl::logged_in(
    Self self, net::TimePoint deadline) {
  while (!self->login) {
    if (self->ended_) {
      co_return std::unexpected(failure(Errc::link_lost, "the overlay is being removed"));
    }
    auto until = deadline;
    if (self->last_failure_) {
      until = self->refused_ ? self->loop.now() : std::min(until, self->failing_since_ + kGrace);
    }
    if (self->loop.now() >= until) {
      co_return std::unexpected(
          self->last_failure_ ? self->failure(*self->last_failure_)
                              : failure(Errc::timed_out, "the controller has not answered yet"));
    }
    co_await self->changed_.changed(until);
  }
  co_return self->login->session;
}

Controller::Controller(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Controller::~Controller() { impl_->end(); }

absl::StatusOr<std::unique_ptr<Controller>> Controller::make(net::Loop& control, Options options) {
  auto rest = context(options.identity, "http/1.1");
  if (!rest.ok()) {
    return rest.status();
  }
  auto routers = context(options.identity, "ziti-edge");
  if (!routers.ok()) {
    return routers.status();
  }
  std::vector<ControllerSite> sites;
  for (const std::string& url : options.identity.controllers) {
    auto address = split_url(url);
    if (!address) {
      return absl::InvalidArgumentError(
          absl::StrCat("OpenZiti identity: \"", url, "\" is no controller's address"));
    }
    auto client = std::make_shared<RestClient>(control, std::move(address->server), *rest);
    sites.push_back({.url = url, .path = std::move(address->path), .client = std::move(client)});
  }
  if (sites.empty()) {
    return absl::InvalidArgumentError("OpenZiti identity: it names no controller");
  }
  auto impl =
      std::make_shared<Impl>(control, std::move(options), std::move(sites), *std::move(routers));
  impl->start();
  return std::unique_ptr<Controller>(new Controller(std::move(impl)));
}

LinkStatus Controller::status() const { return impl_->status; }
void Controller::on_change(std::function<void()> changed) {
  impl_->on_change.push_back(std::move(changed));
}
void Controller::on_token(std::function<void(const ApiSession&)> changed) {
  impl_->on_token.push_back(std::move(changed));
}
void Controller::on_services(std::function<void()> changed) {
  impl_->on_services.push_back(std::move(changed));
}
std::optional<ApiSession> Controller::login() const {
  return impl_->login ? std::optional(impl_->login->session) : std::nullopt;
}
net::awaitable<std::expected<ApiSession, base::Failure>> Controller::logged_in(
    net::TimePoint deadline) {
  return Impl::logged_in(impl_, deadline);
}
net::awaitable<std::expected<Service, base::Failure>> Controller::service(std::string name,
                                                                          net::TimePoint deadline) {
  return Impl::service(impl_, std::move(name), deadline);
}
net::awaitable<std::expected<ServiceSession, base::Failure>> Controller::session(
    std::string service_id, SessionType type, net::TimePoint deadline) {
  return Impl::session(impl_, std::move(service_id), type, deadline);
}
net::awaitable<std::expected<std::vector<Router>, base::Failure>> Controller::routers(
    std::string service_id, SessionType type, net::TimePoint deadline) {
  return Impl::routers(impl_, std::move(service_id), type, deadline);
}
net::awaitable<std::expected<std::vector<Service>, base::Failure>> Controller::services(
    net::TimePoint deadline) {
  return Impl::services(impl_, deadline);
}
net::awaitable<std::expected<std::vector<OwnRouter>, base::Failure>> Controller::own_routers(
    net::TimePoint deadline) {
  return Impl::own_routers(impl_, deadline);
}
void Controller::drop_session(const std::string& service_id, SessionType type,
                              const std::string& token) {
  impl_->drop_session(service_id, type, token);
}
net::awaitable<bool> Controller::confirm_login(std::string token, net::TimePoint deadline) {
  return Impl::confirm_login(impl_, std::move(token), deadline);
}
const std::shared_ptr<const net::TlsContext>& Controller::router_tls() const {
  return impl_->router_tls;
}

}  // namespace simplon::overlay::ziti
