// The door and the server behind it, with a real client.
#include "agent/control_socket.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api_server.hpp"
#include "agent/on_loop.hpp"
#include "net/loops.hpp"
#include "simplon/v1/agent.grpc.pb.h"
#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

using testing::HasSubstr;

class GreetingService final : public v1::Agent::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetAgent(grpc::CallbackServerContext* context,
                                     const v1::GetAgentRequest*, v1::AgentInfo* out) override {
    out->set_name("alpha");
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class ControlSocketTest : public testing::Test {
 protected:
  void SetUp() override {}
  void TearDown() override {
    on_loop(control_, [&] { socket_.reset(); });
  }

  absl::Status open(const std::filesystem::path& path) {
    return on_loop(control_, [&]() -> absl::Status {
      auto opened = ControlSocket::open(control_, path.string());
      if (opened.ok()) {
        socket_ = std::move(*opened);
      }
      return opened.status();
    });
  }

  simplon::test::TemporaryFolder folder_;
  net::Loops loops_{1};
  net::Loop& control_ = loops_[0];
  std::unique_ptr<ControlSocket> socket_;
};

TEST_F(ControlSocketTest, IsForItsUserAloneAndGoesWithTheAgent) {
  const auto path = folder_ / "run" / "agent.sock";
  ASSERT_TRUE(open(path).ok());
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat(path.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  on_loop(control_, [&] { socket_.reset(); });
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ControlSocketTest, APathThatIsTooLongSaysHowToGoOn) {
  const auto status = open(folder_ / std::string(100, 'x') / "agent.sock");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--socket"));
}

TEST_F(ControlSocketTest, APathThatAnotherAgentServesIsRefused) {
  const auto path = folder_ / "agent.sock";
  ASSERT_TRUE(open(path).ok());
  const auto first = std::move(socket_);
  EXPECT_EQ(open(path).code(), absl::StatusCode::kFailedPrecondition);
  on_loop(control_, [&] { const_cast<std::unique_ptr<ControlSocket>&>(first).reset(); });
}

TEST_F(ControlSocketTest, HandsConnectionsToTheServerOfTheirRole) {
  const auto path = folder_ / "agent.sock";
  ASSERT_TRUE(open(path).ok());
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(std::make_unique<GreetingService>());
  ApiServer server(std::move(services));
  on_loop(control_, [&] {
    socket_->start([&server](net::Fd client, Principal principal) {
      EXPECT_EQ(principal.role, Role::admin);
      server.take(std::move(client));
    });
  });
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel = grpc::CreateCustomChannel("unix:" + path.string(),
                                                 grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::Agent::NewStub(channel);
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
  {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    v1::AgentInfo info;
    const auto status = stub->GetAgent(&context, {}, &info);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(info.name(), "alpha");
  }
  {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    v1::Tunnel tunnel;
    EXPECT_EQ(stub->GetTunnel(&context, {}, &tunnel).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST(PrincipalOfASocket, IsTheUserWhoConnected) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const net::Fd here(pair[0]);
  const net::Fd there(pair[1]);
  EXPECT_EQ(principal_of(here.get(), std::nullopt).role, Role::admin);
  const net::Fd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(principal_of(other.get(), ::getgid()).role, Role::none);
}

}  // namespace
}  // namespace simplon::agent
