// What is asked of a controller once logged in: services, and the sessions to dial and host them.
#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "overlay/ziti/controller_impl.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using nlohmann::json;
using std::chrono::seconds;

constexpr std::size_t kPage = 200;  // entries; the controller's own limit is 500
constexpr std::size_t kMaxServices = 20'000;
// Between two lists of services because of a name that nobody knows.
constexpr seconds kMinRefresh{1};
// One list of services, however many pages.
constexpr seconds kListTimeout{60};

std::string body_of(const std::string& service, SessionType type) {
  const json body = {{"serviceId", service}, {"type", type == SessionType::dial ? "Dial" : "Bind"}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

net::awaitable<ApiResult> Controller::Impl::call(Self self, Call call, net::TimePoint deadline) {
  bool relogged = false;
  for (int tried = 1;; ++tried) {
    auto session = co_await logged_in(self, deadline);
    if (!session) {
      co_return std::unexpected(
          ApiError{.code = session.error().code, .words = std::move(session.error().detail)});
    }
    const ControllerSite site = self->site();
    RestRequest request{
        .method = call.method, .target = site.path + call.target, .body = call.body};
    request.headers.push_back(credentials(*session));
    const auto answer = co_await site.client->exchange(std::move(request), deadline);
    if (self->ended_) {
      co_return std::unexpected(
          ApiError{.code = Errc::link_lost, .words = "the overlay is being removed"});
    }
    ApiResult result = answer ? read_envelope(*answer, site.url, call.whole)
                              : ApiResult(std::unexpected(answer.error()));
    if (result) {
      co_return result;
    }
    if (result.error().unauthorized()) {
      self->drop_login(session->token);
      if (std::exchange(relogged, true)) {
        co_return result;
      }
      continue;
    }
    if (!result.error().passing() || tried >= call.tries) {
      co_return result;
    }
    if (result.error().status == 0 && self->sites_.size() > 1) {
      self->next_site();
      if (!session->oidc) {
        self->drop_login(session->token);  // good at the controller that made it only
      }
    }
    const auto again = self->loop.now() + self->pause(tried);
    if (again >= deadline) {
      co_return result;
    }
    co_await net::sleep_until(self->loop, again);
  }
}

net::awaitable<std::expected<std::map<std::string, Service>, ApiError>> Controller::Impl::list(
    Self self, net::TimePoint deadline) {
  std::map<std::string, Service> services;
  std::size_t offset = 0;
  for (;;) {
    Call request{.target = absl::StrCat("/services?limit=", kPage, "&offset=", offset),
                 .whole = true};
    const auto answer = co_await call(self, std::move(request), deadline);
    if (!answer) {
      co_return std::unexpected(answer.error());
    }
    auto page = read_services(*answer);
    if (!page) {
      co_return std::unexpected(
          ApiError{.status = 200,
                   .code = Errc::link_lost,
                   .words = "the controller's list of services makes no sense"});
    }
    for (Service& service : page->services) {
      services.insert_or_assign(service.name, std::move(service));
    }
    offset += page->entries;
    if (page->entries == 0 || offset >= page->total || offset >= kMaxServices) {
      co_return services;
    }
  }
}

void Controller::Impl::take_services(std::map<std::string, Service> services) {
  const bool changed = !listed_once_ || services != services_;
  services_ = std::move(services);
  listed_once_ = true;
  if (!changed) {
    return;
  }
  // A session of a service that is gone, or that we may not use any more, is of no use.
  std::erase_if(sessions_, [this](const auto& kept) {
    const auto& [id, type] = kept.first;
    const bool usable = std::ranges::any_of(services_, [&](const auto& one) {
      const Service& service = one.second;
      return service.id == id && (type == SessionType::dial ? service.may_dial : service.may_bind);
    });
    return !usable && !kept.second.making;
  });
  const auto callbacks = on_services;
  for (const auto& callback : callbacks) {
    if (!ended_) {
      callback();
    }
  }
}

// One list at a time, which is nobody's: whoever waits for it may give up before its last page, and
// the next to come does not begin with the first again.
net::awaitable<void> Controller::Impl::list_all(Self self) {
  auto listed = co_await list(self, self->loop.now() + kListTimeout);
  self->listing_ = false;
  self->listed_at_ = self->loop.now();
  self->list_failure_ = listed ? std::nullopt : std::optional(self->failure(listed.error()));
  if (listed && !self->ended_) {
    self->take_services(*std::move(listed));
  }
  ++self->lists_;
  self->listed_.notify();
}

net::awaitable<Controller::Impl::Outcome<void>> Controller::Impl::refresh(Self self,
                                                                          net::TimePoint deadline) {
  const std::uint64_t before = self->lists_;
  if (!std::exchange(self->listing_, true)) {
    net::spawn(self->loop, "ziti: list of services", list_all(self));
  }
  // It may have ended while it was started.
  while (self->lists_ == before && !self->ended_) {
    if (!co_await self->listed_.changed(deadline)) {
      co_return std::unexpected(
          failure(Errc::timed_out, "the controller has not sent its services yet"));
    }
  }
  co_return self->list_failure_ ? Outcome<void>(std::unexpected(*self->list_failure_))
                                : Outcome<void>();
}

net::awaitable<Controller::Impl::Outcome<Service>> Controller::Impl::service(
    Self self, std::string name, net::TimePoint deadline) {
  const auto asked = self->loop.now();
  bool listed_here = false;
  for (;;) {
    const auto found = self->services_.find(name);
    if (self->listed_once_ && found != self->services_.end()) {
      co_return found->second;
    }
    // A list that began after we asked is the answer.
    if (self->listed_once_ && (listed_here || self->listed_at_ > asked) && !self->listing_) {
      co_return std::unexpected(failure(
          Errc::no_such_service,
          absl::StrCat("the network shows this identity no service \"", printable(name),
                       "\": either there is none of that name, or no service policy lets this "
                       "identity dial or host it")));
    }
    if (auto session = co_await logged_in(self, deadline); !session) {
      co_return std::unexpected(std::move(session.error()));
    }
    if (self->listed_once_ && !self->listing_ &&
        self->loop.now() < self->listed_at_ + kMinRefresh) {
      const auto next = self->listed_at_ + kMinRefresh;
      if (next >= deadline) {
        co_return std::unexpected(failure(Errc::timed_out, "the controller was asked just now"));
      }
      co_await net::sleep_until(self->loop, next);
      continue;
    }
    listed_here = !self->listing_;
    if (auto refreshed = co_await refresh(self, deadline); !refreshed) {
      co_return std::unexpected(std::move(refreshed.error()));
    }
  }
}

net::awaitable<Controller::Impl::Outcome<std::vector<Service>>> Controller::Impl::services(
    Self self, net::TimePoint deadline) {
  if (auto refreshed = co_await refresh(self, deadline); !refreshed) {
    co_return std::unexpected(std::move(refreshed.error()));
  }
  std::vector<Service> out;
  for (const auto& [name, service] : self->services_) {
    out.push_back(service);
  }
  co_return out;
}

net::awaitable<Controller::Impl::Outcome<std::vector<OwnRouter>>> Controller::Impl::own_routers(
    Self self, net::TimePoint deadline) {
  Call request{.target = absl::StrCat("/current-identity/edge-routers?limit=", kPage), .tries = 1};
  const auto data = co_await call(self, std::move(request), deadline);
  if (!data) {
    co_return std::unexpected(self->failure(data.error()));
  }
  co_return read_own_routers(*data);
}

// News of the services, while some are dialed or hosted.
net::awaitable<void> Controller::Impl::watch(Self self) {
  while (!self->ended_) {
    co_await rest(self, self->loop.now() + self->options.poll_interval);
    if (self->ended_ || !self->login || self->sessions_.empty()) {
      continue;
    }
    Call request{.target = "/current-api-session/service-updates", .tries = 1};
    const auto deadline = self->loop.now() + kListTimeout;
    const auto news = co_await call(self, std::move(request), deadline);
    if (self->ended_ || (!news && news.error().passing())) {
      continue;
    }
    // A controller that does not tell is asked for the list each time.
    const std::string changed = news ? text_at(*news, "lastChangeAt") : std::string();
    if (changed.empty() || changed != self->last_change_ || !self->listed_once_) {
      if (co_await refresh(self, deadline)) {
        self->last_change_ = changed;
      }
    }
  }
}

// Versions in which a second session of the same service gets a token that is good for nothing.
bool Controller::Impl::second_session_is_dead() const {
  const std::string version = login ? login->session.controller_version : std::string();
  return version.starts_with("v1.7.") || version == "v2.0.0" || version == "v2.0.1" ||
         version == "v2.0.2";
}

net::awaitable<Controller::Impl::Outcome<ServiceSession>> Controller::Impl::make_session(
    Self self, Key key, net::TimePoint deadline) {
  const std::string stale = self->sessions_[key].stale_id;
  if (!stale.empty() && self->second_session_is_dead()) {
    Call remove{.method = "DELETE", .target = "/sessions/" + url_escape(stale), .tries = 1};
    [[maybe_unused]] const auto removed = co_await call(self, std::move(remove), deadline);
  }
  for (int tried = 1;; ++tried) {
    Call create{.method = "POST", .target = "/sessions", .body = body_of(key.first, key.second)};
    const auto data = co_await call(self, std::move(create), deadline);
    const bool no_router = !data && data.error().name == "NO_EDGE_ROUTERS_AVAILABLE";
    if (!data && !no_router) {
      co_return std::unexpected(self->failure(data.error()));
    }
    auto session = data ? read_session(*data) : std::nullopt;
    if (data && !session) {
      co_return std::unexpected(
          failure(Errc::link_lost, "the controller's service session makes no sense"));
    }
    if (session && session->routers.empty()) {
      // It exists, so it is not made again: only its routers are asked for.
      self->sessions_[key].session = *session;
      if (auto found = co_await routers(self, key.first, key.second, deadline);
          found && !found->empty()) {
        session->routers = *std::move(found);
      }
    }
    if (session && !session->routers.empty()) {
      co_return *std::move(session);
    }
    const auto again = self->loop.now() + self->pause(tried + 1);
    if (again >= deadline || self->ended_ || tried >= 4) {
      co_return std::unexpected(
          failure(Errc::link_lost,
                  "no edge router is online that may carry this service for this identity; see the "
                  "network's routers, and its edge-router and service-edge-router policies"));
    }
    co_await net::sleep_until(self->loop, again);
  }
}

net::awaitable<Controller::Impl::Outcome<ServiceSession>> Controller::Impl::session(
    Self self, std::string id, SessionType type, net::TimePoint deadline) {
  const Key key{std::move(id), type};
  const auto began = self->loop.now();
  for (;;) {
    if (auto logged = co_await logged_in(self, deadline); !logged) {
      co_return std::unexpected(std::move(logged.error()));
    }
    Kept& kept = self->sessions_[key];
    if (kept.session && !kept.session->routers.empty()) {
      co_return *kept.session;
    }
    if (kept.failure &&
        (kept.failed_at >= began || self->loop.now() < kept.failed_at + kMinRefresh)) {
      co_return std::unexpected(*kept.failure);
    }
    if (!kept.making) {
      break;
    }
    if (!co_await self->made_.changed(deadline)) {
      co_return std::unexpected(
          failure(Errc::timed_out, "the controller has not made the service session yet"));
    }
  }
  self->sessions_[key].making = true;
  const std::uint64_t login = self->logins_;
  auto made = co_await make_session(self, key, deadline);
  if (!self->ended_ && login == self->logins_) {  // else another one may be in the making
    Kept& kept = self->sessions_[key];
    kept.making = false;
    kept.session.reset();
    kept.failure.reset();
    if (!made && made.error().code != Errc::timed_out) {
      kept.failure = made.error();
      kept.failed_at = self->loop.now();
    }
    if (made) {
      kept.session = *made;
      kept.stale_id.clear();
    }
  }
  self->made_.notify();
  co_return made;
}

net::awaitable<Controller::Impl::Outcome<std::vector<Router>>> Controller::Impl::ask_routers(
    Self self, Key key, net::TimePoint deadline) {
  const auto kept = self->sessions_.find(key);
  const bool legacy = self->login && !self->login->session.oidc;
  Call request{.target = "/services/" + url_escape(key.first) + "/edge-routers"};
  if (legacy && kept != self->sessions_.end() && kept->second.session) {
    request.target = "/sessions/" + url_escape(kept->second.session->id);
  }
  const auto data = co_await call(self, std::move(request), deadline);
  if (!data) {
    const auto again = self->sessions_.find(key);
    if (legacy && data.error().status == 404 && again != self->sessions_.end() &&
        again->second.session) {
      const std::string token = again->second.session->token;
      self->drop_session(key.first, key.second, token);
    }
    co_return std::unexpected(self->failure(data.error()));
  }
  auto found = read_routers(*data);
  const auto again = self->sessions_.find(key);
  if (!found.empty() && again != self->sessions_.end() && again->second.session) {
    again->second.session->routers = found;
  }
  co_return found;
}

net::awaitable<Controller::Impl::Outcome<std::vector<Router>>> Controller::Impl::routers(
    Self self, std::string id, SessionType type, net::TimePoint deadline) {
  const Key key{std::move(id), type};
  for (;;) {
    const auto kept = self->sessions_.find(key);
    if (kept == self->sessions_.end()) {
      break;  // nothing to remember an answer in
    }
    const bool known = kept->second.session && !kept->second.session->routers.empty();
    const bool just_asked = self->loop.now() < kept->second.asked_at + kMinRefresh;
    if (known && just_asked && !kept->second.asking) {
      co_return kept->second.session->routers;
    }
    if (!kept->second.asking) {
      kept->second.asking = true;
      break;
    }
    if (!co_await self->asked_.changed(deadline)) {
      co_return std::unexpected(
          failure(Errc::timed_out, "the controller has not named the routers yet"));
    }
  }
  auto found = co_await ask_routers(self, key, deadline);
  if (const auto kept = self->sessions_.find(key); kept != self->sessions_.end()) {
    kept->second.asking = false;
    kept->second.asked_at = found ? self->loop.now() : net::TimePoint::min();
  }
  self->asked_.notify();
  co_return found;
}

net::awaitable<bool> Controller::Impl::confirm_login(Self self, std::string token,
                                                     net::TimePoint deadline) {
  const auto current = [&] { return self->login && self->login->session.token == token; };
  if (current()) {
    // A login that is not good ends by the answer.
    Call request{.target = "/current-api-session", .tries = 1};
    [[maybe_unused]] const auto said = co_await call(self, std::move(request), deadline);
  }
  co_return current();
}

void Controller::Impl::drop_session(const std::string& id, SessionType type,
                                    const std::string& token) {
  const auto kept = sessions_.find({id, type});
  if (kept != sessions_.end() && kept->second.session && kept->second.session->token == token) {
    kept->second.stale_id = kept->second.session->id;
    kept->second.session.reset();
  }
}

}  // namespace simplon::overlay::ziti
