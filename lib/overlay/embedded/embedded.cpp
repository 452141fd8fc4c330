#include "overlay/embedded/embedded.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/log.hpp"
#include "net/memory.hpp"
#include "overlay/embedded/control_link.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/peer_sessions.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Failure;
using base::Hop;
using link::v1::HubMessage;
using link::v1::MemberMessage;

/// Sessions that other members may hold or make with us at a time.
constexpr std::size_t kMaxInboundSessions = 1024;
constexpr std::size_t kMaxHosts = 256;

// A service of ours and whether the hub knows of it. Control loop.
struct Registration {
  ListenOptions options;
  LinkStatus status;
  std::function<void()> changed;
  bool withdrawn = false;

  void set(LinkState state, std::string error = {}) {
    if (withdrawn || (status.state == state && status.last_error == error)) {
      return;
    }
    if (status.state != state) {
      status.since = std::chrono::system_clock::now();
    }
    status.state = state;
    status.last_error = std::move(error);
    if (changed) {
      changed();
    }
  }
};
using RegistrationPtr = std::shared_ptr<Registration>;

// What outlives the Network object while coroutines and listeners still refer to it. Control loop,
// but for the Directory's calls, which come from any loop of the overlay.
class Core final : public Directory, public std::enable_shared_from_this<Core> {
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
        ControlLink::Handlers{.up = call(&Core::register_all),
                              .changed = call(&Core::link_changed),
                              .offer = [weak](const link::v1::Offer& offer) {
                                if (const auto self = weak.lock()) {
                                  self->offered(offer);
                                }
                              }});
    for (net::Loop* loop : loops) {
      add_loop(*loop);
    }
    add_loop(control_);
    hosting_loops_ = loops.size();
    link_->start();
  }

  void end() {
    link_->stop();
    for (const auto& [loop, peers] : peers_) {
      loop->post([peers] { peers->stop(); });
    }
  }

  net::Loop& control() { return control_; }
  const Member& member() const { return *member_; }
  const LinkStatus& status() const { return link_->status(); }
  void on_change(std::function<void()> changed) { changed_.push_back(std::move(changed)); }

  // Any loop of the overlay.
  PeerSessions* peers_of(const net::Loop& loop) const {
    const auto found =
        std::ranges::find_if(peers_, [&loop](const auto& entry) { return entry.first == &loop; });
    return found == peers_.end() ? nullptr : found->second.get();
  }

  // ---- services of ours
  net::awaitable<std::expected<RegistrationPtr, Failure>> add(ListenOptions options) {
    const auto self = shared_from_this();
    auto registration = std::make_shared<Registration>();
    registration->options = std::move(options);
    registration->status.since = std::chrono::system_clock::now();
    const std::string service = registration->options.service;
    registrations_[service] = registration;
    if (status().state == LinkState::up) {
      const auto refused = co_await announce(registration);
      if (refused) {
        registrations_.erase(service);
        co_return std::unexpected(*refused);
      }
    }
    co_return registration;
  }

  void withdraw(const RegistrationPtr& registration) {
    registration->withdrawn = true;
    const std::string& service = registration->options.service;
    member_->services->remove(service);
    if (const auto found = registrations_.find(service);
        found != registrations_.end() && found->second == registration) {
      registrations_.erase(found);
      MemberMessage message;
      message.mutable_withdraw()->set_service(service);
      link_->tell(std::move(message));
    }
  }

  // ---- Directory
  net::awaitable<std::expected<std::vector<Host>, Failure>> resolve(
      net::Loop& loop, std::string service, net::TimePoint deadline) override {
    MemberMessage message;
    message.mutable_resolve()->set_service(service);
    const auto answer = co_await ask_from(loop, std::move(message), deadline);
    if (!answer) {
      co_return std::unexpected(answer.error());
    }
    std::vector<Host> hosts;
    if (answer->message.has_resolved()) {
      const auto& resolved = answer->message.resolved();
      for (const auto& host : resolved.hosts()) {
        const bool owner =
            std::ranges::find(resolved.owners(), host.spki_sha256()) != resolved.owners().end();
        if (owner && host.instance() != member_->instance && hosts.size() < kMaxHosts) {
          hosts.push_back(
              {.member = host.member(), .instance = host.instance(), .spki = host.spki_sha256()});
        }
      }
    }
    if (hosts.empty()) {
      co_return std::unexpected(
          Failure{.hop = Hop::hub,
                  .code = Errc::not_hosted,
                  .detail = "no agent that owns \"" + service + "\" hosts it now"});
    }
    co_return hosts;
  }

  net::awaitable<std::expected<Meeting, Failure>> connect(net::Loop& loop, std::string instance,
                                                          net::TimePoint deadline) override {
    MemberMessage message;
    message.mutable_connect()->set_instance(instance);
    auto answer = co_await ask_from(loop, std::move(message), deadline);
    if (!answer) {
      co_return std::unexpected(answer.error());
    }
    if (!answer->message.has_ticket() || answer->message.ticket().ticket().size() != kTicketBytes) {
      co_return std::unexpected(Failure{.hop = Hop::hub,
                                        .code = Errc::protocol_error,
                                        .detail = "the hub's answer is no ticket"});
    }
    co_return Meeting{.hub = answer->hub, .ticket = answer->message.ticket().ticket()};
  }

 private:
  struct Told {
    HubMessage message;
    net::Endpoint hub;
  };
  using Answer = std::expected<Told, Failure>;
  struct Question {
    explicit Question(net::Loop& loop) : asked_from(loop.poster()), gate(loop) {}
    const net::Loop::Poster asked_from;
    net::Gate gate;  // of the asking loop
    Answer answer = std::unexpected(Failure{});
  };

  // On the control loop.
  static net::awaitable<void> ask_hub(std::shared_ptr<Core> self, MemberMessage message,
                                      net::TimePoint deadline, std::shared_ptr<Question> question) {
    Answer answer = std::unexpected(Failure{});
    const auto link = self->link_;
    if (co_await link->wait_up(deadline)) {
      auto told = co_await link->ask(std::move(message), deadline);
      if (told) {
        answer = Told{.message = std::move(*told), .hub = link->hub().value_or(net::Endpoint{})};
      } else {
        answer = std::unexpected(std::move(told.error()));
      }
    } else {
      const bool late = self->control_.now() >= deadline;
      answer = std::unexpected(Failure{.hop = Hop::hub,
                                       .code = late ? Errc::timed_out : Errc::link_lost,
                                       .detail = link->status().last_error.empty()
                                                     ? "no link to the hub yet"
                                                     : link->status().last_error});
    }
    // The question goes back to where it came from, and is destroyed there.
    const net::Loop::Poster back = question->asked_from;
    back.post([question = std::move(question), answer = std::move(answer)]() mutable {
      question->answer = std::move(answer);
      question->gate.open();
    });
  }

  net::awaitable<Answer> ask_from(net::Loop& loop, MemberMessage message, net::TimePoint deadline) {
    const auto self = shared_from_this();
    const auto question = std::make_shared<Question>(loop);
    control_.post([self, message = std::move(message), deadline, question]() mutable {
      net::spawn(self->control_, "question to the hub",
                 ask_hub(self, std::move(message), deadline, std::move(question)));
    });
    if (!co_await question->gate.wait_until(deadline)) {
      co_return std::unexpected(
          Failure{.hop = Hop::hub, .code = Errc::timed_out, .detail = "the hub did not answer"});
    }
    co_return std::move(question->answer);
  }

  void add_loop(net::Loop& loop) {
    if (peers_of(loop) == nullptr) {
      peers_.emplace_back(&loop, std::make_shared<PeerSessions>(loop, member_, shared_from_this()));
    }
  }

  // A refusal by the hub; a lost link is none.
  net::awaitable<std::optional<Failure>> announce(RegistrationPtr registration) {
    MemberMessage message;
    message.mutable_register_()->set_service(registration->options.service);
    message.mutable_register_()->set_public_(registration->options.allow_frontends);
    auto answer = co_await link_->ask(std::move(message), control_.now() + kAnswerDeadline);
    if (answer && answer->has_done()) {
      registration->set(LinkState::up);
      co_return std::nullopt;
    }
    const Failure failure =
        answer ? Failure{.hop = Hop::hub, .code = Errc::protocol_error, .detail = {}}
               : answer.error();
    const bool unreachable = failure.code == Errc::link_lost || failure.code == Errc::timed_out;
    registration->set(unreachable ? LinkState::connecting : LinkState::down, failure.message());
    co_return unreachable ? std::nullopt : std::optional(failure);
  }

  static net::awaitable<void> announce_again(std::shared_ptr<Core> self,
                                             RegistrationPtr registration) {
    (void)co_await self->announce(std::move(registration));
  }

  void register_all() {
    for (const auto& [service, registration] : registrations_) {
      net::spawn(control_, "registration", announce_again(shared_from_this(), registration));
    }
  }

  void link_changed() {
    if (status().state != LinkState::up) {
      for (const auto& [service, registration] : std::map(registrations_)) {
        registration->set(LinkState::connecting, status().last_error);
      }
    }
    for (const auto& changed : std::vector(changed_)) {
      changed();
    }
  }

  // Another member wants a session: on the loop with the fewest of that member's.
  void offered(const link::v1::Offer& offer) {
    if (offer.ticket().size() != kTicketBytes || offer.spki_sha256().size() != 32 ||
        inbound_ >= kMaxInboundSessions || !link_->hub()) {
      return;
    }
    auto& counts = inbound_by_peer_[offer.spki_sha256()];
    counts.resize(hosting_loops_);
    const auto least = std::ranges::min_element(counts);
    const auto index = static_cast<std::size_t>(least - counts.begin());
    ++*least;
    ++inbound_;
    const auto& [loop, peers] = peers_[index];
    const std::weak_ptr<Core> weak = weak_from_this();
    auto done = [weak, control = control_.poster(), spki = offer.spki_sha256(), index] {
      control.post([weak, spki, index] {
        if (const auto self = weak.lock()) {
          self->inbound_ended(spki, index);
        }
      });
    };
    loop->post([peers, meeting = Meeting{.hub = *link_->hub(), .ticket = offer.ticket()},
                spki = offer.spki_sha256(), done = std::move(done)]() mutable {
      peers->meet_dialer(std::move(meeting), std::move(spki), std::move(done));
    });
  }

  void inbound_ended(const std::string& spki, std::size_t index) {
    --inbound_;
    const auto found = inbound_by_peer_.find(spki);
    --found->second[index];
    if (std::ranges::all_of(found->second, [](std::size_t count) { return count == 0; })) {
      inbound_by_peer_.erase(found);
    }
  }

  net::Loop& control_;
  const std::shared_ptr<const Member> member_;
  std::shared_ptr<ControlLink> link_;
  std::vector<std::function<void()>> changed_;
  std::map<std::string, RegistrationPtr> registrations_;
  // Fixed once begun. The first hosting_loops_ of them take inbound sessions.
  std::vector<std::pair<net::Loop*, std::shared_ptr<PeerSessions>>> peers_;
  std::size_t hosting_loops_ = 0;
  std::map<std::string, std::vector<std::size_t>> inbound_by_peer_;
  std::size_t inbound_ = 0;
};

class EmbeddedListener final : public Listener {
 public:
  EmbeddedListener(std::shared_ptr<Core> core, RegistrationPtr registration)
      : core_(std::move(core)), registration_(std::move(registration)) {}
  ~EmbeddedListener() override { core_->withdraw(registration_); }
  LinkStatus status() const override { return registration_->status; }
  void on_change(std::function<void()> changed) override {
    registration_->changed = std::move(changed);
  }

 private:
  const std::shared_ptr<Core> core_;
  const RegistrationPtr registration_;
};

class EmbeddedNetwork final : public Network {
 public:
  explicit EmbeddedNetwork(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  ~EmbeddedNetwork() override { core_->end(); }

  std::string_view kind() const override { return "embedded"; }
  std::string self() const override { return core_->member().self.peer.name; }
  LinkStatus status() const override { return core_->status(); }
  void on_change(std::function<void()> changed) override { core_->on_change(std::move(changed)); }

  net::awaitable<std::expected<Dialed, Refusal>> dial(net::Loop& loop,
                                                      DialOptions options) override {
    return dial_from(core_, loop, std::move(options));
  }

  net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen(
      ListenOptions options, Services::Handler handler) override {
    return listen_at(core_, std::move(options), std::move(handler));
  }

 private:
  static net::awaitable<std::expected<Dialed, Refusal>> dial_from(std::shared_ptr<Core> core,
                                                                  net::Loop& loop,
                                                                  DialOptions options) {
    const auto refuse = [](Errc code, std::string detail) {
      return std::unexpected(
          Refusal{.failure = {.hop = Hop::overlay, .code = code, .detail = std::move(detail)}});
    };
    if (!valid_service_name(options.service)) {
      co_return refuse(Errc::no_such_service, "\"" + options.service + "\" is not a DNS label");
    }
    if (loop.now() >= options.deadline) {
      co_return refuse(Errc::timed_out, "the deadline passed before the dial");
    }
    if (core->member().services->find(options.service)) {
      co_return dial_local(*core, loop, options);
    }
    PeerSessions* const peers = core->peers_of(loop);
    if (peers == nullptr) {
      co_return refuse(Errc::internal, "dialed from a loop that is not the overlay's");
    }
    co_return co_await peers->dial(std::move(options));
  }

  // Both ends are here: the same open and the same checks over a pair in memory.
  static std::expected<Dialed, Refusal> dial_local(Core& core, net::Loop& loop,
                                                   const DialOptions& options) {
    auto [near, far] = net::make_memory_pair(loop);
    auto opened = start_open(std::move(near), {.service = options.service,
                                               .kind = options.kind,
                                               .connection_id = options.connection_id,
                                               .on_behalf_of = options.on_behalf_of,
                                               .frontend = options.frontend});
    if (!opened) {
      far->reset();
      return std::unexpected(Refusal{.failure = {.hop = Hop::overlay,
                                                 .code = opened.error(),
                                                 .detail = "the open could not be sent"}});
    }
    net::spawn(loop, "open", receive(core.member().services, std::move(far), core.member().self));
    return Dialed{
        .stream = std::move(opened->stream), .status = std::move(opened->status), .path = "local"};
  }

  static net::awaitable<std::expected<std::unique_ptr<Listener>, Failure>> listen_at(
      std::shared_ptr<Core> core, ListenOptions options, Services::Handler handler) {
    const std::string service = options.service;
    const auto refuse = [&service](Errc code, const std::string& what) {
      return std::unexpected(
          Failure{.hop = Hop::share, .code = code, .detail = "\"" + service + "\" " + what});
    };
    if (!valid_service_name(service)) {
      co_return refuse(Errc::invalid_argument, "is not a DNS label");
    }
    if (!core->member().services->add(
            service, {.allow_frontends = options.allow_frontends, .handler = std::move(handler)})) {
      co_return refuse(Errc::already_exists, "is hosted by this agent already");
    }
    auto registration = co_await core->add(std::move(options));
    if (!registration) {
      core->member().services->remove(service);
      co_return std::unexpected(std::move(registration.error()));
    }
    std::unique_ptr<Listener> listener =
        std::make_unique<EmbeddedListener>(std::move(core), std::move(*registration));
    co_return listener;
  }

  const std::shared_ptr<Core> core_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> make_embedded_network(net::Loop& control,
                                                               EmbeddedOptions options) {
  if (options.identity.addresses.empty()) {
    return absl::InvalidArgumentError("identity \"" + options.identity.name +
                                      "\": it names no address of a hub");
  }
  auto member = make_member(std::move(options.identity), std::move(options.budget));
  if (!member.ok()) {
    return member.status();
  }
  auto core = std::make_shared<Core>(control, *std::move(member));
  core->begin(options.loops);
  return std::make_unique<EmbeddedNetwork>(std::move(core));
}

}  // namespace simplon::overlay
