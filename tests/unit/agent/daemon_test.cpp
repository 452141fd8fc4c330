// Whole agents in this process, driven by a client of the API over their sockets.
#include "agent/daemon.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "simplon/v1/agent.grpc.pb.h"
#include "simplon/v1/hub.grpc.pb.h"
#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

/// Far above what anything here takes.
constexpr std::chrono::seconds kPatience{60};

// A daemon and a client of it.
class Running {
 public:
  Running(const std::filesystem::path& state, const std::string& name, bool hub = true) {
    options.agent_name = name;
    options.paths = {.state_dir = state.string(), .socket = (state / "agent.sock").string()};
    options.hub_listen = {.none = !hub, .chosen = true, .endpoint = {"127.0.0.1", 0}};
    start();
  }

  void start() {
    auto started = Daemon::start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    daemon = std::move(*started);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel("unix:" + options.paths.socket,
                                                   grpc::InsecureChannelCredentials(), arguments);
    agent = v1::Agent::NewStub(channel);
    hub = v1::Hub::NewStub(channel);
    health = grpc::health::v1::Health::NewStub(channel);
  }
  void restart() {
    daemon.reset();
    start();
  }

  template <class Stub, class Request, class Response>
  grpc::Status call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return (stub.*method)(&context, request, &response);
  }

  grpc::Status create(const v1::Tunnel& tunnel) {
    v1::CreateTunnelRequest request;
    *request.mutable_tunnel() = tunnel;
    v1::Tunnel made;
    return call(*agent, &v1::Agent::Stub::CreateTunnel, request, made);
  }
  grpc::Status share(const std::string& name, const std::string& overlay = {}) {
    v1::Tunnel tunnel;
    tunnel.set_name(name);
    tunnel.mutable_share()->set_target("http://127.0.0.1:1");
    tunnel.mutable_share()->set_overlay(overlay);
    return create(tunnel);
  }
  std::vector<std::string> tunnels() {
    v1::ListTunnelsResponse response;
    EXPECT_TRUE(
        call(*agent, &v1::Agent::Stub::ListTunnels, v1::ListTunnelsRequest{}, response).ok());
    std::vector<std::string> out;
    for (const auto& tunnel : response.tunnels()) {
      out.push_back(tunnel.name());
    }
    return out;
  }
  v1::AgentInfo info() {
    v1::AgentInfo out;
    const auto status = call(*agent, &v1::Agent::Stub::GetAgent, v1::GetAgentRequest{}, out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }
  std::vector<std::string> overlays() {
    std::vector<std::string> out;
    const auto now = info();
    for (const auto& overlay : now.overlays()) {
      out.push_back(overlay.name() + " as " + overlay.identity());
    }
    return out;
  }
  std::string invite(const std::string& name) {
    v1::CreateInvitationRequest request;
    request.set_name(name);
    v1::Invitation out;
    const auto status = call(*hub, &v1::Hub::Stub::CreateInvitation, request, out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(out.loopback_only());
    return out.token();
  }
  bool healthy() {
    grpc::health::v1::HealthCheckResponse out;
    const auto status = call(*health, &grpc::health::v1::Health::Stub::Check,
                             grpc::health::v1::HealthCheckRequest{}, out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out.status() == grpc::health::v1::HealthCheckResponse::SERVING;
  }
  grpc::Status join(const std::string& token, const std::string& name = {}, bool replace = false) {
    v1::JoinOverlayRequest request;
    request.set_token(token);
    request.set_name(name);
    request.set_replace(replace);
    v1::Overlay out;
    return call(*agent, &v1::Agent::Stub::JoinOverlay, request, out);
  }
  grpc::Status remove_overlay(const std::string& name, bool force = false) {
    v1::RemoveOverlayRequest request;
    request.set_name(name);
    request.set_force(force);
    v1::RemoveOverlayResponse out;
    return call(*agent, &v1::Agent::Stub::RemoveOverlay, request, out);
  }

  Options options;
  std::unique_ptr<Daemon> daemon;
  std::unique_ptr<v1::Agent::Stub> agent;
  std::unique_ptr<v1::Hub::Stub> hub;
  std::unique_ptr<grpc::health::v1::Health::Stub> health;
};

void expect(const grpc::Status& status, StatusCode code, const std::string& words) {
  EXPECT_EQ(status.error_code(), code) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(words));
}

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_GE(sodium_init(), 0); }

  simplon::test::TemporaryFolder folder_;
};

TEST_F(DaemonTest, ATunnelIsThereAfterARestartAndGoneAfterItsDelete) {
  Running alpha(folder_ / "alpha", "alpha");
  ASSERT_TRUE(alpha.share("one").ok());
  ASSERT_TRUE(alpha.share("two").ok());
  alpha.restart();
  EXPECT_THAT(alpha.tunnels(), ElementsAre("one", "two"));
  v1::DeleteTunnelRequest request;
  request.set_name("one");
  v1::DeleteTunnelResponse response;
  EXPECT_TRUE(alpha.call(*alpha.agent, &v1::Agent::Stub::DeleteTunnel, request, response).ok());
  alpha.restart();
  EXPECT_THAT(alpha.tunnels(), ElementsAre("two"));
}

TEST_F(DaemonTest, ErrorsHaveTheirCodeAndNameTheField) {
  Running alpha(folder_ / "alpha", "alpha");
  expect(alpha.create({}), StatusCode::INVALID_ARGUMENT, "spec");
  expect(alpha.share("Not_A_Label"), StatusCode::INVALID_ARGUMENT, "name");
  expect(alpha.share("one", "nowhere"), StatusCode::FAILED_PRECONDITION, "share.overlay");
  v1::Tunnel tunnel;
  v1::GetTunnelRequest get;
  get.set_name("nothing");
  expect(alpha.call(*alpha.agent, &v1::Agent::Stub::GetTunnel, get, tunnel), StatusCode::NOT_FOUND,
         "nothing");
  v1::ListTunnelsRequest list;
  list.set_page_token("nonsense!");
  v1::ListTunnelsResponse page;
  expect(alpha.call(*alpha.agent, &v1::Agent::Stub::ListTunnels, list, page),
         StatusCode::INVALID_ARGUMENT, "page_token");
  v1::SetLogLevelRequest level;
  level.set_level("loud");
  v1::SetLogLevelResponse previous;
  expect(alpha.call(*alpha.agent, &v1::Agent::Stub::SetLogLevel, level, previous),
         StatusCode::INVALID_ARGUMENT, "level");
  ASSERT_TRUE(alpha.share("one").ok());
  expect(alpha.share("one"), StatusCode::ALREADY_EXISTS, "one");
  EXPECT_THAT(alpha.tunnels(), ElementsAre("one"));
}

TEST_F(DaemonTest, ASecondOneOnTheSameStateIsRefused) {
  Running alpha(folder_ / "alpha", "alpha");
  const auto second = Daemon::start(alpha.options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(alpha.info().name(), "alpha");
}

TEST_F(DaemonTest, KeepsThePortThatItsHubWasGiven) {
  Running alpha(folder_ / "alpha", "alpha");
  const auto listen = alpha.info().hub().listen();
  alpha.restart();
  EXPECT_EQ(alpha.info().hub().listen(), listen);
  EXPECT_THAT(alpha.daemon->ready_line(), HasSubstr("hub " + listen));
}

TEST_F(DaemonTest, CountsTheConnectionsThatItsHubRefused) {
  Running alpha(folder_ / "alpha", "alpha");
  EXPECT_EQ(alpha.info().hub().refused_connections(), 0U);
  const auto listen = net::parse_endpoint(alpha.info().hub().listen());
  ASSERT_TRUE(listen.has_value());
  const auto address = net::SocketAddress::from_ip(listen->host, listen->port);
  ASSERT_TRUE(address.has_value());
  const net::Fd stranger(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(stranger.get(), address->data(), address->size()), 0);
  ASSERT_EQ(::send(stranger.get(), "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (alpha.info().hub().refused_connections() == 0 && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_EQ(alpha.info().hub().refused_connections(), 1U);
}

TEST_F(DaemonTest, AnAgentWithoutAHubSaysSo) {
  Running alone(folder_ / "alone", "alone", false);
  v1::CreateInvitationRequest request;
  request.set_name("x");
  v1::Invitation out;
  expect(alone.call(*alone.hub, &v1::Hub::Stub::CreateInvitation, request, out),
         StatusCode::FAILED_PRECONDITION, "hub");
  EXPECT_FALSE(alone.info().has_hub());
  expect(alone.share("one"), StatusCode::FAILED_PRECONDITION, "share.overlay");
  EXPECT_THAT(alone.daemon->ready_line(), HasSubstr("no hub"));
}

TEST_F(DaemonTest, JoiningGivesUpAnUnusedHubOfItsOwnAndTakesTheInvitationsName) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "somehost");
  EXPECT_THAT(beta.overlays(), ElementsAre("default as somehost"));
  const auto joined = beta.join(alpha.invite("beta"));
  ASSERT_TRUE(joined.ok()) << joined.error_message();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta"));
  EXPECT_EQ(beta.info().name(), "beta");
  EXPECT_FALSE(beta.info().has_hub());
  beta.restart();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta"));
  EXPECT_FALSE(beta.info().has_hub());
}

TEST_F(DaemonTest, JoiningOverAnOverlayInUseIsRefusedAndSaysHowToGoOn) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta");
  ASSERT_TRUE(beta.share("mine").ok());
  const auto token = alpha.invite("beta");
  expect(beta.join(token), StatusCode::FAILED_PRECONDITION, "--overlay NAME");
  expect(beta.join(token), StatusCode::FAILED_PRECONDITION, "--replace");
  const auto beside = beta.join(token, "second");
  ASSERT_TRUE(beside.ok()) << beside.error_message();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta", "second as beta"));
  EXPECT_THAT(beta.tunnels(), ElementsAre("mine"));
  const auto replaced = beta.join(alpha.invite("beta2"), "", true);
  ASSERT_TRUE(replaced.ok()) << replaced.error_message();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta2", "second as beta"));
  EXPECT_THAT(beta.tunnels(), ElementsAre());
}

TEST_F(DaemonTest, AJoinThatDidNotFinishIsDroppedAndTheOldOverlayStays) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta", false);
  ASSERT_TRUE(beta.join(alpha.invite("beta")).ok());
  ASSERT_TRUE(beta.share("mine").ok());
  const auto staged = folder_ / "beta" / "overlays" / "default.json.new";
  EXPECT_FALSE(std::filesystem::exists(staged));
  beta.daemon.reset();
  std::filesystem::copy_file(folder_ / "beta" / "overlays" / "default.json", staged);
  beta.start();
  EXPECT_FALSE(std::filesystem::exists(staged));
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta"));
  EXPECT_THAT(beta.tunnels(), ElementsAre("mine"));
}

TEST_F(DaemonTest, AHubWithMembersRefusesToJoinElsewhere) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta", false);
  ASSERT_TRUE(beta.join(alpha.invite("beta")).ok());
  Running gamma(folder_ / "gamma", "gamma");
  expect(alpha.join(gamma.invite("alpha")), StatusCode::FAILED_PRECONDITION, "hub of other");
  expect(alpha.join(alpha.invite("alpha2"), "second"), StatusCode::FAILED_PRECONDITION, "own hub");
}

TEST_F(DaemonTest, ATokenThatMakesNoSenseChangesNothing) {
  Running alpha(folder_ / "alpha", "alpha");
  for (const auto* token : {"", "nonsense", "simplon-join-1.AAAA"}) {
    expect(alpha.join(token), StatusCode::INVALID_ARGUMENT, "token");
  }
  expect(alpha.join("nonsense", "Not_A_Label"), StatusCode::INVALID_ARGUMENT, "name");
  EXPECT_THAT(alpha.overlays(), ElementsAre("default as alpha"));
}

TEST_F(DaemonTest, LeavingTheDefaultOverlayBringsTheOwnHubBack) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta");
  ASSERT_TRUE(beta.join(alpha.invite("b")).ok());
  ASSERT_TRUE(beta.share("one").ok());
  expect(beta.remove_overlay("nothing"), StatusCode::NOT_FOUND, "nothing");
  expect(beta.remove_overlay("default"), StatusCode::FAILED_PRECONDITION, "force");
  const auto removed = beta.remove_overlay("default", true);
  ASSERT_TRUE(removed.ok()) << removed.error_message();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta"));
  EXPECT_TRUE(beta.info().has_hub());
  EXPECT_THAT(beta.tunnels(), ElementsAre());
  expect(beta.remove_overlay("default"), StatusCode::FAILED_PRECONDITION, "own hub");
}

TEST_F(DaemonTest, TunnelsThatWaitForTheirOverlayGetTheOneThatIsJoined) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta");
  ASSERT_TRUE(beta.share("mine").ok());
  beta.options.hub_listen.none = true;
  beta.restart();
  const auto joined = beta.join(alpha.invite("beta"));
  ASSERT_TRUE(joined.ok()) << joined.error_message();
  EXPECT_THAT(beta.tunnels(), ElementsAre("mine"));
}

TEST_F(DaemonTest, ABrokenIdentityIsAnOverlayThatIsDownAndSaysWhy) {
  Running alpha(folder_ / "alpha", "alpha");
  Running beta(folder_ / "beta", "beta", false);
  ASSERT_TRUE(beta.join(alpha.invite("beta")).ok());
  beta.daemon.reset();
  std::filesystem::resize_file(folder_ / "beta" / "overlays" / "default.json", 10);
  beta.start();
  const auto info = beta.info();
  ASSERT_EQ(info.overlays_size(), 1);
  EXPECT_EQ(info.overlays(0).state(), v1::LINK_STATE_DOWN);
  EXPECT_THAT(info.overlays(0).last_error(), HasSubstr("default.json"));
  expect(beta.join(alpha.invite("beta2")), StatusCode::FAILED_PRECONDITION, "default.json");
  const auto replaced = beta.join(alpha.invite("beta3"), "", true);
  ASSERT_TRUE(replaced.ok()) << replaced.error_message();
  EXPECT_THAT(beta.overlays(), ElementsAre("default as beta3"));
}

TEST_F(DaemonTest, WhileItDrainsItAnswersAndTakesNoNewTunnels) {
  Running alpha(folder_ / "alpha", "alpha");
  ASSERT_TRUE(alpha.share("one").ok());
  EXPECT_TRUE(alpha.healthy());
  auto drained = alpha.daemon->drain(std::chrono::seconds(30));
  EXPECT_FALSE(alpha.healthy());
  EXPECT_TRUE(alpha.info().draining());
  expect(alpha.share("two"), StatusCode::UNAVAILABLE, "shutting down");
  EXPECT_EQ(drained.wait_for(kPatience), std::future_status::ready);
  alpha.restart();
  EXPECT_THAT(alpha.tunnels(), ElementsAre("one"));
}

}  // namespace
}  // namespace simplon::agent
