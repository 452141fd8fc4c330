#include "net/unix.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"
#include "unit/net/harness.hpp"
#include "unit/net/open_files.hpp"

namespace simplon::net::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class UnixTest : public testing::Test {
 protected:
  void SetUp() override { path = (folder / "socket").string(); }

  Result<StreamPtr> connect() {
    return run(loop, connect_unix(loop, path, clock.now() + seconds(5)));
  }

  base::ManualClock clock;
  Loop loop{clock};
  simplon::test::TemporaryFolder folder;
  std::string path;
};

TEST_F(UnixTest, TheSocketHasThePermissionsThatWereAskedFor) {
  for (const mode_t mode : {0600U, 0660U, 0666U}) {
    const auto acceptor = listen_unix(loop, path, mode);
    ASSERT_TRUE(acceptor);
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, mode);
  }
}

TEST_F(UnixTest, TheFileGoesWithTheAcceptor) {
  ASSERT_TRUE(listen_unix(loop, path, 0600));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(UnixTest, TheFileOfASuccessorStays) {
  auto first = listen_unix(loop, path, 0600);
  ASSERT_TRUE(first);
  fs::remove(path);
  const auto second = listen_unix(loop, path, 0600);
  ASSERT_TRUE(second);
  first->reset();
  EXPECT_TRUE(connect());
}

TEST_F(UnixTest, ASocketThatNobodyListensAtIsReplaced) {
  {
    const auto address = SocketAddress::from_path(path).value();
    const Fd dead = open_socket(AF_UNIX).value();
    ASSERT_EQ(::bind(dead.get(), address.data(), address.size()), 0);
  }
  ASSERT_TRUE(fs::exists(path));
  EXPECT_EQ(error_of(connect()), Errc::refused);
  EXPECT_TRUE(listen_unix(loop, path, 0600));
}

TEST_F(UnixTest, ALivePathIsNotStolen) {
  const auto first = listen_unix(loop, path, 0600);
  EXPECT_EQ(error_of(listen_unix(loop, path, 0600)), Errc::address_in_use);
  EXPECT_TRUE(connect());
}

TEST_F(UnixTest, AFileIsNotReplaced) {
  std::ofstream(path) << "precious";
  EXPECT_EQ(error_of(listen_unix(loop, path, 0600)), Errc::address_in_use);
  EXPECT_EQ(fs::file_size(path), 8U);
}

TEST_F(UnixTest, PathsThatCannotBeAreErrors) {
  EXPECT_EQ(error_of(connect()), Errc::not_found);
  EXPECT_EQ(error_of(listen_unix(loop, (folder / "no" / "socket").string(), 0600)),
            Errc::not_found);
  const std::string long_path = "/" + std::string(107, 'x');
  EXPECT_EQ(error_of(listen_unix(loop, long_path, 0600)), Errc::limit_exceeded);
  EXPECT_EQ(error_of(listen_unix(loop, "", 0600)), Errc::invalid_argument);
  EXPECT_EQ(error_of(listen_unix(loop, std::string("a\0b", 3), 0600)), Errc::invalid_argument);
}

TEST_F(UnixTest, NoDescriptorIsLeftBehind) {
  const std::size_t before = open_files();
  {
    const auto acceptor = listen_unix(loop, path, 0600);
    const auto stream = connect();
    EXPECT_FALSE(listen_unix(loop, path, 0600));
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace simplon::net::test
