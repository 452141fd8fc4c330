#include "agent/notify.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/socket.hpp"
#include "support/temporary_folder.hpp"

namespace simplon::agent {
namespace {

class NotifyTest : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv("NOTIFY_SOCKET"); }

  // What an init system that listens at this address hears.
  static std::string heard(const sockaddr_un& address, socklen_t size, const std::string& name) {
    const net::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    notify_systemd("READY=1");
    std::array<char, 64> text{};
    const auto got = ::recv(socket.get(), text.data(), text.size(), 0);
    return got < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(got));
  }
};

TEST_F(NotifyTest, ASocketInTheFileSystemHearsTheState) {
  const simplon::test::TemporaryFolder folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder / "notify").string();
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(heard(address, sizeof address, path), "READY=1");
}

TEST_F(NotifyTest, ASocketInTheAbstractNamespaceHearsTheState) {
  const std::string name = "simplon-notify-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  EXPECT_EQ(heard(address, size, "@" + name), "READY=1");
}

TEST_F(NotifyTest, NothingHappensWithoutOneOrWithNonsense) {
  notify_systemd("READY=1");
  for (const auto& nonsense : {std::string("relative"), std::string(200, '/'), std::string()}) {
    ::setenv("NOTIFY_SOCKET", nonsense.c_str(), 1);
    notify_systemd("READY=1");
  }
}

}  // namespace
}  // namespace simplon::agent
