#include "net/tcp.hpp"

#include <future>

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loops.hpp"
#include "unit/net/harness.hpp"
#include "unit/net/open_files.hpp"

namespace simplon::net::test {
namespace {

using std::chrono::seconds;

class TcpTest : public testing::Test {
 protected:
  std::unique_ptr<Acceptor> listen(const std::string& host = "127.0.0.1") {
    auto acceptor = listen_tcp(loop, {.host = host, .port = 0});
    EXPECT_TRUE(acceptor);
    return acceptor ? std::move(*acceptor) : nullptr;
  }
  Result<StreamPtr> connect(const std::string& host, std::uint16_t port) {
    return run(loop, connect_tcp(loop, host, port, clock.now() + seconds(5)));
  }
  // A connected pair; the acceptor goes.
  std::pair<StreamPtr, StreamPtr> pair() {
    const auto acceptor = listen();
    StreamPtr accepted;
    acceptor->start(
        [&](Accepted got) { accepted = make_socket_stream(loop, std::move(got.socket)); });
    auto connected = connect("127.0.0.1", acceptor->endpoint().port);
    run_until(loop, [&] { return accepted != nullptr; });
    return {connected.value(), accepted};
  }

  base::ManualClock clock;
  Loop loop{clock};
};

TEST_F(TcpTest, AFreePortIsChosenAndTold) {
  const auto acceptor = listen();
  EXPECT_EQ(acceptor->endpoint().host, "127.0.0.1");
  EXPECT_NE(acceptor->endpoint().port, 0);
  EXPECT_TRUE(acceptor->bound().loopback());
}

TEST_F(TcpTest, APortIsListenedAtOnce) {
  const auto acceptor = listen();
  EXPECT_EQ(error_of(listen_tcp(loop, acceptor->endpoint())), Errc::address_in_use);
}

TEST_F(TcpTest, OnlyAddressesAreListenedAt) {
  EXPECT_EQ(error_of(listen_tcp(loop, {.host = "example.com", .port = 0})), Errc::name_not_found);
  EXPECT_EQ(error_of(listen_tcp(loop, {.host = "192.0.2.1", .port = 0})), Errc::unreachable);
  EXPECT_TRUE(listen_tcp(loop, {.host = "localhost", .port = 0}));
}

TEST_F(TcpTest, NoHostIsEveryAddress) {
  const auto acceptor = listen("");
  acceptor->start([](Accepted) {});
  EXPECT_TRUE(connect("127.0.0.1", acceptor->endpoint().port));
}

TEST_F(TcpTest, NobodyThereIsRefused) {
  std::uint16_t port = 0;
  {
    const auto gone = listen();
    port = gone->endpoint().port;
  }
  EXPECT_EQ(error_of(connect("127.0.0.1", port)), Errc::refused);
}

TEST_F(TcpTest, ThePassedDeadlineTimesOut) {
  EXPECT_EQ(error_of(run(loop, connect_tcp(loop, "127.0.0.1", 1, clock.now()))), Errc::timed_out);
}

TEST_F(TcpTest, EveryAddressOfANameIsTried) {
  auto acceptor = listen_tcp(loop, {.host = "::1", .port = 0});
  if (!acceptor) {
    GTEST_SKIP() << "no IPv6 here";
  }
  (*acceptor)->start([](Accepted) {});
  // 127.0.0.1 is tried first, and refuses.
  EXPECT_TRUE(connect("demo.localhost", (*acceptor)->endpoint().port));
}

TEST_F(TcpTest, TheClientsAddressIsTold) {
  const auto acceptor = listen();
  std::optional<SocketAddress> from;
  acceptor->start([&](Accepted got) { from = got.from; });
  const auto client = connect("127.0.0.1", acceptor->endpoint().port);
  ASSERT_TRUE(run_until(loop, [&] { return from.has_value(); }));
  EXPECT_EQ(from->ip(), "127.0.0.1");
}

// The kernel answers with RST when a socket is closed over unread bytes.
TEST_F(TcpTest, CloseOverUnreadBytesLosesNothingOfTheAnswer) {
  auto [here, there] = pair();
  EXPECT_TRUE(run(loop, send(there, pattern(200'000).substr(0, 100'000))));
  EXPECT_TRUE(run(loop, send(here, "answer")));
  here->close();
  here.reset();
  EXPECT_EQ(run(loop, read_to_end(there)), "answer");
}

TEST_F(TcpTest, AClosedSocketWaitsForItsPeerForASecondAtMost) {
  const std::size_t before = open_files();
  auto [here, there] = pair();
  here->close();
  here.reset();
  loop.poll();
  EXPECT_EQ(open_files(), before + 2) << "still reads, and discards, what the peer sends";
  clock.advance(kCloseTimeout);
  loop.poll();
  EXPECT_EQ(open_files(), before + 1);
  there.reset();
  EXPECT_EQ(open_files(), before);
}

TEST_F(TcpTest, AClosedSocketGoesWhenItsPeerDoes) {
  const std::size_t before = open_files();
  auto [here, there] = pair();
  here->close();
  there->close();
  here.reset();
  there.reset();
  EXPECT_TRUE(run_until(loop, [&] { return open_files() == before; }));
}

TEST_F(TcpTest, NoDescriptorIsLeftBehind) {
  const std::size_t before = open_files();
  {
    auto [here, there] = pair();
    Probe reader;
    here->wait(Event::readable, reader);
    loop.poll();
    here->reset();
    EXPECT_EQ(open_files(), before + 1);
  }
  EXPECT_FALSE(connect("127.0.0.1", 1));
  EXPECT_EQ(open_files(), before);
}

// What a peer can do that a Stream never does: a blocking socket of its own.
class UrgentPeer {
 public:
  explicit UrgentPeer(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in to{.sin_family = AF_INET,
                         .sin_port = htons(port),
                         .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                         .sin_zero = {}};
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  void send(std::string_view text, int flags = 0) {
    EXPECT_EQ(::send(socket_.get(), text.data(), text.size(), flags),
              static_cast<ssize_t>(text.size()));
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    socket_.close();
  }
  void end() { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  Fd socket_;
};

class UrgentTest : public TcpTest {
 protected:
  UrgentTest() {
    acceptor_->start(
        [this](Accepted got) { here_ = make_socket_stream(loop, std::move(got.socket)); });
    peer_.emplace(acceptor_->endpoint().port);
    EXPECT_TRUE(run_until(loop, [&] { return here_ != nullptr; }));
  }
  // The peer's urgent byte is here, and has woken the watch.
  void receive_urgent() {
    peer_->send("a");
    peer_->send("!", MSG_OOB);
    peer_->send("b");
    Probe reader;
    here_->wait(Event::readable, reader);
    EXPECT_TRUE(run_until(loop, [&] { return reader.calls == 1; }));
    settle(loop);
  }

  std::unique_ptr<Acceptor> acceptor_ = listen();
  std::optional<UrgentPeer> peer_;
  StreamPtr here_;
};

TEST_F(UrgentTest, UrgentDataIsDataInItsPlace) {
  receive_urgent();
  peer_->end();
  EXPECT_EQ(run(loop, read_to_end(here_)), "a!b");
}

TEST_F(UrgentTest, UrgentDataDoesNotHideAReset) {
  EndProbe watcher;
  here_->watch_end(&watcher);
  receive_urgent();
  EXPECT_EQ(watcher.calls, 0);
  peer_->reset();
  EXPECT_TRUE(run_until(loop, [&] { return watcher.calls == 1; }));
}

TEST_F(UrgentTest, UrgentDataThatNobodyReadsWakesNoWatch) {
  EndProbe watcher;
  here_->watch_end(&watcher);
  receive_urgent();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(loop.poll(), 0U);
    clock.advance(seconds(1));
    settle(loop);
  }
  EXPECT_EQ(watcher.calls, 0);
  EXPECT_EQ(watcher.peer_ends, 0);
}

TEST_F(TcpTest, AHandlerMayDestroyItsAcceptor) {
  auto acceptor = listen();
  const std::uint16_t port = acceptor->endpoint().port;
  int taken = 0;
  acceptor->start([&](Accepted) {
    ++taken;
    acceptor.reset();
  });
  const auto first = start(loop, connect_tcp(loop, "127.0.0.1", port, clock.now() + seconds(5)));
  const auto second = start(loop, connect_tcp(loop, "127.0.0.1", port, clock.now() + seconds(5)));
  EXPECT_TRUE(run_until(loop, [&] { return acceptor == nullptr; }));
  loop.poll();
  EXPECT_EQ(taken, 1);
}

TEST_F(TcpTest, TwoLoopsShareOneQueueAndLoseNothing) {
  Loop second(clock);
  auto acceptor = listen();
  auto other = acceptor->share(second);
  ASSERT_TRUE(other);
  const std::uint16_t port = acceptor->endpoint().port;
  int taken = 0;
  std::vector<StreamPtr> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(connect("127.0.0.1", port).value());
  }
  acceptor.reset();  // has taken none of them
  (*other)->start([&](Accepted) { ++taken; });
  EXPECT_TRUE(run_until(second, [&] { return taken == 10; }));
}

// Lowers the limit to what is open now, for as long as it lives.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(::dup(0));
    ::close(static_cast<int>(low.rlim_cur));
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~NoMoreFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(TcpTest, AcceptingPausesWhileDescriptorsAreOut) {
  auto acceptor = listen();
  const std::uint16_t port = acceptor->endpoint().port;
  const auto refused = connect("127.0.0.1", port);
  const auto waiting = connect("127.0.0.1", port);
  ASSERT_TRUE(refused);
  ASSERT_TRUE(waiting);
  int taken = 0;
  {
    const NoMoreFiles full;
    acceptor->start([&](Accepted) { ++taken; });
    // The first hears of it at once; the second stays in the queue.
    const auto end = run(loop, read_to_end(*refused));
    EXPECT_TRUE(!end || end->empty());
    loop.poll();
    EXPECT_EQ(taken, 0);
  }
  clock.advance(kAcceptPause);
  EXPECT_TRUE(run_until(loop, [&] { return taken == 1; }));
  EXPECT_TRUE(connect("127.0.0.1", port));
  EXPECT_TRUE(run_until(loop, [&] { return taken == 2; }));
}

TEST_F(TcpTest, AHandlerMayDestroyItsAcceptorAfterAPause) {
  auto acceptor = listen();
  const std::uint16_t port = acceptor->endpoint().port;
  const auto refused = connect("127.0.0.1", port);
  const auto waiting = connect("127.0.0.1", port);
  {
    const NoMoreFiles full;
    acceptor->start([&](Accepted) { acceptor.reset(); });
    static_cast<void>(run(loop, read_to_end(*refused)));
    loop.poll();
  }
  clock.advance(kAcceptPause);
  EXPECT_TRUE(run_until(loop, [&] { return acceptor == nullptr; }));
}

TEST(Tcp, ALoopThatEndsClosesWhatItHeld) {
  const std::size_t before = open_files();
  {
    Loops loops(2);
    Loop& loop = loops[0];
    std::promise<void> ready;
    loop.post([&] {
      auto acceptor = listen_tcp(loop, {.host = "127.0.0.1", .port = 0}).value();
      const std::uint16_t port = acceptor->endpoint().port;
      acceptor->start([&, streams = std::vector<StreamPtr>()](Accepted got) mutable {
        streams.push_back(make_socket_stream(loop, std::move(got.socket)));
        spawn(loop, "reader", [](StreamPtr stream) -> awaitable<void> {
          static_cast<void>(co_await read_to_end(stream));
        }(streams.back()));
        ready.set_value();
      });
      spawn(loop, "client",
            [](Loop& on, std::uint16_t to, std::unique_ptr<Acceptor>) -> awaitable<void> {
              const auto stream = co_await connect_tcp(on, "127.0.0.1", to, on.now() + seconds(5));
              static_cast<void>(co_await read_to_end(*stream));
            }(loop, port, std::move(acceptor)));
    });
    ready.get_future().wait();
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace simplon::net::test
