#include "overlay/ziti/ziti_network.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <unistd.h>

#include "overlay/ziti/controller.hpp"
#include "overlay/ziti/dialing.hpp"
#include "overlay/ziti/hosting.hpp"
#include "overlay/ziti/network_check.hpp"
#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using Handler = Hosting::Handler;

// A listener is made without the controller's word if that takes longer.
constexpr std::chrono::seconds kListenDeadline{10};

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "simplon";
}

// What dials need. Immutable; any loop.
struct Reach {
  std::vector<std::pair<net::Loop*, std::shared_ptr<Dialing>>> dialing;

  std::shared_ptr<Dialing> of(const net::Loop& loop) const {
    const auto found =
        std::ranges::find_if(dialing, [&loop](const auto& entry) { return entry.first == &loop; });
    return found == dialing.end() ? nullptr : found->second;
  }
};

// What the network is on the control loop. Listeners and callbacks may outlive the network object.
class Core final : public std::enable_shared_from_this<Core> {
 public:
  Core(net::Loop& control, std::unique_ptr<Controller> controller, ZitiOptions options)
      : control_(control),
        identity_(std::move(options.identity)),
        controller_(std::move(controller)),
        loops_(std::move(options.loops)) {
    auto maker = std::make_shared<ChannelMaker>();
    maker->tls = controller_->router_tls();
    maker->client_name = host_name();
    maker->budget = options.budget ? std::move(options.budget) : std::make_shared<MemoryBudget>();
    maker->book = book_;
    maker->desk = std::make_shared<ControlDesk>(control, controller_);
    // The controller logs out when it goes: not before the last stream has ended.
    logged_in_ = std::shared_ptr<const void>(
        nullptr, [kept = controller_, at = control.poster()](const void*) mutable {
          at.post([last = std::move(kept)] {});
        });
    maker->logged_in = logged_in_;
    maker_ = std::move(maker);
    auto reach = std::make_shared<Reach>();
    for (net::Loop* loop : loops_) {
      reach->dialing.emplace_back(loop, std::make_shared<Dialing>(*loop, maker_));
    }
    // Status probes dial from here.
    if (reach->of(control_) == nullptr) {
      reach->dialing.emplace_back(&control_, std::make_shared<Dialing>(control_, maker_));
    }
    reach_ = std::move(reach);
  }

  void begin() {
    const std::weak_ptr<Core> weak = weak_from_this();
    controller_->on_change([weak] {
      if (const auto self = weak.lock()) {
        self->tell();
      }
    });
    controller_->on_token([weak](const ApiSession&) {
      if (const auto self = weak.lock()) {
        self->logged_in();
      }
    });
    controller_->on_services([weak] {
      if (const auto self = weak.lock()) {
        self->services_changed();
      }
    });
  }

  void end() {
    ended_ = true;
    changed_.clear();
    for (const auto& [service, hosting] : std::exchange(hostings_, {})) {
      hosting->withdraw();
    }
    for (const auto& [loop, dialing] : reach_->dialing) {
      loop->post([dialing, logged_in = logged_in_] { dialing->stop(); });
    }
    last_ = controller_->status();
    controller_ = nullptr;
    logged_in_ = nullptr;
  }

  LinkStatus status() const { return controller_ ? controller_->status() : last_; }
  const std::shared_ptr<const Reach>& reach() const { return reach_; }
  void on_change(std::function<void()> changed) { changed_.push_back(std::move(changed)); }
  std::string name() const { return maker_->desk->login().name; }

  ZitiDetails details() const {
    ZitiDetails out;
    if (const auto login = controller_ ? controller_->login() : std::nullopt) {
      out.controller = login->controller;
      out.controller_version = login->controller_version;
      out.oidc = login->oidc;
      out.since = login->since;
      out.expires = login->expires;
    }
    out.routers = book_->routers();
    for (const auto& router : out.routers) {
      out.circuits += router.circuits;
    }
    for (const auto& [service, hosting] : hostings_) {
      out.terminators += hosting->established();
    }
    return out;
  }

  std::vector<HostedService> hosted() const {
    std::vector<HostedService> out;
    out.reserve(hostings_.size());
    for (const auto& [service, hosting] : hostings_) {
      out.push_back(
          {.name = service, .terminators = hosting->established(), .status = hosting->status()});
    }
    return out;
  }

  // No coroutine: a check that runs keeps nothing of an overlay that is removed.
  static net::awaitable<void> check(const std::shared_ptr<Core>& self, CheckReport report) {
    return check_network({.loop = &self->control_,
                          .identity = self->identity_,
                          .controller = self->controller_,
                          .client_name = self->maker_->client_name,
                          .hosted =
                              [weak = std::weak_ptr(self)] {
                                const auto core = weak.lock();
                                return core ? core->hosted() : std::vector<HostedService>();
                              }},
                         std::move(report));
  }

  static net::awaitable<std::expected<std::shared_ptr<Hosting>, Failure>> add(
      std::shared_ptr<Core> self, ListenOptions options, Handler handler) {
    const std::string service = options.service;
    const auto refuse = [&service](Errc code, const std::string& what) {
      return std::unexpected(Failure{
          .hop = Hop::share, .code = code, .detail = "\"" + printable(service) + "\" " + what});
    };
    if (!valid_service_text(service)) {
      co_return refuse(Errc::invalid_argument, "is no name of a service");
    }
    if (self->ended_) {
      co_return refuse(Errc::link_lost, "cannot be hosted: the overlay was given up");
    }
    auto hosting = std::make_shared<Hosting>(Hosting::Options{.maker = self->maker_,
                                                              .loops = self->loops_,
                                                              .first_loop = self->next_loop_++,
                                                              .listen = std::move(options),
                                                              .handler = std::move(handler)});
    if (!self->hostings_.emplace(service, hosting).second) {
      co_return refuse(Errc::already_exists, "is hosted by this agent already");
    }
    if (self->status().state == LinkState::up) {
      const auto ticket = co_await ControlDesk::find(self->maker_->desk, service, SessionType::bind,
                                                     false, self->control_.now() + kListenDeadline);
      if (!ticket && (ticket.error().code == Errc::not_permitted ||
                      ticket.error().code == Errc::no_such_service)) {
        self->withdraw(*hosting);
        co_return std::unexpected(ticket.error());
      }
    }
    if (!self->ended_) {
      hosting->start();
    }
    co_return hosting;
  }

  void withdraw(Hosting& hosting) {
    hosting.withdraw();
    const auto found = hostings_.find(hosting.name());
    if (found != hostings_.end() && found->second.get() == &hosting) {
      hostings_.erase(found);
    }
  }

 private:
  void tell() {
    for (const auto& changed : std::vector(changed_)) {
      changed();
    }
  }

  void logged_in() {
    const RouterLogin login = maker_->desk->login();
    for (const auto& [loop, dialing] : reach_->dialing) {
      loop->post([dialing, login] { dialing->adopt(login); });
    }
    for (const auto& [service, hosting] : hostings_) {
      hosting->adopt(login);
    }
  }

  void services_changed() {
    for (const auto& [loop, dialing] : reach_->dialing) {
      loop->post([dialing] { dialing->forget(); });
    }
    for (const auto& [service, hosting] : hostings_) {
      hosting->nudge();
    }
  }

  net::Loop& control_;
  const IdentityFile identity_;
  std::shared_ptr<Controller> controller_;  // null once ended
  std::shared_ptr<const void> logged_in_;
  LinkStatus last_;  // of it
  const std::vector<net::Loop*> loops_;
  const std::shared_ptr<RouterBook> book_ = std::make_shared<RouterBook>();
  std::shared_ptr<const ChannelMaker> maker_;
  std::shared_ptr<const Reach> reach_;
  std::vector<std::function<void()>> changed_;
  std::map<std::string, std::shared_ptr<Hosting>> hostings_;
  std::size_t next_loop_ = 0;
  bool ended_ = false;
};

class ZitiListener final : public Listener {
 public:
  ZitiListener(std::shared_ptr<Core> core, std::shared_ptr<Hosting> hosting)
      : core_(std::move(core)), hosting_(std::move(hosting)) {}
  ~ZitiListener() override { core_->withdraw(*hosting_); }
  ZitiListener(const ZitiListener&) = delete;
  ZitiListener& operator=(const ZitiListener&) = delete;

  LinkStatus status() const override { return hosting_->status(); }
  void on_change(std::function<void()> changed) override {
    hosting_->on_change(std::move(changed));
  }
  void set_health(bool passing) override { hosting_->set_health(passing); }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Hosting> hosting_;
};

net::awaitable<std::expected<Dialed, Refusal>> dial_from(std::shared_ptr<const Reach> reach,
                                                         net::Loop& loop, DialOptions options) {
  const auto refuse = [](Errc code, std::string detail) {
    return std::unexpected(
        Refusal{.failure = {.hop = Hop::overlay, .code = code, .detail = std::move(detail)}});
  };
  if (!valid_service_text(options.service)) {
    co_return refuse(Errc::no_such_service,
                     "\"" + printable(options.service) + "\" is no name of a service");
  }
  const auto dialing = reach->of(loop);
  if (dialing == nullptr) {
    co_return refuse(Errc::link_lost, "dialed from a loop that is not the overlay's");
  }
  co_return co_await Dialing::dial(dialing, std::move(options));
}

net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen_at(
    std::shared_ptr<Core> core, ListenOptions options, Handler handler) {
  auto hosting = co_await Core::add(core, std::move(options), std::move(handler));
  if (!hosting) {
    co_return std::unexpected(std::move(hosting.error()));
  }
  std::unique_ptr<Listener> listener =
      std::make_unique<ZitiListener>(std::move(core), std::move(*hosting));
  co_return listener;
}

class LiveNetwork final : public ZitiNetwork {
 public:
  explicit LiveNetwork(std::shared_ptr<Core> core)
      : core_(std::move(core)), reach_(core_->reach()) {}
  ~LiveNetwork() override { core_->end(); }
  LiveNetwork(const LiveNetwork&) = delete;
  LiveNetwork& operator=(const LiveNetwork&) = delete;

  std::string_view kind() const override { return "ziti"; }
  std::string self() const override { return core_->name(); }
  LinkStatus status() const override { return core_->status(); }
  void on_change(std::function<void()> changed) override { core_->on_change(std::move(changed)); }
  bool allows_service(std::string_view name) const override { return valid_service_text(name); }

  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    return dial_from(reach_, loop, std::move(options));
  }
  net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen(
      ListenOptions options, Handler handler) override {
    return listen_at(core_, std::move(options), std::move(handler));
  }
  ZitiDetails details() const override { return core_->details(); }
  std::function<net::awaitable<void>(CheckReport)> checks() const override {
    return [core = core_](CheckReport report) { return Core::check(core, std::move(report)); };
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<const Reach> reach_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ZitiNetwork>> make_ziti_network(net::Loop& control,
                                                               ZitiOptions options) {
  if (options.loops.empty()) {
    return absl::InvalidArgumentError("no loops to put channels on");
  }
  auto controller = Controller::make(control, {.identity = options.identity,
                                               .first_retry = options.first_retry,
                                               .poll_interval = options.poll_interval});
  if (!controller.ok()) {
    return controller.status();
  }
  auto core = std::make_shared<Core>(control, *std::move(controller), std::move(options));
  core->begin();
  return std::make_unique<LiveNetwork>(std::move(core));
}

}  // namespace simplon::overlay::ziti
