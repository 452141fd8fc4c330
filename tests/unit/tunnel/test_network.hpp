// An overlay that a test steers: links go up and down on command, streams are memory pairs with the
// real opening message on them, on whichever loop dials.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "overlay/embedded/open.hpp"
#include "overlay/network.hpp"

namespace simplon::tunnel::test {

using InboundHandler = std::function<void(std::unique_ptr<overlay::Inbound>)>;

/// Who claimed and who hosts what. Any thread.
class TestDirectory {
 public:
  struct Service {
    std::string owner;
    std::shared_ptr<const InboundHandler> handler;  // null: claimed, not hosted
    bool allow_frontends = false;
  };

  std::optional<Service> find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = services_.find(name);
    return found != services_.end() ? std::optional(found->second) : std::nullopt;
  }
  bool host(const std::string& name, Service service) {
    const std::lock_guard lock(mutex_);
    const auto found = services_.find(name);
    if (found != services_.end() && found->second.owner != service.owner) {
      return false;
    }
    services_[name] = std::move(service);
    return true;
  }
  void withdraw(const std::string& name) {
    const std::lock_guard lock(mutex_);
    services_[name].handler = nullptr;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Service> services_;
};

class TestNetwork final : public overlay::Network {
  class TestListener;

 public:
  TestNetwork(std::shared_ptr<TestDirectory> directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  std::string_view kind() const override { return "test"; }
  std::string self() const override { return name_; }
  overlay::LinkStatus status() const override { return status_; }
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
  bool allows_service(std::string_view name) const override {
    return any_names || overlay::valid_service_name(name);
  }
  bool any_names = false;
  void process_ends() override { process_ended = true; }
  bool process_ended = false;
  int listens = 0;
  bool ranks_hosts() const override { return ranks; }
  bool ranks = false;
  std::vector<overlay::Rank> ranked;  // of each listen()
  std::vector<bool> healths;          // as the listeners were told, repeats left out

  /// On the control loop.
  void set_link(overlay::LinkState state, std::string error = {}) {
    status_ = {.state = state, .since = std::chrono::system_clock::now(), .last_error = error};
    up_ = state == overlay::LinkState::up;
    if (changed_) {
      changed_();
    }
  }
  /// The overlay says no to what it took before, or takes it again.
  void set_registration(overlay::LinkState state, std::string error = {}) {
    registration_ = {.state = state, .last_error = std::move(error)};
    tell_listeners();
  }
  /// The sessions of all streams that were dialed here are lost. Where only one loop dials.
  void lose_sessions() {
    for (const auto& dialed : std::exchange(dialed_, {})) {
      if (const auto stream = dialed.lock()) {
        stream->reset(base::Errc::link_lost);
      }
    }
  }
  int dials() const { return dials_; }

  net::awaitable<std::expected<overlay::Dialed, overlay::Refusal>> dial(
      net::Loop& loop, overlay::DialOptions options) override {
    ++dials_;
    if (!up_) {
      co_return refusal(base::Errc::link_lost);
    }
    const auto service = directory_->find(options.service);
    if (!service) {
      co_return refusal(base::Errc::no_such_service);
    }
    if (service->handler == nullptr) {
      co_return refusal(base::Errc::not_hosted);
    }
    auto [near_end, far_end] = net::make_memory_pair(loop);
    remember(near_end);
    remember(far_end);
    auto opened = overlay::start_open(near_end, {.service = options.service,
                                                 .kind = options.kind,
                                                 .connection_id = options.connection_id,
                                                 .on_behalf_of = options.on_behalf_of,
                                                 .frontend = options.frontend});
    net::spawn(loop, "host", deliver(far_end, *service, name_));
    co_return overlay::Dialed{.stream = opened->stream, .status = opened->status, .path = "memory"};
  }

  net::awaitable<std::expected<std::unique_ptr<overlay::Listener>, base::Failure>> listen(
      overlay::ListenOptions options, InboundHandler handler) override {
    ++listens;
    ranked.push_back(options.rank);
    if (!directory_->host(options.service,
                          {.owner = name_,
                           .handler = std::make_shared<const InboundHandler>(std::move(handler)),
                           .allow_frontends = options.allow_frontends})) {
      co_return std::unexpected(base::Failure{.hop = base::Hop::hub,
                                              .code = base::Errc::not_permitted,
                                              .detail = "the name belongs to another agent"});
    }
    co_return std::make_unique<TestListener>(*this, options.service);
  }

 private:
  class TestListener final : public overlay::Listener {
   public:
    TestListener(TestNetwork& network, std::string service)
        : network_(network), service_(std::move(service)) {
      network_.listeners_.push_back(this);
    }
    ~TestListener() override {
      std::erase(network_.listeners_, this);
      network_.directory_->withdraw(service_);
    }
    overlay::LinkStatus status() const override {
      return network_.up_ ? network_.registration_ : network_.status();
    }
    void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
    void changed() { changed_(); }
    void set_health(bool passing) override {
      if (network_.healths.empty() || network_.healths.back() != passing) {
        network_.healths.push_back(passing);
      }
    }

   private:
    TestNetwork& network_;
    std::string service_;
    std::function<void()> changed_;
  };

  void remember(const net::StreamPtr& stream) {
    const std::lock_guard lock(mutex_);
    std::erase_if(dialed_, [](const auto& dialed) { return dialed.expired(); });
    dialed_.push_back(stream);
  }

  void tell_listeners() {
    for (TestListener* listener : std::vector(listeners_)) {
      listener->changed();
    }
  }

  static std::unexpected<overlay::Refusal> refusal(base::Errc code) {
    return std::unexpected(overlay::Refusal{
        .failure = {.hop = base::Hop::overlay, .code = code, .detail = {}}, .not_processed = true});
  }

  static net::awaitable<void> deliver(net::StreamPtr stream, TestDirectory::Service service,
                                      std::string from) {
    auto request =
        co_await overlay::read_open(stream, stream->loop().now() + overlay::kOpenDeadline);
    if (!request) {
      stream->reset(request.error());
      co_return;
    }
    overlay::Identity identity;
    identity.peer.name = std::move(from);
    const bool barred = request->frontend && !service.allow_frontends;
    auto inbound = overlay::make_inbound(stream, std::move(*request), std::move(identity));
    if (barred) {
      inbound->reject({.failure = {.hop = base::Hop::share,
                                   .code = base::Errc::not_permitted,
                                   .detail = "the share is not public"},
                       .not_processed = true});
    } else {
      (*service.handler)(std::move(inbound));
    }
  }

  std::shared_ptr<TestDirectory> directory_;
  std::string name_;
  overlay::LinkStatus status_{.state = overlay::LinkState::up};
  overlay::LinkStatus registration_{.state = overlay::LinkState::up};
  std::vector<TestListener*> listeners_;
  std::atomic<bool> up_{true};
  std::atomic<int> dials_{0};
  std::mutex mutex_;
  std::vector<std::weak_ptr<net::Stream>> dialed_;  // both ends
  std::function<void()> changed_;
};

}  // namespace simplon::tunnel::test
