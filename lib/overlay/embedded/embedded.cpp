#include "overlay/embedded/embedded.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/printable.hpp"
#include "overlay/embedded/lookup.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/peer_sessions.hpp"
#include "overlay/embedded/registration.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;

// Sessions that other members hold or make with us at a time: all of them, and one key's.
constexpr std::size_t kMaxInboundSessions = 4096;
constexpr std::size_t kMaxInboundOfPeer = 128;

// What dials need. Immutable; any loop.
struct Reach {
  std::shared_ptr<const Member> member;
  std::vector<std::pair<net::Loop*, std::shared_ptr<PeerSessions>>> peers;

  std::shared_ptr<PeerSessions> peers_of(const net::Loop& loop) const {
    const auto found =
        std::ranges::find_if(peers, [&loop](const auto& entry) { return entry.first == &loop; });
    return found == peers.end() ? nullptr : found->second;
  }
};

// What the network is on the control loop. Listeners and callbacks may outlive the Network object.
class Core final : public std::enable_shared_from_this<Core> {
 public:
  Core(net::Loop& control, std::shared_ptr<const Member> member)
      : control_(control), member_(std::move(member)) {}

  void begin(const std::vector<net::Loop*>& loops) {
    const std::weak_ptr<Core> weak = weak_from_this();
    const auto call = [weak](void (Core::*what)()) {
      return [weak, what] {
        if (const auto self = weak.lock()) {
          (self.get()->*what)();
        }
      };
    };
    link_ = std::make_shared<ControlLink>(
        control_, member_,
        ControlLink::Handlers{.up = call(&Core::link_up),
                              .changed = call(&Core::link_changed),
                              .offer = [weak](const link::v1::Offer& offer) {
                                if (const auto self = weak.lock()) {
                                  self->offered(offer);
                                }
                              }});
    const auto lookup = std::make_shared<const Lookup>(control_, link_, member_);
    auto reach = std::make_shared<Reach>();
    reach->member = member_;
    for (net::Loop* loop : loops) {
      reach->peers.emplace_back(loop, std::make_shared<PeerSessions>(*loop, member_, lookup));
    }
    inbound_by_loop_.resize(loops.size());
    // Status probes dial from here.
    if (reach->peers_of(control_) == nullptr) {
      reach->peers.emplace_back(&control_,
                                std::make_shared<PeerSessions>(control_, member_, lookup));
    }
    reach_ = std::move(reach);
    link_->start();
  }

  void end() {
    ended_ = true;
    changed_.clear();
    for (const auto& [service, registration] : std::exchange(registrations_, {})) {
      registration->withdraw();
    }
    link_->stop();
    for (const auto& [loop, peers] : reach_->peers) {
      loop->post([peers] { peers->stop(); });
    }
  }

  const LinkStatus& status() const { return link_->status(); }
  const std::shared_ptr<const Reach>& reach() const { return reach_; }
  void on_change(std::function<void()> changed) { changed_.push_back(std::move(changed)); }

  static net::awaitable<std::expected<std::shared_ptr<Registration>, Failure>> add(
      std::shared_ptr<Core> self, ListenOptions options, Services::Handler handler) {
    const std::string service = options.service;
    const auto refuse = [&service](Errc code, const std::string& what) {
      return std::unexpected(
          Failure{.hop = Hop::share, .code = code, .detail = "\"" + service + "\" " + what});
    };
    if (!valid_service_name(service)) {
      co_return refuse(Errc::invalid_argument, "is not a DNS label");
    }
    if (self->ended_) {
      co_return refuse(Errc::link_lost, "cannot be hosted: the overlay was given up");
    }
    auto registration = std::make_shared<Registration>(
        self->control_, self->link_, self->member_->services, service,
        Services::Service{.allow_frontends = options.allow_frontends,
                          .handler = std::move(handler)});
    if (self->registrations_.contains(service) || !registration->offer()) {
      co_return refuse(Errc::already_exists, "is hosted by this agent already");
    }
    self->registrations_.emplace(service, registration);
    if (self->status().state == LinkState::up) {
      const auto failure = co_await Registration::announce(registration);
      if (failure) {
        self->withdraw(*registration);
        co_return std::unexpected(*failure);
      }
    }
    co_return registration;
  }

  void withdraw(Registration& registration) {
    registration.withdraw();
    const auto found = registrations_.find(registration.name());
    if (found != registrations_.end() && found->second.get() == &registration) {
      registrations_.erase(found);
    }
  }

 private:
  void link_up() {
    for (const auto& [service, registration] : std::map(registrations_)) {
      registration->link_up();
    }
  }

  void link_changed() {
    if (status().state != LinkState::up) {
      for (const auto& [service, registration] : std::map(registrations_)) {
        registration->link_down(status().last_error);
      }
    }
    for (const auto& changed : std::vector(changed_)) {
      changed();
    }
  }

  // Another member wants a session: on the loop with the fewest of that member's, of these the one
  // with the fewest of all.
  void offered(const link::v1::Offer& offer) {
    const std::string& spki = offer.spki_sha256();
    if (offer.ticket().size() != kTicketBytes || spki.size() != kSpkiBytes || !link_->hub() ||
        inbound_ >= kMaxInboundSessions) {
      return;
    }
    auto& counts = inbound_by_peer_[spki];
    counts.resize(inbound_by_loop_.size());
    std::size_t index = 0;
    std::size_t of_peer = counts[0];
    for (std::size_t i = 1; i < counts.size(); ++i) {
      of_peer += counts[i];
      if (std::pair(counts[i], inbound_by_loop_[i]) <
          std::pair(counts[index], inbound_by_loop_[index])) {
        index = i;
      }
    }
    if (of_peer >= kMaxInboundOfPeer) {
      return;
    }
    ++counts[index];
    ++inbound_by_loop_[index];
    ++inbound_;
    const auto& [loop, sessions] = reach_->peers[index];
    std::shared_ptr<void> done(
        nullptr, [weak = weak_from_this(), control = control_.poster(), spki, index](void*) {
          control.post([weak, spki, index] {
            if (const auto self = weak.lock()) {
              self->inbound_ended(spki, index);
            }
          });
        });
    loop->post([peers = sessions, meeting = Meeting{.hub = *link_->hub(), .ticket = offer.ticket()},
                key = std::string(spki), done = std::move(done)]() mutable {
      peers->meet_dialer(std::move(meeting), std::move(key), std::move(done));
    });
  }

  void inbound_ended(const std::string& spki, std::size_t index) {
    --inbound_;
    --inbound_by_loop_[index];
    const auto found = inbound_by_peer_.find(spki);
    --found->second[index];
    if (std::ranges::all_of(found->second, [](std::size_t count) { return count == 0; })) {
      inbound_by_peer_.erase(found);
    }
  }

  net::Loop& control_;
  const std::shared_ptr<const Member> member_;
  std::shared_ptr<ControlLink> link_;
  std::shared_ptr<const Reach> reach_;  // the loops that take inbound sessions come first
  std::vector<std::function<void()>> changed_;
  std::map<std::string, std::shared_ptr<Registration>> registrations_;
  std::map<std::string, std::vector<std::size_t>> inbound_by_peer_;  // by its key, for each loop
  std::vector<std::size_t> inbound_by_loop_;
  std::size_t inbound_ = 0;
  bool ended_ = false;
};

class EmbeddedListener final : public Listener {
 public:
  EmbeddedListener(std::shared_ptr<Core> core, std::shared_ptr<Registration> registration)
      : core_(std::move(core)), registration_(std::move(registration)) {}
  ~EmbeddedListener() override { core_->withdraw(*registration_); }
  EmbeddedListener(const EmbeddedListener&) = delete;
  EmbeddedListener& operator=(const EmbeddedListener&) = delete;

  LinkStatus status() const override { return registration_->status(); }
  void on_change(std::function<void()> changed) override {
    registration_->on_change(std::move(changed));
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Registration> registration_;
};

net::awaitable<std::expected<Dialed, Refusal>> dial_from(std::shared_ptr<const Reach> reach,
                                                         net::Loop& loop, DialOptions options) {
  const auto refuse = [](Errc code, std::string detail) {
    return std::unexpected(
        Refusal{.failure = {.hop = Hop::overlay, .code = code, .detail = std::move(detail)}});
  };
  if (!valid_service_name(options.service)) {
    co_return refuse(Errc::no_such_service,
                     "\"" + base::printable(options.service) + "\" is not a DNS label");
  }
  if (loop.now() >= options.deadline) {
    co_return refuse(Errc::timed_out, "the deadline passed before the dial");
  }
  if (reach->member->services->find(options.service)) {
    co_return open_local(reach->member->services, loop, options, reach->member->self);
  }
  const auto peers = reach->peers_of(loop);
  if (peers == nullptr) {
    co_return refuse(Errc::link_lost, "dialed from a loop that is not the overlay's");
  }
  co_return co_await PeerSessions::dial(peers, std::move(options));
}

net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen_at(
    std::shared_ptr<Core> core, ListenOptions options, Services::Handler handler) {
  auto registration = co_await Core::add(core, std::move(options), std::move(handler));
  if (!registration) {
    co_return std::unexpected(std::move(registration.error()));
  }
  std::unique_ptr<Listener> listener =
      std::make_unique<EmbeddedListener>(std::move(core), std::move(*registration));
  co_return listener;
}

class EmbeddedNetwork final : public Network {
 public:
  EmbeddedNetwork(std::shared_ptr<Core> core, std::string self)
      : core_(std::move(core)), self_(std::move(self)), reach_(core_->reach()) {}
  ~EmbeddedNetwork() override { core_->end(); }
  EmbeddedNetwork(const EmbeddedNetwork&) = delete;
  EmbeddedNetwork& operator=(const EmbeddedNetwork&) = delete;

  std::string_view kind() const override { return "embedded"; }
  std::string self() const override { return self_; }
  LinkStatus status() const override { return core_->status(); }
  void on_change(std::function<void()> changed) override { core_->on_change(std::move(changed)); }

  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    return dial_from(reach_, loop, std::move(options));
  }
  net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen(
      ListenOptions options, Services::Handler handler) override {
    return listen_at(core_, std::move(options), std::move(handler));
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::string self_;
  const std::shared_ptr<const Reach> reach_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> make_embedded_network(net::Loop& control,
                                                               EmbeddedOptions options) {
  if (options.identity.addresses.empty()) {
    return absl::InvalidArgumentError("identity \"" + options.identity.name +
                                      "\": it names no address of a hub");
  }
  if (options.loops.empty()) {
    return absl::InvalidArgumentError("no loops to put sessions on");
  }
  auto member = make_member(std::move(options.identity), std::move(options.budget));
  if (!member.ok()) {
    return member.status();
  }
  std::string self = (*member)->self.peer.name;
  auto core = std::make_shared<Core>(control, *std::move(member));
  core->begin(options.loops);
  return std::make_unique<EmbeddedNetwork>(std::move(core), std::move(self));
}

}  // namespace simplon::overlay
