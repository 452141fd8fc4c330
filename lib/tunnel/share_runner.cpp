// The control side of a share: keeps its service registered and watches its target.
#include <algorithm>
#include <utility>

#include "tunnel/policies.hpp"
#include "tunnel/runner.hpp"
#include "tunnel/share_path.hpp"

namespace simplon::tunnel {
namespace {

class ShareRunner final : public Runner {
 public:
  ShareRunner(Surroundings& around, TunnelPtr tunnel, std::shared_ptr<OverlayLink> link)
      : Runner(around, std::move(tunnel), std::move(link)),
        spec_(std::get<Share>(tunnel_->spec)),
        retry_(around.control),
        check_(around.control) {}

  void start() override {
    auto target = parse_target(spec_.target);
    if (!target.ok()) {
      broken_ = std::string(target.status().message());
      return update();
    }
    target_ = std::move(*target);
    if (target_.scheme == Target::Scheme::https && !make_tls()) {
      return update();
    }
    path_ = std::make_shared<SharePath>(
        SharePath::Options{.tunnel = tunnel_, .target = target_, .tls = around_.target_tls},
        traffic_);
    check_target();
    overlay_changed();
  }

  void overlay_changed() override {
    if (network_ != link_->network()) {
      withdraw();
      network_ = link_->network();
    }
    // A link that came up may be what the last try lacked.
    const bool up = link_->status().state == overlay::LinkState::up;
    if (up && !std::exchange(link_was_up_, up)) {
      refusals_ = 0;
      if (listener_ == nullptr) {
        retry_.cancel();
      }
    }
    link_was_up_ = up;
    if (listener_ == nullptr && !registering_ && !retry_.armed()) {
      register_service();
    }
    registration_changed();
  }

  CheckSubject check_subject() override {
    CheckSubject out = Runner::check_subject();
    out.target_tls = around_.target_tls;
    out.engine = [path = path_](std::unique_ptr<overlay::Inbound> inbound) {
      if (path != nullptr) {
        path->take(std::move(inbound));
      }
    };
    return out;
  }

 private:
  using Registered = std::expected<std::unique_ptr<overlay::Listener>, base::Failure>;

  bool make_tls() {
    if (around_.target_tls == nullptr) {
      net::TlsOptions options;
      options.trust_roots = around_.settings.target_trust_roots;
      options.protocols = {{.name = "http/1.1"}};
      auto context = net::TlsContext::make(options, &broken_);
      if (!context) {
        broken_ = "cannot verify https targets: " + broken_;
        return false;
      }
      around_.target_tls = std::move(*context);
    }
    return true;
  }

  // Forgets the registration, also one under way.
  void withdraw() {
    ++epoch_;
    registering_ = false;
    listener_.reset();
    retry_.cancel();
    register_error_.clear();
    refusals_ = 0;
  }

  void register_service() {
    if (network_ == nullptr || draining_ || path_ == nullptr || registering_) {
      return;
    }
    registering_ = true;
    net::spawn(
        around_.control, "share's registration",
        register_at(this, alive_, link_, epoch_,
                    {.service = spec_.service,
                     .allow_frontends = spec_.open_to_frontends,
                     .unsaid = target_.scheme == Target::Scheme::tcp ? overlay::StreamKind::raw
                                                                     : overlay::StreamKind::http,
                     .any_name = spec_.any_name,
                     .rank = spec_.rank},
                    [path = path_](std::unique_ptr<overlay::Inbound> inbound) {
                      path->take(std::move(inbound));
                    }));
  }

  static net::awaitable<void> register_at(
      ShareRunner* self, std::weak_ptr<char> alive, std::shared_ptr<OverlayLink> link, int epoch,
      overlay::ListenOptions options,
      std::function<void(std::unique_ptr<overlay::Inbound>)> handler) {
    Registered result = co_await link->listen(std::move(options), std::move(handler));
    if (!alive.expired() && self->epoch_ == epoch) {
      self->registered(std::move(result));
    }
  }

  void registered(Registered result) {
    registering_ = false;
    if (result) {
      listener_ = std::move(*result);
      listener_->on_change([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) {
          registration_changed();
        }
      });
      listener_->set_health(healthy_);
      return registration_changed();
    }
    register_error_ = result.error().message();
    register_later();
    update();
  }

  void register_later() {
    const auto pause = std::min(around_.settings.retry * (1 << std::min(refusals_++, 10)),
                                around_.settings.longest_retry);
    retry_.arm(around_.control.now() + pause, [this] {
      if (listener_ == nullptr || refused()) {
        listener_.reset();
        register_service();
      }
    });
  }

  // A listener may be refused after it was made: when a link came up, or came back. The overlay
  // does not ask again by itself.
  bool refused() const {
    return listener_ != nullptr && link_->status().state == overlay::LinkState::up &&
           listener_->status().state == overlay::LinkState::down;
  }

  void registration_changed() {
    if (listener_ != nullptr && listener_->status().state == overlay::LinkState::up) {
      refusals_ = 0;
    }
    if (listener_ != nullptr) {
      register_error_ = refused() ? listener_->status().last_error : std::string();
    }
    if (refused() && !retry_.armed()) {
      register_later();
    }
    update();
  }

  void check_target() {
    if (std::exchange(checking_, true)) {
      return;
    }
    net::spawn(around_.control, "share's target check",
               check(this, alive_, &around_.control, traffic_, target_, around_.target_tls,
                     connect_limit(tunnel_->spec)));
  }

  static net::awaitable<void> check(ShareRunner* self, std::weak_ptr<char> alive,
                                    net::Loop* control, std::shared_ptr<Traffic> traffic,
                                    Target target, std::shared_ptr<const net::TlsContext> tls,
                                    std::chrono::milliseconds limit) {
    auto stream = co_await connect_target(*control, std::move(target), std::move(tls),
                                          control->now() + limit);
    traffic->far_end(stream ? std::string() : stream.error().text);
    if (stream) {
      (*stream)->close();
    }
    if (!alive.expired()) {
      self->checked(stream.has_value());
    }
  }

  void checked(bool answers) {
    checking_ = false;
    count(answers);
    if (!draining_) {
      const Settings& settings = around_.settings;
      check_.arm(
          around_.control.now() + (answers ? settings.target_check : settings.target_check_again),
          [this] { check_target(); });
    }
  }

  // A host is failed after some failures in a row, and good again with the first success.
  void count(bool answers) {
    failures_ = answers ? 0 : failures_ + 1;
    healthy_ = answers || (healthy_ && failures_ < around_.settings.target_failures);
    if (listener_ != nullptr) {
      listener_->set_health(healthy_);
    }
  }

  void far_end(const std::string& error) override {
    if (error.empty()) {
      count(true);
    } else if (!draining_) {
      // A client's connection failed, or the check's own: whether it lasts is seen soon.
      const net::TimePoint soon = around_.control.now() + around_.settings.target_check_again;
      if (!check_.armed() || check_.when() > soon) {
        check_.arm(soon, [this] { check_target(); });
      }
    }
    if (error.empty() ? target_hop_.up() : target_hop_.down(error)) {
      update();
    }
  }

  void stop_listening() override {
    withdraw();
    check_.cancel();
  }

  Judgement judge() const override {
    Judgement out;
    HopStatus registration{.name = kRegistrationHop};
    if (listener_ != nullptr) {
      const overlay::LinkStatus at = listener_->status();
      registration.since = at.since;
      registration.last_error = at.last_error;
      registration.state = at.state == overlay::LinkState::up     ? HopState::up
                           : at.state == overlay::LinkState::down ? HopState::down
                                                                  : HopState::starting;
      out.urls = listener_->urls();
      out.known_as = listener_->known_as();
    } else if (!register_error_.empty()) {
      registration.down(register_error_);
    }
    const std::string link = link_problem();
    out.works = link.empty() && registration.state == HopState::up;
    if (!broken_.empty()) {
      out.failed = broken_;
    } else if (network_ == nullptr) {
      out.failed = link + "; join it under that name, or delete this tunnel";
    } else if (!register_error_.empty()) {
      out.failed = "service \"" + spec_.service + "\": " + register_error_;
    }
    if (!link.empty()) {
      out.message = link;
    } else if (!out.works) {
      out.message = "service \"" + spec_.service + "\": ";
      out.message +=
          registration.last_error.empty() ? "not registered yet" : registration.last_error;
    } else if (target_hop_.state == HopState::down) {
      out.message = target_hop_.last_error + "; requests fail until it answers there";
    }
    out.hops = {link_hop(), std::move(registration), target_hop_};
    return out;
  }

  const Share& spec_;
  Target target_;
  std::shared_ptr<SharePath> path_;
  overlay::Network* network_ = nullptr;  // the one that it is registered at
  std::unique_ptr<overlay::Listener> listener_;
  int epoch_ = 0;  // of the registration
  bool registering_ = false;
  int refusals_ = 0;  // one after another
  bool link_was_up_ = false;
  std::string broken_;  // nothing but another tunnel helps
  std::string register_error_;
  HopStatus target_hop_{.name = kTargetHop};
  net::Timer retry_;
  net::Timer check_;
  bool checking_ = false;
  unsigned failures_ = 0;  // in a row, of the check
  bool healthy_ = true;    // for the overlay
};

}  // namespace

std::unique_ptr<Runner> make_share_runner(Surroundings& around, TunnelPtr tunnel,
                                          std::shared_ptr<OverlayLink> link) {
  return std::make_unique<ShareRunner>(around, std::move(tunnel), std::move(link));
}

}  // namespace simplon::tunnel
