// Two agents' tunnels on one loop whose time the test moves, targets, and clients.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "http/server.hpp"
#include "net/memory.hpp"
#include "net/tcp.hpp"
#include "test_network.hpp"
#include "tunnel/supervisor.hpp"
#include "unit/net/harness.hpp"

namespace simplon::tunnel::test {

/// Takes connections on a free port.
class Origin {
 public:
  using Serve = std::function<void(net::StreamPtr)>;
  Origin(net::Loop& loop, Serve serve, std::uint16_t port = 0)
      : Origin(loop, std::move(serve), net::listen_tcp(loop, {.host = "127.0.0.1", .port = port})) {
  }
  Origin(net::Loop& loop, Serve serve, net::Result<std::unique_ptr<net::Acceptor>> bound) {
    EXPECT_TRUE(bound) << bound.error().message();
    acceptor_ = std::move(*bound);
    acceptor_->start([this, &loop, serve = std::move(serve)](net::Accepted accepted) {
      ++connections;
      serve(net::make_socket_stream(loop, std::move(accepted.socket)));
    });
  }
  std::uint16_t port() const { return acceptor_->bound().port(); }
  std::string target(const std::string& scheme) const {
    return scheme + "://127.0.0.1:" + std::to_string(port());
  }
  int connections = 0;

 private:
  std::unique_ptr<net::Acceptor> acceptor_;
};

/// "/" tells the fields of the request, "/ws" upgrades and then echoes bytes.
class EchoHandler final : public http::Handler {
 public:
  net::awaitable<void> handle(http::Request& request, http::Responder& responder) override {
    if (request.path() == "/ws") {
      http::Fields accept;
      accept.add("Sec-WebSocket-Accept", "x");
      if (auto stream = co_await responder.upgrade(accept)) {
        co_await echo(*stream);
      }
      co_return;
    }
    std::string body = "path " + std::string(request.path()) + "\n";
    for (const http::Field field : request.head().fields) {
      body.append(field.name).append(": ").append(field.value).append("\n");
    }
    (void)co_await responder.respond(200, {}, body);
  }
  static net::awaitable<void> echo(net::StreamPtr stream) {
    std::array<std::byte, 4096> piece;
    for (;;) {
      const auto got = co_await net::read_some(*stream, piece);
      if (!got || *got == 0) {
        break;
      }
      (void)co_await net::write_all(*stream, net::Buffer(piece).first(*got));
    }
    stream->close();
  }
};

/// An HTTP client that sends what the test says.
class Client {
 public:
  Client(net::Loop& loop, const std::string& address) : loop_(loop) {
    const auto endpoint = net::parse_endpoint(address);
    auto stream = net::test::run(
        loop, net::connect_tcp(loop, endpoint->host, endpoint->port, net::TimePoint::max()));
    if (stream) {
      stream_ = std::move(*stream);
    } else {
      // Reset before the connect was seen, at best: every later use says so.
      EXPECT_EQ(stream.error(), base::Errc::reset) << address;
      stream_ = net::make_memory_pair(loop).first;
      stream_->reset();
    }
  }
  ~Client() { stream_->reset(); }

  void send(const std::string& text) {
    EXPECT_TRUE(net::test::run(loop_, net::test::send(stream_, text)));
  }
  /// Everything received so far, once it contains `text` (or the connection ended).
  std::string until(const std::string& text) {
    net::test::run(loop_, read_until(text));
    return in_;
  }
  std::string get(const std::string& path, const std::string& host, const std::string& more = {}) {
    in_.clear();
    send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
    return until("\r\n\r\n");
  }
  /// Waits for the end: true where it was in order.
  bool ended() {
    net::test::run(loop_, read_until("\1never\1"));
    return !error_;
  }
  void clear() { in_.clear(); }
  net::Stream& stream() { return *stream_; }

 private:
  net::awaitable<bool> read_until(std::string text) {
    std::array<std::byte, 4096> piece;
    while (!in_.contains(text)) {
      const auto got = co_await net::read_some(*stream_, piece);
      if (!got || *got == 0) {
        error_ = got ? std::error_code() : got.error();
        co_return false;
      }
      in_.append(reinterpret_cast<const char*>(piece.data()), *got);
    }
    co_return true;
  }

  net::Loop& loop_;
  net::StreamPtr stream_;
  std::string in_;
  std::error_code error_;
};

inline const std::string kUpgrade =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

class TunnelTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_GE(sodium_init(), 0); }
  TunnelTest() {
    base::set_log_level("error");
    host_.add_overlay("default", host_network_);
    guest_.add_overlay("default", guest_network_);
  }
  ~TunnelTest() override {
    // Whatever still runs ends before the loop does.
    host_.drain_all(std::chrono::milliseconds(0), [] {});
    guest_.drain_all(std::chrono::milliseconds(0), [] {});
    while (loop_.poll() > 0) {
    }
    clock_.advance(std::chrono::seconds(1));
    while (loop_.poll() > 0) {
    }
  }

  /// As the registry would.
  absl::StatusOr<TunnelPtr> create(Supervisor& at, Tunnel tunnel) {
    tunnel.uid = base::new_id();
    if (auto status = normalize(tunnel); !status.ok()) {
      return status;
    }
    if (auto status = at.prepare(tunnel); !status.ok()) {
      return status;
    }
    auto created = std::make_shared<const Tunnel>(std::move(tunnel));
    at.start(created);
    return created;
  }
  TunnelPtr share(const std::string& name, const std::string& target, bool open = false,
                  std::string rewrite = {}) {
    Tunnel tunnel{.name = name,
                  .spec = Share{.service = name,
                                .overlay = {},
                                .target = target,
                                .open_to_frontends = open,
                                .host_header = std::move(rewrite)}};
    return ready(host_, create(host_, tunnel));
  }
  TunnelPtr access(const std::string& service, Protocol protocol = Protocol::http) {
    Tunnel tunnel{
        .name = service + "-access",
        .spec = Access{.service = service, .overlay = {}, .listen = {}, .protocol = protocol}};
    return ready(guest_, create(guest_, tunnel));
  }
  TunnelPtr frontend(const std::string& zone) {
    Tunnel tunnel{.name = "front", .spec = Frontend{.overlay = {}, .listen = {}, .zone = zone}};
    return ready(guest_, create(guest_, tunnel));
  }
  TunnelPtr ready(Supervisor& at, const absl::StatusOr<TunnelPtr>& created) {
    EXPECT_TRUE(created.ok()) << created.status();
    EXPECT_TRUE(until_phase(at, (*created)->name, Phase::active));
    return *created;
  }

  bool until_phase(Supervisor& at, const std::string& name, Phase phase) {
    return until([&] { return at.status(name) && at.status(name)->phase == phase; });
  }
  bool until(const std::function<bool()>& done) { return net::test::run_until(loop_, done); }
  static HopStatus hop(const Status& status, std::string_view name) {
    for (const HopStatus& hop : status.hops) {
      if (hop.name == name) {
        return hop;
      }
    }
    ADD_FAILURE() << "no hop " << name;
    return {};
  }
  static const std::string& address(const TunnelPtr& tunnel) { return *listen_of(tunnel->spec); }

  Origin::Serve http_origin() {
    return [this](net::StreamPtr stream) {
      net::spawn(loop_, "origin", http::serve_locally(std::move(stream), echo_, {}, origin_drain_));
    };
  }
  /// Speaks first, then echoes.
  Origin::Serve greeter() {
    return [this](net::StreamPtr stream) {
      (void)stream->try_write(net::as_buffer("220 hello\r\n"));
      net::spawn(loop_, "greeter", EchoHandler::echo(std::move(stream)));
    };
  }
  /// A port at which nobody listens.
  std::string dead_port() {
    return std::to_string(Origin(loop_, [](const net::StreamPtr&) {}).port());
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  std::shared_ptr<EchoHandler> echo_ = std::make_shared<EchoHandler>();
  std::shared_ptr<http::Drain> origin_drain_ = std::make_shared<http::Drain>();
  std::shared_ptr<TestDirectory> directory_ = std::make_shared<TestDirectory>();
  TestNetwork host_network_{directory_, "host"};
  TestNetwork guest_network_{directory_, "guest"};
  Supervisor host_{loop_, {&loop_}};
  Supervisor guest_{loop_, {&loop_}};
};

}  // namespace simplon::tunnel::test
