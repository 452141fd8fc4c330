// A hub on a port of its own and members that talk to it, on the test's thread.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <simplon/link/v1/link.pb.h>
#include <sodium.h>

#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/hub.hpp"
#include "overlay/embedded/open.hpp"
#include "overlay/embedded/session.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "support/temporary_folder.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::test {

using base::Errc;
using link::v1::HubMessage;
using link::v1::MemberMessage;
using std::chrono::seconds;

inline std::shared_ptr<const net::TlsContext> client_context(const IdentityFile& identity) {
  return net::TlsContext::make({.role = net::TlsRole::client,
                                .certificate_chain = identity.certificate,
                                .private_key = identity.private_key,
                                .trust_roots = identity.trust_bundle,
                                .protocols = {{.name = "simplon/1"}},
                                .protocol_required = true,
                                .tls13_only = true})
      .value();
}

/// A member's control channel, driven by hand.
class Member {
 public:
  Member(net::Loop& loop, net::StreamPtr transport)
      : loop_(loop),
        session_(Session::start(std::move(transport), SessionRole::client, {},
                                {.ended = [this](std::error_code) { ended = true; }})) {}
  ~Member() {
    session_->reset();
    net::test::run_until(loop_, [&] { return ended; });
  }

  /// Opens the control channel, or a stream of another kind.
  std::shared_ptr<OpenStatus> open(const std::string& service = "hub",
                                   StreamKind kind = StreamKind::control) {
    auto opened = start_open(session_->open_stream().value(), {.service = service, .kind = kind});
    control_ = opened->stream;
    writer_ = std::make_unique<ControlWriter>(control_);
    *reading_ = true;
    net::spawn(loop_, "member", read(control_, inbox_, reading_));
    return opened->status;
  }

  void send(MemberMessage message) {
    message.set_id(++last_);
    (void)writer_->write(message);
  }
  /// The answer to a message; an empty one if the session ended instead.
  HubMessage call(const MemberMessage& message) {
    send(message);
    return answer(last_);
  }
  HubMessage answer(std::uint64_t id) {
    HubMessage out;
    net::test::run_until(loop_, [&] { return take(id, &out) || !*reading_; });
    return out;
  }
  HubMessage event() { return answer(0); }

  HubMessage hello(const std::string& instance) {
    MemberMessage message;
    message.mutable_hello()->set_instance(instance);
    message.mutable_hello()->set_version("test");
    return call(message);
  }
  HubMessage host(const std::string& service) {
    MemberMessage message;
    message.mutable_register_()->set_service(service);
    return call(message);
  }
  HubMessage withdraw(const std::string& service) {
    MemberMessage message;
    message.mutable_withdraw()->set_service(service);
    return call(message);
  }
  HubMessage resolve(const std::string& service) {
    MemberMessage message;
    message.mutable_resolve()->set_service(service);
    return call(message);
  }
  HubMessage connect(const std::string& instance) {
    MemberMessage message;
    message.mutable_connect()->set_instance(instance);
    return call(message);
  }

  Session& session() { return *session_; }
  net::Stream& control() { return *control_; }
  bool ended = false;

 private:
  static net::awaitable<void> read(net::StreamPtr stream,
                                   std::shared_ptr<std::vector<HubMessage>> into,
                                   std::shared_ptr<bool> reading) {
    HubMessage message;
    for (auto got = co_await read_message(stream, &message); got && *got;
         got = co_await read_message(stream, &message)) {
      into->push_back(message);
    }
    *reading = false;
  }
  bool take(std::uint64_t id, HubMessage* out) {
    for (auto at = inbox_->begin(); at != inbox_->end(); ++at) {
      if (at->id() == id) {
        *out = *at;
        inbox_->erase(at);
        return true;
      }
    }
    return false;
  }

  net::Loop& loop_;
  SessionPtr session_;
  net::StreamPtr control_;
  std::unique_ptr<ControlWriter> writer_;
  std::shared_ptr<std::vector<HubMessage>> inbox_ = std::make_shared<std::vector<HubMessage>>();
  std::shared_ptr<bool> reading_ = std::make_shared<bool>(false);
  std::uint64_t last_ = 0;
};

class HubFixture : public testing::Test {
 protected:
  HubFixture() {
    EXPECT_GE(sodium_init(), 0);
    start();
  }

  void start(std::vector<net::Loop*> loops = {}) {
    if (loops.empty()) {
      loops = {&loop};
    }
    hub.reset();
    auto opened =
        Hub::open(loop, {.database = folder / "state.db", .name = "hub-agent", .loops = loops});
    ASSERT_TRUE(opened.ok()) << opened.status();
    hub = *std::move(opened);
    const auto listening = hub->listen({.host = "127.0.0.1", .port = 0});
    ASSERT_TRUE(listening.ok()) << listening;
  }

  net::TimePoint soon() { return loop.now() + seconds(10); }

  absl::StatusOr<IdentityFile> enrolled(Token token) {
    return net::test::run(loop, enroll(loop, std::move(token), soon()));
  }

  /// A member made without enrollment.
  IdentityFile identity(const std::string& name, bool frontend = false) {
    const auto own = make_identity_request(name).value();
    const auto issued = hub->sign(name, own.request, frontend).value();
    return {.name = name,
            .certificate = issued.certificate,
            .private_key = own.private_key,
            .trust_bundle = issued.trust_bundle,
            .addresses = issued.addresses};
  }

  net::StreamPtr dial() {
    return net::test::run(loop, net::connect_tcp(loop, "127.0.0.1", hub->bound().port, soon()))
        .value();
  }
  net::Result<net::TlsStreamPtr> handshake(const IdentityFile& with) {
    return net::test::run(loop, net::tls_connect(dial(), client_context(with), "", soon()));
  }
  std::unique_ptr<Member> join(const IdentityFile& with) {
    return std::make_unique<Member>(loop, handshake(with).value());
  }
  /// With its control channel and Hello.
  std::unique_ptr<Member> online(const IdentityFile& with, const std::string& instance) {
    auto member = join(with);
    member->open();
    EXPECT_TRUE(member->hello(instance).has_done());
    return member;
  }
  bool ends(Member& member) {
    return net::test::run_until(loop, [&] { return member.ended; });
  }
  /// What the other end does with a stream: its end, or the error.
  net::Result<std::string> rest_of(net::StreamPtr stream) {
    return net::test::run(loop, net::test::read_to_end(std::move(stream)));
  }

  static std::string instance(char of) { return std::string(16, of); }
  static std::uint32_t code(const HubMessage& message) { return message.failed().code(); }

  simplon::test::TemporaryFolder folder;
  net::Loop loop;
  std::unique_ptr<Hub> hub;
};

}  // namespace simplon::overlay::test
