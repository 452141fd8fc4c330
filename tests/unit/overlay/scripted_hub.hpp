// A hub for tests of members: keeps to the protocol, until a test tells it to lie, to keep silent
// or to go away. Owned by a test, on its loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/splice.hpp"
#include "net/tcp.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/member.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/relayed.hpp"
#include "overlay/embedded/session.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "simplon/link/v1/link.pb.h"
#include "unit/net/harness.hpp"

namespace simplon::overlay::test {

using base::Errc;
namespace wire = simplon::link::v1;

/// The root of a network, and identities that it issues.
class TestNetwork {
 public:
  TestNetwork() : authority_(*make_authority()) {}

  IdentityFile identity(const std::string& name, std::vector<std::string> addresses,
                        Grant grant = {}) const {
    const std::string key = *make_private_key();
    const auto now = std::chrono::system_clock::now();
    grant.name = name;
    grant.not_before = now - std::chrono::hours(1);
    if (grant.not_after == std::chrono::system_clock::time_point()) {
      grant.not_after = now + std::chrono::hours(24 * 365);
    }
    return {.name = name,
            .certificate = *sign_request(authority_, *make_request(key, name), grant),
            .private_key = key,
            .trust_bundle = authority_.certificate,
            .addresses = std::move(addresses)};
  }

 private:
  const Authority authority_;
};

class ScriptedHub {
 public:
  ScriptedHub(net::Loop& loop, const TestNetwork& network, std::uint16_t port = 0)
      : ScriptedHub(loop, network.identity("hub", {"hub.invalid:1"}, {.hub = true}), port) {}
  ScriptedHub(net::Loop& loop, const IdentityFile& identity, std::uint16_t port = 0)
      : state_(std::make_shared<State>(loop)) {
    state_->context = (*make_member(identity, nullptr))->server;
    acceptor_ = std::move(*net::listen_tcp(loop, {.host = "127.0.0.1", .port = port}));
    acceptor_->start([state = state_](net::Accepted accepted) {
      net::spawn(state->loop, "hub: connection", serve(state, std::move(accepted.socket)));
    });
  }
  ~ScriptedHub() {
    acceptor_.reset();
    for (const auto& relayed : state_->relayed) {
      relayed->reset();
    }
    end_sessions(false);
  }
  ScriptedHub(const ScriptedHub&) = delete;
  ScriptedHub& operator=(const ScriptedHub&) = delete;

  net::Endpoint endpoint() const { return acceptor_->endpoint(); }
  std::string address() const { return net::to_string(endpoint()); }

  /// Sees every message first; true: it was answered, or is not to be.
  using Script = std::function<bool(const wire::MemberMessage&, wire::HubMessage& answer)>;
  void script(Script script) { state_->script = std::move(script); }
  void take_no_relays() { state_->relays = false; }
  /// The name belongs to another key from now on, or to nobody.
  void give(const std::string& service, std::string key) {
    state_->claims[service] = std::move(key);
  }
  void release(const std::string& service) { state_->claims.erase(service); }
  /// Says that every host has this key.
  void pretend(std::string key) { state_->pretended = std::move(key); }
  /// An event for every member that is connected.
  void send_all(const wire::HubMessage& message) {
    for (const auto& [instance, member] : state_->members) {
      EXPECT_TRUE(member->writer.write(message));
    }
  }
  std::size_t members() const { return state_->members.size(); }
  std::size_t tickets() const { return state_->tickets; }
  int connections() const { return state_->connections; }
  bool registered(const std::string& service) const { return state_->hosts.contains(service); }

  /// In order, or as if the hub had vanished. It goes on accepting, and relaying.
  void end_sessions(bool in_order) {
    for (const auto& session : std::exchange(state_->sessions, {})) {
      in_order ? session->close() : session->reset();
    }
  }

 private:
  struct Member {
    explicit Member(const net::StreamPtr& stream) : writer(stream) {}
    ControlWriter writer;
    net::Peer peer;
    std::string instance;
  };
  using MemberPtr = std::shared_ptr<Member>;
  struct State {
    explicit State(net::Loop& on) : loop(on) {}
    net::Loop& loop;
    std::shared_ptr<const net::TlsContext> context;
    Script script;
    bool relays = true;
    std::string pretended;
    int connections = 0;
    std::vector<SessionPtr> sessions;
    std::map<std::string, MemberPtr> members;             // by instance
    std::map<std::string, std::string> claims;            // service → owner's key
    std::map<std::string, std::vector<MemberPtr>> hosts;  // service → online
    std::map<std::string, net::StreamPtr> waiting;        // ticket → first end
    std::vector<net::StreamPtr> relayed;
    std::size_t tickets = 0;
  };
  using StatePtr = std::shared_ptr<State>;

  static net::awaitable<void> serve(StatePtr state, net::Fd socket) {
    const int raw = socket.get();
    ++state->connections;
    auto stream = net::make_socket_stream(state->loop, std::move(socket));
    if (co_await net::wait(*stream, net::Event::readable)) {
      co_return;
    }
    char first = 0;
    if (::recv(raw, &first, 1, MSG_PEEK) != 1) {
      co_return;
    }
    if (first == kRelayGreeting.front()) {
      co_await relay(std::move(state), std::move(stream));
      co_return;
    }
    auto tls = co_await net::tls_accept(std::move(stream), state->context,
                                        state->loop.now() + std::chrono::seconds(10));
    if (!tls) {
      co_return;
    }
    const net::Peer peer = *(*tls)->peer();
    const auto session = Session::start(std::move(*tls), SessionRole::server, {},
                                        {.inbound =
                                             [state, peer](net::StreamPtr opened) {
                                               net::spawn(state->loop, "hub: control",
                                                          control(state, std::move(opened), peer));
                                             },
                                         .ended = {}});
    state->sessions.push_back(session);
  }

  static net::awaitable<void> relay(StatePtr state, net::StreamPtr stream) {
    std::string greeting(kRelayGreeting.size() + kTicketBytes, '\0');
    const auto got =
        co_await net::read_exactly(*stream, std::as_writable_bytes(std::span(greeting)));
    if (!got || !greeting.starts_with(kRelayGreeting) || !state->relays) {
      stream->reset();
      co_return;
    }
    const std::string ticket = greeting.substr(kRelayGreeting.size());
    const auto other = state->waiting.find(ticket);
    if (other == state->waiting.end()) {
      state->waiting.emplace(ticket, std::move(stream));
      co_return;
    }
    const net::StreamPtr first = std::move(other->second);
    state->waiting.erase(other);
    state->relayed.push_back(first);
    net::start_splice(first, std::move(stream), {}, [](net::SpliceResult) {});
  }

  static net::awaitable<void> control(StatePtr state, net::StreamPtr stream, net::Peer peer) {
    auto request = co_await read_open(stream, net::TimePoint::max());
    if (!request || request->service != "hub" || request->kind != StreamKind::control) {
      stream->reset();
      co_return;
    }
    const auto inbound = make_inbound(stream, std::move(*request), {.peer = peer});
    inbound->accept();
    const auto member = std::make_shared<Member>(stream);
    member->peer = std::move(peer);
    for (;;) {
      wire::MemberMessage message;
      const auto got = co_await read_message(stream, &message);
      if (!got || !*got) {
        break;
      }
      wire::HubMessage answer;
      if (!state->script || !state->script(message, answer)) {
        handle(*state, member, message, answer);
      }
      if (answer.body_case() != wire::HubMessage::BODY_NOT_SET) {
        answer.set_id(message.id());
        (void)member->writer.write(answer);
      }
    }
    state->members.erase(member->instance);
    for (auto& [service, hosts] : state->hosts) {
      std::erase(hosts, member);
    }
    std::erase_if(state->hosts, [](const auto& entry) { return entry.second.empty(); });
  }

  static void fail(wire::HubMessage& answer, Errc code, const std::string& detail) {
    answer.mutable_failed()->set_code(to_wire(make_error_code(code)));
    answer.mutable_failed()->set_detail(detail);
  }

  static void handle(State& state, const MemberPtr& member, const wire::MemberMessage& message,
                     wire::HubMessage& answer) {
    const auto done = [&answer] { answer.mutable_done(); };
    switch (message.body_case()) {
      case wire::MemberMessage::kHello:
        member->instance = message.hello().instance();
        state.members[member->instance] = member;
        return done();
      case wire::MemberMessage::kRegister: {
        const std::string& service = message.register_().service();
        const auto claim = state.claims.emplace(service, member->peer.spki_sha256).first;
        if (claim->second != member->peer.spki_sha256) {
          return fail(answer, Errc::not_permitted, "\"" + service + "\" belongs to another");
        }
        state.hosts[service].push_back(member);
        return done();
      }
      case wire::MemberMessage::kWithdraw: {
        const std::string& service = message.withdraw().service();
        std::erase(state.hosts[service], member);
        if (state.hosts[service].empty()) {
          state.hosts.erase(service);
        }
        return done();
      }
      case wire::MemberMessage::kResolve:
        return resolve(state, message.resolve().service(), answer);
      case wire::MemberMessage::kConnect: {
        const auto to = state.members.find(message.connect().instance());
        if (to == state.members.end()) {
          return fail(answer, Errc::not_hosted, "that agent is not connected");
        }
        std::string ticket = std::to_string(state.tickets++);
        ticket.resize(kTicketBytes, '.');
        wire::HubMessage event;
        event.mutable_offer()->set_ticket(ticket);
        event.mutable_offer()->set_member(member->peer.name);
        event.mutable_offer()->set_spki_sha256(member->peer.spki_sha256);
        (void)to->second->writer.write(event);
        answer.mutable_ticket()->set_ticket(ticket);
        return;
      }
      default:
        return fail(answer, Errc::protocol_error, "what is this");
    }
  }

  static void resolve(State& state, const std::string& service, wire::HubMessage& answer) {
    const auto claim = state.claims.find(service);
    if (claim == state.claims.end()) {
      return fail(answer, Errc::no_such_service, "nobody ever shared \"" + service + "\"");
    }
    const auto hosts = state.hosts.find(service);
    if (hosts == state.hosts.end()) {
      return fail(answer, Errc::not_hosted, "nobody hosts \"" + service + "\" now");
    }
    for (const auto& host : hosts->second) {
      auto* const entry = answer.mutable_resolved()->add_hosts();
      entry->set_member(host->peer.name);
      entry->set_instance(host->instance);
      entry->set_spki_sha256(state.pretended.empty() ? host->peer.spki_sha256 : state.pretended);
    }
    answer.mutable_resolved()->add_owners(claim->second);
  }

  const StatePtr state_;
  std::unique_ptr<net::Acceptor> acceptor_;
};

}  // namespace simplon::overlay::test
