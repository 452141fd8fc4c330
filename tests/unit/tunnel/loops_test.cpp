// The same over several loops with a thread each: what the thread sanitizer is to see.
#include "net/loops.hpp"

#include "harness.hpp"

namespace simplon::tunnel::test {
namespace {

using std::chrono::seconds;

class ManyLoops : public testing::Test {
 protected:
  ManyLoops() {
    EXPECT_GE(sodium_init(), 0);
    base::set_log_level("error");
    host_.add_overlay("default", host_network_);
    guest_.add_overlay("default", guest_network_);
  }
  ~ManyLoops() override {
    int drained = 0;
    host_.drain_all(seconds(0), [&] { ++drained; });
    guest_.drain_all(seconds(0), [&] { ++drained; });
    EXPECT_TRUE(net::test::run_until(control_, [&] { return drained == 2; }));
  }

  TunnelPtr start(Supervisor& at, Tunnel tunnel) {
    tunnel.uid = base::new_id();
    EXPECT_TRUE(normalize(tunnel).ok());
    EXPECT_TRUE(at.prepare(tunnel).ok());
    auto created = std::make_shared<const Tunnel>(std::move(tunnel));
    at.start(created);
    EXPECT_TRUE(net::test::run_until(
        control_, [&] { return at.status(created->name)->phase == Phase::active; }));
    return created;
  }
  Tunnel share(const Origin& origin, const std::string& scheme) {
    return {.name = "demo",
            .spec = Share{.service = "demo", .target = origin.target(scheme), .host_header = {}}};
  }
  static Tunnel access(Protocol protocol) {
    return {.name = "entry", .spec = Access{.service = "demo", .listen = {}, .protocol = protocol}};
  }

  // The control loop is this thread's, and the targets' and clients'.
  net::Loop control_;
  net::Loops loops_{3};
  std::vector<net::Loop*> all_{&loops_[0], &loops_[1], &loops_[2]};
  std::shared_ptr<TestDirectory> directory_ = std::make_shared<TestDirectory>();
  TestNetwork host_network_{directory_, "host"};
  TestNetwork guest_network_{directory_, "guest"};
  Supervisor host_{control_, all_};
  Supervisor guest_{control_, all_};
};

TEST_F(ManyLoops, ServeManyClientsAtOnce) {
  auto echo = std::make_shared<EchoHandler>();
  auto drain = std::make_shared<http::Drain>();
  Origin origin(control_, [&](net::StreamPtr stream) {
    net::spawn(control_, "origin", http::serve_locally(std::move(stream), echo, {}, drain));
  });
  start(host_, share(origin, "http"));
  const TunnelPtr entry = start(guest_, access(Protocol::http));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<Client>(control_, *listen_of(entry->spec)));
    clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (const auto& client : clients) {
    EXPECT_THAT(client->until("path /"), testing::StartsWith("HTTP/1.1 200"));
  }
  EXPECT_EQ(guest_.status("entry")->counters.connections, 40U);
  EXPECT_EQ(host_.status("demo")->counters.connections, 40U);
}

TEST_F(ManyLoops, StopWhileConnectionsComeAndGo) {
  Origin origin(control_, [&](net::StreamPtr stream) {
    net::spawn(control_, "origin", EchoHandler::echo(std::move(stream)));
  });
  const TunnelPtr shared = start(host_, share(origin, "tcp"));
  for (int round = 0; round < 5; ++round) {
    const TunnelPtr entry = start(guest_, access(Protocol::tcp));
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 12; ++i) {
      clients.push_back(std::make_unique<Client>(control_, *listen_of(entry->spec)));
      clients.back()->send("ping");
    }
    EXPECT_EQ(clients.front()->until("ping"), "ping");
    bool released = false;
    guest_.stop(*entry, seconds(0), [&] { released = true; });
    ASSERT_TRUE(net::test::run_until(control_, [&] { return released; }));
    for (const auto& client : clients) {
      client->ended();
    }
  }
}

TEST_F(ManyLoops, AnOverlayGoesWhileItIsDialled) {
  Origin origin(control_, [&](net::StreamPtr stream) {
    net::spawn(control_, "origin", EchoHandler::echo(std::move(stream)));
  });
  start(host_, share(origin, "tcp"));
  const TunnelPtr entry = start(guest_, access(Protocol::tcp));
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 6; ++i) {
      clients.push_back(std::make_unique<Client>(control_, *listen_of(entry->spec)));
    }
    bool removed = false;
    guest_.remove_overlay("default", [&] { removed = true; });
    ASSERT_TRUE(net::test::run_until(control_, [&] { return removed; }));
    guest_.add_overlay("default", guest_network_);
  }
  EXPECT_TRUE(net::test::run_until(control_,
                                   [&] { return guest_.status("entry")->phase == Phase::active; }));
}

}  // namespace
}  // namespace simplon::tunnel::test
