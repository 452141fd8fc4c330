// The engine between a client and an origin that both speak raw bytes, over memory streams and a
// clock that the test moves.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "http/engine.hpp"
#include "raw_peer.hpp"
#include "unit/net/harness.hpp"

namespace simplon::http {

/// Ends whose upstreams are the test's to play.
class TestEnds : public Ends {
 public:
  std::expected<std::string, base::Failure> route(std::string_view host) override {
    hosts.emplace_back(host);
    if (host == "unknown") {
      return std::unexpected(base::Failure{base::Hop::frontend,
                                           make_error_code(base::Errc::no_such_service),
                                           "no share has this host"});
    }
    return std::string(host);
  }

  net::awaitable<std::expected<Upstream, base::Failure>> connect(net::Loop& loop, std::string,
                                                                 std::string, bool fresh,
                                                                 net::TimePoint) override {
    ++connects;
    if (connecting) {
      co_await connecting->wait_until();
    }
    if (!failures.empty()) {
      auto failure = failures.front();
      failures.pop_front();
      co_return std::unexpected(std::move(failure));
    }
    if (!fresh && !pool.empty()) {
      Upstream pooled = std::move(pool.front());
      pool.pop_front();
      pooled.reused = true;
      co_return pooled;
    }
    auto [ours, theirs] = net::make_memory_pair(loop, capacity);
    origins.push_back(std::make_unique<RawPeer>(theirs));
    co_return Upstream{.stream = ours, .authority = "origin:80", .refusal = refusal};
  }

  void release(const std::string&, Upstream upstream) override {
    ++released;
    pool.push_back(std::move(upstream));
  }

  void finished(const Outcome& outcome) override {
    outcomes.push_back({outcome.status, outcome.bytes_in, outcome.bytes_out, outcome.upgraded});
  }

  struct Seen {
    int status;
    std::uint64_t bytes_in;
    std::uint64_t bytes_out;
    bool upgraded;
  };
  std::unique_ptr<net::Gate> connecting;  // where it is not null, connect() waits for it
  std::vector<std::string> hosts;
  std::deque<base::Failure> failures;
  std::deque<Upstream> pool;
  std::vector<std::unique_ptr<RawPeer>> origins;
  std::vector<Seen> outcomes;
  std::function<std::optional<base::Failure>()> refusal;
  std::size_t capacity = net::kMemoryCapacity;
  int connects = 0;
  int released = 0;
};

class Engine : public testing::Test {
 protected:
  /// A connection of a new client.
  void open(Policy policy = {}, Client who = {}) {
    auto [theirs, ours] = net::make_memory_pair(loop_);
    client_ = std::make_unique<RawPeer>(theirs);
    served_ = ours;
    net::spawn(loop_, "serve",
               serve(ours, ends_, std::make_shared<const Policy>(std::move(policy)), std::move(who),
                     "id", drain_));
    client_->settle();
  }

  /// What the client gets for these bytes, if they are answered without an origin.
  std::string exchange(std::string_view request) {
    if (!client_) {
      open();
    }
    return client_->send(request).take();
  }

  /// The origin's side of the newest upstream.
  RawPeer& origin() {
    EXPECT_FALSE(ends_->origins.empty()) << "nothing was sent to an origin";
    if (ends_->origins.empty()) {
      auto [unused, lonely] = net::make_memory_pair(loop_);
      ends_->origins.push_back(std::make_unique<RawPeer>(lonely));
    }
    return *ends_->origins.back();
  }

  /// What the origin received so far for these bytes of the client.
  std::string forwarded(std::string_view request) {
    if (!client_) {
      open();
    }
    client_->send(request);
    return origin().take();
  }

  /// What the client receives for these bytes of the origin.
  std::string answered(std::string_view response) {
    origin().send(response);
    return client_->take();
  }

  void get(std::string_view path = "/") {
    forwarded("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }

  /// The status with which these bytes are refused; 0 if anything went on to an origin, or if the
  /// connection could still carry another request.
  int refusal(const std::string& bytes, const Policy& policy = {}) {
    open(policy);
    const int before = ends_->connects;
    client_->send(bytes + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string answer = client_->take();
    if (ends_->connects != before || !client_->ended() || answer.size() < 12) {
      return 0;
    }
    EXPECT_THAT(answer, testing::HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "answered twice";
    return std::stoi(answer.substr(9, 3));
  }

  /// The same for the fields of a POST with Host.
  int refused_fields(const std::string& fields) {
    return refusal("POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
  }

  /// The same for a chunked body whose head was in order: the origin must not see the body's end.
  int refused_chunks(const std::string& body, const Limits& limits = {}) {
    open({.limits = limits});
    client_->send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_->send(body + "0\r\n\r\n");
    const std::string answer = client_->take();
    EXPECT_THAT(origin().take(), testing::Not(testing::HasSubstr("0\r\n\r\n"))) << body;
    EXPECT_TRUE(origin().gone()) << body;
    return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3));
  }

  /// The client's answer to these bytes of an origin, to a GET of a new connection.
  std::string answer_for(std::string_view response, const Policy& policy = {}) {
    open(policy);
    get();
    return answered(response);
  }

  /// What `to` has at the moment at which the engine has read these bytes of `from`, before any
  /// other handler of the loop has run.
  std::string passed_in_one_turn(std::string_view text, RawPeer& from, RawPeer& to) {
    net::test::Probe taken;
    EXPECT_TRUE(from.stream().try_write(net::as_buffer(text)));
    from.stream().wait(net::Event::flushed, taken);
    loop_.context().restart();
    while (taken.calls == 0 && loop_.context().poll_one() > 0) {
    }
    EXPECT_EQ(taken.calls, 1) << "the engine does not read";
    from.stream().cancel_wait(net::Event::flushed);
    return to.take_now();
  }

  void advance(std::chrono::milliseconds by) {
    clock_.advance(by);
    client_->settle();
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  std::shared_ptr<TestEnds> ends_ = std::make_shared<TestEnds>();
  std::shared_ptr<Drain> drain_ = std::make_shared<Drain>();
  std::unique_ptr<RawPeer> client_;
  net::StreamPtr served_;  // the engine's end of the client's connection
};

inline const std::string kHandshake =
    "GET /chat?room=%2F1 HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\nOrigin: http://h\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\n\r\n";
inline const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

inline constexpr std::string_view kPost =
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
inline constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
inline constexpr std::string_view kChunkedOk =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace simplon::http
