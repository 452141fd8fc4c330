// Bodies as they come, both ways at once; clients and origins that leave; connections that end:
// behaviours 32 to 39.
#include "engine_fixture.hpp"
#include "net/buffer_pool.hpp"

namespace simplon::http {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Request bodies stream.
using Behaviour32 = Engine;
/// Responses stream.
using Behaviour33 = Engine;
/// Clients that go away.
using Behaviour34 = Engine;
/// Origins that go away.
using Behaviour35 = Engine;
/// Clients that end their direction only.
using Behaviour36 = Engine;
/// Kept connections that have died.
using Behaviour37 = Engine;
/// Connections are kept and closed per hop.
using Behaviour38 = Engine;
/// Lingering close.
using Behaviour39 = Engine;

// What two pipes and the engine's buffer between them can hold.
constexpr std::size_t kHeld = 3 * 64 * 1024;

TEST_F(Behaviour32, PassesOnEachPartOfABodyWhenItArrives) {
  EXPECT_EQ(forwarded(kPost), kPost) << "the head waits for no body";
  EXPECT_EQ(forwarded("3\r\none\r\n"), "3\r\none\r\n");
  EXPECT_EQ(forwarded("3\r\ntw"), "2\r\ntw\r\n");
  EXPECT_EQ(forwarded("o\r\n0\r\n\r\n"), "1\r\no\r\n0\r\n\r\n");
  EXPECT_EQ(answered(kOk), kOk);
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n");
  for (const std::string part : {"a", "b", "c", "d"}) {
    EXPECT_EQ(forwarded(part), part);
  }
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour32, PassesItOnInTheTurnInWhichItWasRead) {
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(passed_in_one_turn("one", *client_, origin()), "one");
  EXPECT_EQ(passed_in_one_turn("t", *client_, origin()), "t");
}

TEST_F(Behaviour32, SendsALargeBodyUnchanged) {
  open();
  const std::string body = net::test::pattern(1'000'000);
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  std::string got = origin().take();
  for (std::size_t at = 0; at < body.size(); at += 50'000) {
    client_->send(std::string_view(body).substr(at, 50'000));
    got += origin().take();
  }
  EXPECT_TRUE(got.ends_with("\r\n\r\n" + body));
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Behaviour32, HoldsTheClientBackWhenTheOriginDoesNotRead) {
  open();
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
  origin().stop_reading(true);
  client_->send(std::string(1'000'000, 'x'));
  EXPECT_TRUE(client_->blocked());
  EXPECT_LE(client_->sent(), kHeld + 1'000);
  advance(hours(1));
  EXPECT_FALSE(client_->gone()) << "it is not the client that is slow";
  origin().stop_reading(false);
  EXPECT_GE(origin().take().size(), client_->sent()) << "and loses nothing";
  client_->send(std::string(10'000, 'x'));
  EXPECT_FALSE(client_->blocked());
}

TEST_F(Behaviour32, StreamsBothWaysAtOnce) {
  forwarded(kPost);
  EXPECT_EQ(answered(kChunkedOk), kChunkedOk);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(forwarded("2\r\nhi\r\n"), "2\r\nhi\r\n");
    EXPECT_EQ(answered("2\r\nho\r\n"), "2\r\nho\r\n");
    advance(hours(1));
  }
  EXPECT_EQ(forwarded("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(answered("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(ends_->released, 1);
  get();
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour33, PassesOnEachPartOfAResponseWhenItArrives) {
  get();
  EXPECT_EQ(answered(kChunkedOk), kChunkedOk) << "the head waits for no body";
  EXPECT_EQ(answered("9\r\ndata: 1\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  EXPECT_EQ(answered("9\r\ndata"), "4\r\ndata\r\n");
  EXPECT_EQ(answered(": 2\n\n\r\n"), "5\r\n: 2\n\n\r\n");
  EXPECT_EQ(answered("0\r\nX-T: 1\r\n\r\n"), "0\r\nX-T: 1\r\n\r\n");
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Behaviour33, PassesOnAnEventInTheTurnInWhichItWasRead) {
  for (const std::string framing :
       {"", "Transfer-Encoding: chunked\r\n", "Content-Length: 99\r\n"}) {
    open();
    get();
    const bool chunked = framing.starts_with("Transfer");
    EXPECT_THAT(passed_in_one_turn(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + "\r\n",
                    origin(), *client_),
                AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\n")))
        << "the first byte of the response";
    for (int i = 0; i < 3; ++i) {
      const std::string event = "data: 1\n\n";
      EXPECT_THAT(
          passed_in_one_turn(chunked ? "9\r\n" + event + "\r\n" : event, origin(), *client_),
          HasSubstr(event));
      advance(hours(1));
    }
    EXPECT_FALSE(client_->gone()) << "silence between events ends nothing";
  }
}

TEST_F(Behaviour33, NeverWaitsForMoreOfAResponseOfUnknownLength) {
  get();
  answered("HTTP/1.1 200 OK\r\n\r\n");
  for (const std::string byte : {"a", "\n", "b"}) {
    EXPECT_EQ(answered(byte), "1\r\n" + byte + "\r\n");
  }
}

TEST_F(Behaviour33, HoldsTheOriginBackWhenTheClientDoesNotRead) {
  get();
  answered("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n");
  client_->stop_reading(true);
  origin().send(std::string(1'000'000, 'x'));
  EXPECT_TRUE(origin().blocked());
  EXPECT_LE(origin().sent(), kHeld + 1'000);
  client_->stop_reading(false);
  EXPECT_EQ(client_->take().size() + std::string_view("HTTP/1.1 200 OK\r\n\r\n").size() +
                std::string_view("Content-Length: 9000000\r\n").size(),
            origin().sent());
  origin().send(std::string(10'000, 'x'));
  EXPECT_FALSE(origin().blocked());
}

TEST_F(Behaviour34, CancelsTheOriginsRequestAtOnceWhereverItIs) {
  for (const std::string_view response :
       {"", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}) {
    answer_for(response);
    client_->reset();
    EXPECT_TRUE(origin().failure()) << response;
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour34, CancelsAnUpload) {
  for (const bool reset : {false, true}) {
    open();
    forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    if (reset) {
      client_->reset();
    } else {
      client_->end();
    }
    EXPECT_TRUE(origin().failure());
    EXPECT_FALSE(origin().ended()) << "what came must not look like the whole";
    EXPECT_TRUE(served_->closed());
  }
}

TEST_F(Behaviour34, CancelsAnUploadThatTheOriginDoesNotReadWhenItsClientEndsInTheMiddle) {
  for (const std::string head :
       {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nF4240\r\n"}) {
    for (const bool answering : {false, true}) {
      open();
      forwarded(head);
      if (answering) {
        EXPECT_EQ(answered(kChunkedOk), kChunkedOk);
      }
      origin().stop_reading(true);
      client_->send(std::string(900'000, 'x'));
      ASSERT_TRUE(client_->blocked());
      EXPECT_FALSE(served_->closed());
      client_->end();
      origin().stop_reading(false);
      EXPECT_TRUE(origin().failure()) << "and no time has passed";
      EXPECT_TRUE(served_->closed());
    }
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour34, CancelsAnUploadThatEndedInTheMiddleWhileWeConnected) {
  open();
  ends_->connecting = std::make_unique<net::Gate>(loop_);
  ends_->capacity = 1024;
  client_->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" +
                std::string(100'000, 'x'));
  client_->end();
  ends_->connecting->open();
  loop_.context().restart();
  while (loop_.context().poll() > 0) {
    loop_.context().restart();
  }
  EXPECT_TRUE(served_->closed());
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour36, AnUploadThatWasSentAsAWholeGoesOnBehindTheEndOfItsClient) {
  const std::string body(100'000, 'x');
  for (const bool chunked : {false, true}) {
    open();
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
    forwarded(head + (chunked ? "Transfer-Encoding: chunked\r\n\r\n0186A0;x=\"y\"\r\n"
                              : "Content-Length: 100000\r\n\r\n"));
    origin().stop_reading(true);
    client_->send(body + (chunked ? "\r\n0\r\nX-Sum: 1\r\n\r\n" : "") + std::string(kGet));
    ASSERT_FALSE(client_->blocked()) << "all of it is on its way";
    client_->end();
    advance(seconds(100));
    EXPECT_FALSE(served_->closed());
    origin().stop_reading(false);
    EXPECT_THAT(origin().take(), HasSubstr("xxx"));
    EXPECT_EQ(answered(kOk), kOk);
    EXPECT_EQ(origin().take(), kGet) << "and so does what is pipelined behind it";
  }
}

TEST_F(Behaviour36, TheEndOfAClientThatPipelinesMoreThanIsReadIsSeen) {
  get();
  client_->send(std::string(net::kPooledBufferSize + 1000, 'G'));
  ASSERT_FALSE(client_->blocked());
  client_->end();
  advance(Timeouts{}.half_closed - std::chrono::milliseconds(1));
  EXPECT_FALSE(origin().gone());
  advance(std::chrono::milliseconds(2));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour34, SendsNothingForAClientThatLeftWhileWeConnected) {
  open();
  ends_->connecting = std::make_unique<net::Gate>(loop_);
  client_->send(kGet);
  client_->reset();
  ends_->connecting->open();
  std::string got;
  loop_.context().restart();
  while (loop_.context().poll_one() > 0) {
    got += ends_->origins.empty() ? "" : origin().take_now();  // a reset hides what came before it
  }
  ASSERT_EQ(ends_->origins.size(), 1U);
  EXPECT_EQ(got, "");
  EXPECT_TRUE(origin().gone());
}

TEST_F(Behaviour35, AnOriginThatLeavesWithoutAnsweringIsA502) {
  for (const bool reset : {false, true}) {
    open({.hop = base::Hop::share});
    get();
    if (reset) {
      origin().reset();
    } else {
      origin().close();
    }
    EXPECT_THAT(client_->take(),
                AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("Simplon-Error: hop=target;")));
  }
}

TEST_F(Behaviour35, AnOriginThatLeavesDuringAnUploadIsToldToTheClient) {
  forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  origin().reset();
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("Connection: close")));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour35, AnOriginThatLeavesInItsResponseEndsTheClientsConnectionAtOnce) {
  for (const std::string_view response :
       {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
    answer_for(response);
    EXPECT_FALSE(client_->gone());
    origin().reset();
    EXPECT_TRUE(client_->gone());
    client_->send(kGet);
    EXPECT_EQ(client_->take(), "") << "there is nothing to go on with";
  }
}

TEST_F(Behaviour36, AnswersAClientThatEndedItsDirection) {
  get();
  client_->end();
  EXPECT_EQ(origin().take(), "");
  EXPECT_FALSE(origin().gone()) << "its end is not the request's";
  advance(seconds(2));
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Behaviour36, AnswersEveryPipelinedRequestOfIt) {
  open();
  client_->send(std::string(kGet) + "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  client_->end();
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_THAT(origin().take(), EndsWith("\r\n\r\nhi"));
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour36, GivesItAllOfALongStream) {
  get();
  client_->end();
  answered(kChunkedOk);
  for (int i = 0; i < 10; ++i) {
    advance(seconds(2));
    EXPECT_EQ(answered("1\r\nx\r\n"), "1\r\nx\r\n");
  }
}

TEST_F(Behaviour36, TakesItForGoneWhenTheOriginIsSilentToo) {
  get();
  client_->end();
  advance(seconds(4));
  EXPECT_TRUE(origin().failure());
  EXPECT_TRUE(client_->gone());
}

TEST_F(Behaviour37, RetriesOnAFreshConnectionWhenTheKeptOneHadEnded) {
  for (const std::string method : {"GET", "POST", "PATCH"}) {
    get();
    answered(kOk);
    const std::size_t before = ends_->origins.size();
    origin().close();
    EXPECT_THAT(forwarded(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),
                EndsWith("\r\n\r\nhi"))
        << "no byte had left: any method can go again";
    EXPECT_EQ(ends_->origins.size(), before + 1);
    EXPECT_EQ(answered(kOk), kOk);
  }
}

TEST_F(Behaviour37, RetriesAnIdempotentRequestThatGotNoAnswerOnce) {
  for (const std::string method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}) {
    open();
    get();
    answered(kOk);
    const std::string request =
        method + " /again HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    const std::size_t before = ends_->origins.size();
    EXPECT_EQ(forwarded(request), request);
    EXPECT_EQ(ends_->origins.size(), before);
    origin().close();
    client_->settle();
    ASSERT_EQ(ends_->origins.size(), before + 1) << method;
    EXPECT_EQ(origin().take(), request);
    origin().close();
    EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 ")) << "once only";
    EXPECT_EQ(ends_->origins.size(), before + 1);
  }
}

TEST_F(Behaviour37, ContinuesTheBodyOfARetriedRequest) {
  get();
  answered(kOk);
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
  origin().reset();
  client_->settle();
  ASSERT_EQ(ends_->origins.size(), 2U);
  EXPECT_THAT(origin().take(), EndsWith("\r\n\r\nabc"));
  EXPECT_EQ(forwarded("def"), "def");
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour37, DoesNotRepeatARequestThatMayHaveBeenProcessed) {
  for (const std::string method : {"POST", "PATCH", "get"}) {
    open();
    get();
    answered(kOk);
    const std::size_t before = ends_->origins.size();
    forwarded(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    origin().close();
    EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
    EXPECT_EQ(ends_->origins.size(), before) << method;
  }
}

TEST_F(Behaviour37, DoesNotRepeatABodyThatIsNotHeldAnyMore) {
  get();
  answered(kOk);
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n");
  client_->send(std::string(20'000, 'x'));
  client_->send(std::string(20'000, 'x'));
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour37, DoesNotRepeatARequestWhoseAnswerHadBegun) {
  get();
  answered(kOk);
  get();
  origin().send("HTTP/1.1 2");
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour37, DoesNotRepeatOnAConnectionThatWasFresh) {
  get();
  origin().close();
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour37, DoesNotRepeatBecauseTheOriginIsSlow) {
  get();
  answered(kOk);
  client_->send("DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n");
  client_->end();
  ASSERT_EQ(ends_->connects, 2);
  advance(Timeouts{}.half_closed + std::chrono::milliseconds(1));
  EXPECT_EQ(ends_->connects, 2);
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 504 "));
}

TEST_F(Behaviour38, KeepsBothConnections) {
  for (int i = 0; i < 3; ++i) {
    get();
    EXPECT_EQ(answered(kOk), kOk);
  }
  EXPECT_EQ(ends_->origins.size(), 1U);
  EXPECT_EQ(ends_->released, 3);
}

TEST_F(Behaviour38, TheOriginsCloseIsNotTheClients) {
  for (const std::string close :
       {"close", "Close", "keep-alive, CLOSE", "x\r\nConnection: close"}) {
    get();
    EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nConnection: " + close + "\r\nContent-Length: 0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(origin().gone());
    EXPECT_FALSE(client_->gone());
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour38, TheClientsCloseIsNotTheOrigins) {
  open();
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"), kGet);
  EXPECT_EQ(answered(kOk), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(ends_->released, 1);
  EXPECT_FALSE(origin().gone());
}

TEST_F(Behaviour38, AnHttp10OriginIsKeptOnlyIfItSaysSo) {
  get();
  EXPECT_EQ(answered("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), kOk);
  EXPECT_EQ(ends_->released, 0);
  EXPECT_TRUE(origin().gone());
  get();
  EXPECT_EQ(answered("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"),
            kOk);
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Behaviour38, AnHttp10ClientIsKeptOnlyIfItSaysSo) {
  open();
  for (int i = 0; i < 2; ++i) {
    client_->send("GET / HTTP/1.0\r\nConnection: x, keep-ALIVE\r\n\r\n");
    EXPECT_THAT(answered(kOk), HasSubstr("Connection: keep-alive\r\n"));
    EXPECT_FALSE(client_->gone());
  }
  client_->send("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
  EXPECT_THAT(answered(kOk), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour39, ReadsOnForAWhileAfterARefusal) {
  open();
  client_->send("GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n");
  EXPECT_TRUE(client_->ended()) << "our direction ends at once";
  client_->send(std::string(300'000, 'x'));
  EXPECT_FALSE(client_->write_failed()) << "a reset now could destroy the answer";
  EXPECT_FALSE(client_->failure());
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 400 "));
  EXPECT_FALSE(served_->closed());
  advance(seconds(1));
  EXPECT_TRUE(served_->closed());
}

TEST_F(Behaviour39, EndsWithTheClient) {
  open();
  client_->send("GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n");
  EXPECT_FALSE(served_->closed());
  client_->end();
  EXPECT_TRUE(served_->closed()) << "it has read the answer, or never will";
}

TEST_F(Behaviour39, ReadsOnBehindACutUpload) {
  open();
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  origin().reset();
  client_->send(std::string(300'000, 'x'));
  EXPECT_FALSE(client_->write_failed());
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 502 "));
  advance(seconds(1));
  EXPECT_TRUE(served_->closed());
}

}  // namespace
}  // namespace simplon::http
