#include "overlay/zrok/zrok_network.hpp"

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.hpp"
#include "overlay/ziti/ask_control.hpp"
#include "overlay/zrok/zrok_shares.hpp"

namespace simplon::overlay::zrok {
namespace {

using base::Errc;
using Handler = std::function<void(std::unique_ptr<Inbound>)>;

constexpr std::chrono::seconds kClaimTimeout{20};
// A share that is new reaches the network below within moments.
constexpr int kNewShareTries = 5;

bool passes(const base::Failure& failure) {
  return failure.code == Errc::link_lost || failure.code == Errc::timed_out;
}

/// One service that we host: its share, and the listener below. On the control loop.
struct Hosted : std::enable_shared_from_this<Hosted> {
  std::shared_ptr<Shares> shares;
  ziti::ZitiNetwork* below = nullptr;
  ListenOptions options;
  Handler handler;
  std::optional<Share> share;
  std::unique_ptr<Listener> listener;                         // of the network below
  LinkStatus own{.since = std::chrono::system_clock::now()};  // until there is one
  std::function<void()> changed;
  bool healthy = true;
  bool ended = false;

  bool over() const { return ended || shares->ended(); }
  void tell(LinkState state, std::string error) {
    if (own.state != state) {
      own.since = std::chrono::system_clock::now();
    }
    own.state = state;
    own.last_error = std::move(error);
    tell();
  }
  void tell() {
    if (const auto callback = changed; callback && !ended) {
      callback();
    }
  }
};
using HostedPtr = std::shared_ptr<Hosted>;

net::awaitable<std::expected<void, base::Failure>> claim(HostedPtr hosted) {
  ListenOptions wanted = hosted->options;
  auto claimed = co_await Shares::claim(hosted->shares, std::move(wanted),
                                        hosted->shares->loop().now() + kClaimTimeout);
  if (!claimed) {
    co_return std::unexpected(std::move(claimed.error()));
  }
  if (hosted->over()) {
    hosted->shares->let_go(claimed->token);
    co_return std::unexpected(base::Failure{.code = Errc::link_lost, .detail = "given up"});
  }
  hosted->share = *std::move(claimed);
  co_return std::expected<void, base::Failure>();
}

// Until the share is hosted, or cannot be.
net::awaitable<void> host(HostedPtr hosted) {
  net::Loop& loop = hosted->shares->loop();
  int failures = 0;
  int unknown = 0;
  while (!hosted->over()) {
    base::Failure failure;
    bool may_pass = true;
    if (!hosted->share) {
      auto claimed = co_await claim(hosted);
      if (!claimed) {
        failure = std::move(claimed.error());
        may_pass = passes(failure);
      }
    }
    if (hosted->share && !hosted->over()) {
      ListenOptions options = hosted->options;
      options.service = hosted->share->token;
      auto listening = co_await hosted->below->listen(std::move(options), hosted->handler);
      if (hosted->over()) {
        co_return;
      }
      if (listening) {
        hosted->listener = *std::move(listening);
        hosted->listener->set_health(hosted->healthy);
        hosted->listener->on_change([weak = std::weak_ptr(hosted)] {
          if (const auto still = weak.lock()) {
            still->tell();
          }
        });
        hosted->tell();
        co_return;
      }
      failure = std::move(listening.error());
      if (++unknown % kNewShareTries == 0) {
        // Maybe it was removed at the instance: then there will be another one.
        hosted->shares->let_go(std::exchange(hosted->share, std::nullopt)->token);
      }
    }
    if (hosted->over()) {
      co_return;
    }
    hosted->tell(LinkState::down, failure.detail);
    if (!may_pass) {
      base::log().warn("zrok: {} is not shared: {}", hosted->options.service, failure.detail);
      co_return;
    }
    co_await net::sleep_until(loop, loop.now() + hosted->shares->pause(++failures));
  }
}

class ZrokListener final : public Listener {
 public:
  explicit ZrokListener(HostedPtr hosted) : hosted_(std::move(hosted)) {}
  ~ZrokListener() override {
    hosted_->ended = true;
    hosted_->changed = nullptr;
    hosted_->listener.reset();
    if (hosted_->share) {
      hosted_->shares->let_go(hosted_->share->token);
    }
  }
  LinkStatus status() const override {
    return hosted_->listener ? hosted_->listener->status() : hosted_->own;
  }
  void on_change(std::function<void()> changed) override { hosted_->changed = std::move(changed); }
  void set_health(bool passing) override {
    hosted_->healthy = passing;
    if (hosted_->listener) {
      hosted_->listener->set_health(passing);
    }
  }
  std::vector<std::string> urls() const override {
    return hosted_->share ? hosted_->share->urls : std::vector<std::string>();
  }
  std::string known_as() const override {
    return hosted_->share && hosted_->share->token != hosted_->options.service
               ? hosted_->share->token
               : std::string();
  }

 private:
  HostedPtr hosted_;
};

/// What dials need of the network, which may end while they wait. Any thread.
class Reach {
 public:
  using Dial = net::awaitable<std::expected<Dialed, Refusal>>;

  Reach(net::Loop& control, std::weak_ptr<Shares> shares, ziti::ZitiNetwork& below)
      : control_(control), shares_(std::move(shares)), below_(&below) {}

  /// No dial begins any more at the network below.
  void end() {
    const std::scoped_lock lock(mutex_);
    below_ = nullptr;
  }
  const ziti::ControlLoop& control() const { return control_; }
  /// To be locked on the control loop only: the last owner is there.
  const std::weak_ptr<Shares>& shares() const { return shares_; }

  /// A dial of the network below, unless that has ended.
  std::optional<Dial> dial(net::Loop& loop, DialOptions options) {
    const std::scoped_lock lock(mutex_);
    return below_ == nullptr ? std::nullopt
                             : std::optional<Dial>(below_->dial(loop, std::move(options)));
  }

  /// Whether a share may be dialed without asking the instance first.
  bool open(const std::string& share) const {
    const std::scoped_lock lock(mutex_);
    return open_.contains(share);
  }
  void set_open(const std::string& share, bool open) {
    const std::scoped_lock lock(mutex_);
    if (open) {
      open_.insert(share);
    } else {
      open_.erase(share);
    }
  }

 private:
  const ziti::ControlLoop control_;
  const std::weak_ptr<Shares> shares_;
  mutable std::mutex mutex_;
  ziti::ZitiNetwork* below_;  // null: ended
  std::set<std::string> open_;
};
using ReachPtr = std::shared_ptr<Reach>;

net::awaitable<std::expected<bool, base::Failure>> grant(std::weak_ptr<Shares> weak,
                                                         std::string share, bool again,
                                                         net::TimePoint deadline) {
  const auto shares = weak.lock();
  if (shares == nullptr) {
    co_return std::unexpected(ziti::given_up());
  }
  if (again) {
    shares->forget(share);
  }
  co_return co_await Shares::grant(shares, std::move(share), deadline);
}

net::awaitable<std::expected<Dialed, Refusal>> dial_share(ReachPtr reach, net::Loop* loop,
                                                          DialOptions options) {
  const auto refuse = [](base::Failure failure) {
    return std::unexpected(Refusal{.failure = std::move(failure), .not_processed = true});
  };
  const std::string share = options.service;
  const auto deadline = options.deadline;
  for (bool again = false;; again = true) {
    if (!reach->open(share)) {
      ziti::ControlLoop::Question<bool> question = [weak = reach->shares(), share, deadline,
                                                    again] {
        return grant(weak, share, again, deadline);
      };
      const auto granted = co_await ziti::ControlLoop::ask<bool>(reach->control(), *loop,
                                                                 std::move(question), deadline);
      if (!granted) {
        co_return refuse(granted.error());
      }
      reach->set_open(share, true);
    }
    DialOptions attempt = options;
    auto dialing = reach->dial(*loop, std::move(attempt));
    if (!dialing) {
      co_return refuse(ziti::given_up());
    }
    auto dialed = co_await *std::move(dialing);
    const bool useless = !dialed && (dialed.error().failure.code == Errc::no_such_service ||
                                     dialed.error().failure.code == Errc::not_permitted);
    if (useless) {
      // The share may be a new one of the same name: then our access was to the old one.
      reach->set_open(share, false);
    }
    if (!useless || again) {
      co_return dialed;
    }
  }
}

net::awaitable<std::expected<std::unique_ptr<Listener>, base::Failure>> listen_to(
    HostedPtr hosted) {
  auto claimed = co_await claim(hosted);
  if (!claimed && !passes(claimed.error())) {
    co_return std::unexpected(std::move(claimed.error()));
  }
  if (!claimed) {
    hosted->tell(LinkState::down, claimed.error().detail);
  }
  net::spawn(hosted->shares->loop(), "zrok: host", host(hosted));
  co_return std::make_unique<ZrokListener>(hosted);
}

// The instance's answer to a check.
constexpr std::chrono::seconds kCheckLimit{10};

class Zrok final : public ZrokNetwork {
 public:
  Zrok(net::Loop& control, std::shared_ptr<Shares> shares, std::shared_ptr<Client> client,
       std::string environment, std::unique_ptr<ziti::ZitiNetwork> below)
      : loop_(control),
        environment_(std::move(environment)),
        shares_(std::move(shares)),
        client_(std::move(client)),
        below_(std::move(below)),
        reach_(std::make_shared<Reach>(control, shares_, *below_)) {
    shares_->start();
  }
  ~Zrok() override {
    reach_->end();
    shares_->end();
  }
  Zrok(const Zrok&) = delete;
  Zrok& operator=(const Zrok&) = delete;

  std::string_view kind() const override { return "zrok"; }
  std::string self() const override { return below_->self(); }
  LinkStatus status() const override { return below_->status(); }
  void on_change(std::function<void()> changed) override { below_->on_change(std::move(changed)); }
  bool allows_service(std::string_view name) const override {
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    });
  }
  ziti::ZitiDetails details() const override { return below_->details(); }
  void process_ends() override { shares_->keep(); }
  std::function<net::awaitable<void>(CheckReport)> checks() const override {
    return [loop = &loop_, client = client_, environment = environment_,
            below = below_->checks()](CheckReport report) {
      return check(loop, client, environment, below, std::move(report));
    };
  }

  // Neither needs this object once it has been called.
  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    return dial_share(reach_, &loop, std::move(options));
  }

  net::awaitable<std::expected<std::unique_ptr<Listener>, base::Failure>> listen(
      ListenOptions options, Handler handler) override {
    auto hosted = std::make_shared<Hosted>();
    hosted->shares = shares_;
    hosted->below = below_.get();
    hosted->options = std::move(options);
    hosted->handler = std::move(handler);
    return listen_to(std::move(hosted));
  }

 private:
  static net::awaitable<void> check(net::Loop* loop, std::shared_ptr<Client> client,
                                    std::string environment,
                                    std::function<net::awaitable<void>(CheckReport)> below,
                                    CheckReport report) {
    const net::TimePoint start = loop->now();
    const auto known = co_await client->shares(std::move(environment), start + kCheckLimit);
    if (!known) {
      report(broken("instance", known.error().words,
                    "is the instance running, and is the account's token still good?"));
      co_return;
    }
    const bool heard =
        report({.hop = "instance",
                .latency = loop->now() - start,
                .message = "knows this environment, with " + std::to_string(known->size()) +
                           (known->size() == 1 ? " share" : " shares"),
                .advice = {},
                .connection_id = {}});
    if (heard && below) {
      co_await below(std::move(report));
    }
  }

  net::Loop& loop_;
  const std::string environment_;
  const std::shared_ptr<Shares> shares_;
  const std::shared_ptr<Client> client_;  // of checks
  const std::unique_ptr<ziti::ZitiNetwork> below_;
  const ReachPtr reach_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ZrokNetwork>> make_zrok_network(
    net::Loop& control, Options options, std::unique_ptr<ziti::ZitiNetwork> below) {
  auto client = Client::make(control, options.membership.account, options.trust_roots);
  if (!client.ok()) {
    return client.status();
  }
  auto checks = (*client)->another();
  auto shares = std::make_shared<Shares>(control, options, *std::move(client));
  return std::make_unique<Zrok>(control, std::move(shares), std::move(checks),
                                options.membership.environment, std::move(below));
}

absl::StatusOr<std::unique_ptr<ZrokNetwork>> make_zrok_network(net::Loop& control,
                                                               Options options) {
  auto below = ziti::make_ziti_network(
      control,
      {.identity = options.membership.identity, .loops = options.loops, .budget = options.budget});
  if (!below.ok()) {
    return below.status();
  }
  return make_zrok_network(control, std::move(options), *std::move(below));
}

}  // namespace simplon::overlay::zrok
