#include "http/server.hpp"

#include <regex>

#include <gmock/gmock.h>

#include "raw_peer.hpp"

namespace simplon::http {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

// Answers by path; what a handler of the test tools does, in small.
class Echo final : public Handler {
 public:
  net::awaitable<void> handle(Request& request, Responder& responder) override {
    const std::string_view path = request.path();
    if (path == "/stream") {
      (void)co_await responder.start(200, {});
      (void)co_await responder.write(net::as_buffer("one"));
      (void)co_await responder.write(net::as_buffer("two"));
      Fields trailers;
      trailers.add("X-Sum", "2");
      (void)co_await responder.finish(trailers);
    } else if (path == "/cut") {
      (void)co_await responder.start(200, {}, 10);
      (void)co_await responder.write(net::as_buffer("half"));
    } else if (path == "/early") {
      (void)co_await responder.respond(413, {}, "no");
    } else if (path == "/hints") {
      Fields link;
      link.add("Link", "</a>");
      (void)co_await responder.inform(103, link);
      (void)co_await responder.respond(200, {}, "");
    } else if (path == "/ws") {
      Fields accept;
      accept.add("Sec-WebSocket-Accept", "x");
      auto stream = co_await responder.upgrade(accept);
      if (stream) {
        upgraded = *stream;
      }
    } else if (path != "/silent") {
      std::string body(request.query());
      std::array<std::byte, 5> part;
      for (;;) {
        const auto got = co_await request.read_body(part);
        if (!got) {
          last_error = got.error();
          break;
        }
        if (*got == 0) {
          break;
        }
        body.append(reinterpret_cast<const char*>(part.data()), *got);
      }
      (void)co_await responder.respond(200, {}, body);
    }
  }

  net::StreamPtr upgraded;
  std::error_code last_error;
};

class LocalServer : public testing::Test {
 protected:
  LocalServer() {
    auto [near_end, far_end] = net::make_memory_pair(loop_);
    client_ = std::make_unique<RawPeer>(near_end);
    net::spawn(loop_, "server", serve_locally(far_end, handler_, {}, drain_));
  }

  // Without Date, whose value is the present.
  std::string exchange(std::string_view request) {
    static const std::regex kDate("Date: [^\r]*\r\n");
    return std::regex_replace(client_->send(request).take(), kDate, "");
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  std::shared_ptr<Echo> handler_ = std::make_shared<Echo>();
  std::shared_ptr<Drain> drain_ = std::make_shared<Drain>();
  std::unique_ptr<RawPeer> client_;
};

TEST_F(LocalServer, AnswersPipelinedRequestsInOrder) {
  EXPECT_EQ(exchange("GET /a?1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n7\r\nchunked\r\n0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nchunked");
  EXPECT_FALSE(client_->gone());
}

TEST_F(LocalServer, SaysTheDate) {
  client_->send("GET /?1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client_->take(),
              testing::ContainsRegex("\r\nDate: [A-Z][a-z]{2}, [0-9]{2} .* GMT\r\n"));
}

TEST_F(LocalServer, StreamsChunksWithTrailers) {
  EXPECT_EQ(exchange("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"
            "0\r\nX-Sum: 2\r\n\r\n");
}

TEST_F(LocalServer, EndsAnHttp10ResponseOfUnknownLengthWithTheConnection) {
  EXPECT_EQ(exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo");
  EXPECT_TRUE(client_->ended());
}

TEST_F(LocalServer, CutsAResponseThatItsHandlerDidNotFinish) {
  EXPECT_THAT(exchange("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n"), testing::Not(HasSubstr("half\r")));
  EXPECT_TRUE(client_->failure());
}

TEST_F(LocalServer, SendsA100WhenTheBodyIsAskedFor) {
  EXPECT_EQ(exchange("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                     "\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(exchange("ok"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

TEST_F(LocalServer, LingersAfterAnEarlyAnswer) {
  EXPECT_THAT(exchange("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  client_->send(std::string(300'000, 'x'));
  EXPECT_FALSE(client_->failure()) << "the client can still read the answer";
  clock_.advance(seconds(2));
  EXPECT_TRUE(client_->ended());
}

TEST_F(LocalServer, AnswersHeadWithoutABody) {
  EXPECT_EQ(exchange("HEAD /?12345 HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

TEST_F(LocalServer, SendsInterimResponses) {
  EXPECT_EQ(exchange("GET /hints HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(LocalServer, HandsOverTheStreamWithTheBytesBehindAnUpgrade) {
  EXPECT_EQ(exchange("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "\r\nframes"),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  ASSERT_TRUE(handler_->upgraded);
  RawPeer server(handler_->upgraded);
  client_->send("more");
  EXPECT_EQ(server.take(), "framesmore");
  server.send("back");
  EXPECT_EQ(client_->take(), "back");
  client_->end();
  EXPECT_TRUE(server.ended());
}

TEST_F(LocalServer, RefusesMalformedRequestsAndBodies) {
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(client_->ended());
}

TEST_F(LocalServer, TimesOutASlowHeadAndAnIdleConnection) {
  client_->send("GET / HT");
  clock_.advance(Timeouts{}.head + seconds(1));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(LocalServer, EndsIdleConnectionsOnDrain) {
  exchange("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  drain_->request();
  EXPECT_TRUE(client_->ended());
}

TEST_F(LocalServer, AnswersForASilentHandler) {
  EXPECT_THAT(exchange("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 500 "));
}

}  // namespace
}  // namespace simplon::http
