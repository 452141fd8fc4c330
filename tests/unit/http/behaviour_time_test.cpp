// Behaviours 20 and 62: what is too slow ends, and what is merely quiet does not.
#include "engine_fixture.hpp"
#include "http/pipeline.hpp"
#include "net/buffer_pool.hpp"

namespace simplon::http {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// A slow client is refused, a silent one is let go (RFC 9110 §15.5.9).
using Behaviour20 = Engine;
/// A quiet path is no dead path.
using Behaviour62 = Engine;

const std::string kHandshake =
    "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const std::string kLongUpload =
    "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n";

Policy unlimited() {
  Policy policy;
  policy.timeouts.head = policy.timeouts.idle = policy.timeouts.body = milliseconds(0);
  policy.timeouts.half_closed = milliseconds(0);
  return policy;
}

TEST(Timeouts, AreThoseOfTheDocumentation) {
  const Timeouts defaults;
  EXPECT_EQ(defaults.head, seconds(60));
  EXPECT_EQ(defaults.idle, seconds(120));
  EXPECT_EQ(defaults.connect, seconds(5));
  EXPECT_EQ(defaults.first_byte, seconds(0));
  EXPECT_EQ(defaults.body, seconds(120));
  EXPECT_EQ(defaults.websocket_idle, seconds(0));
  EXPECT_EQ(defaults.half_closed, seconds(3));
}

TEST(Timeouts, ZeroAndCenturiesAreNoLimit) {
  const net::TimePoint now{hours(1)};
  EXPECT_EQ(over_at(now, milliseconds(5)), now + milliseconds(5));
  EXPECT_EQ(over_at(now, milliseconds(0)), net::TimePoint::max());
  EXPECT_EQ(over_at(now, milliseconds::max()), net::TimePoint::max());
}

TEST_F(Behaviour20, AHeadThatTakesTooLongIsA408HoweverItDrips) {
  open();
  client_->send("GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 59; ++i) {
    advance(seconds(1));
    client_->send("X-A: b\r\n");
  }
  EXPECT_EQ(client_->take(), "");
  advance(seconds(1));
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("head_timed_out"),
                                     HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(ends_->connects, 0);
}

TEST_F(Behaviour20, TheTimeOfAHeadBeginsWithItsFirstByte) {
  get();
  answered(kOk);
  advance(seconds(119));
  client_->send("GET / HTTP/1.1\r\n");
  advance(seconds(59));
  EXPECT_FALSE(client_->gone());
  EXPECT_THAT(forwarded("Host: h\r\n\r\n"), StartsWith("GET / "));
}

TEST_F(Behaviour20, EmptyLinesAreTheBeginningOfAHead) {
  open();
  client_->send("\r\n");
  advance(seconds(61));
  EXPECT_THAT(client_->take(), AnyOf(StartsWith("HTTP/1.1 408 "), ""));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour20, ABodyThatStopsIsA408AndTheOriginsRequestIsCut) {
  open();
  client_->send(kLongUpload + "some");
  for (int i = 0; i < 10; ++i) {
    advance(seconds(100));
    client_->send(std::string(kBodyStride, 'x'));
  }
  EXPECT_EQ(client_->take(), "");
  advance(seconds(121));
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("body_timed_out"),
                                     HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour20, ABodyThatDripsIsA408) {
  open();
  client_->send(kLongUpload);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(client_->take(), "") << i;
    advance(seconds(10));
    client_->send("x");
  }
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("body_timed_out")));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour20, ABodyThatIsSlowForAllToSeeIsNone) {
  // 1 KiB in less than two minutes; the time that the origin takes to read does not count.
  open();
  client_->send(kLongUpload);
  for (int i = 0; i < 100; ++i) {
    advance(seconds(29));
    client_->send(std::string(kBodyStride / 4, 'x'));
  }
  origin().take();
  origin().stop_reading(true);
  client_->send(std::string(1'000'000, 'x'));
  ASSERT_TRUE(client_->blocked());
  advance(hours(1));
  origin().stop_reading(false);
  origin().take();
  advance(seconds(119));
  EXPECT_THAT(forwarded("y"), EndsWith("y"));
  EXPECT_FALSE(client_->gone());
  // Nor does what comes beside a response that has begun.
  answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) {
    advance(seconds(119));
    EXPECT_EQ(forwarded("y"), "y");
  }
}

TEST_F(Behaviour20, AClientThatNeverAsksIsLetGoWithoutAWord) {
  open();
  advance(seconds(61));
  EXPECT_EQ(client_->take(), "");
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour20, AKeptConnectionThatNobodyUsesIsClosed) {
  get();
  answered(kOk);
  advance(seconds(119));
  EXPECT_FALSE(client_->gone());
  advance(seconds(2));
  EXPECT_EQ(client_->take(), "");
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour20, EachLimitIsThePolicys) {
  Policy policy;
  policy.timeouts.head = seconds(2);
  policy.timeouts.idle = seconds(4);
  policy.timeouts.body = seconds(3);
  open(policy);
  client_->send("GET");
  advance(seconds(3));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  open(policy);
  client_->send(kLongUpload);
  advance(seconds(4));
  EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 "));
  open(policy);
  get();
  answered(kOk);
  advance(seconds(3));
  EXPECT_FALSE(client_->gone());
  advance(seconds(2));
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour20, ZeroLiftsIt) {
  open(unlimited());
  advance(hours(1000));
  client_->send("GET");
  advance(hours(1000));
  EXPECT_THAT(forwarded(" / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("GET / "));
  EXPECT_EQ(answered(kOk), kOk);
  advance(hours(1000));
  client_->send(kLongUpload);
  advance(hours(1000));
  EXPECT_THAT(forwarded("body"), EndsWith("body"));
  open(unlimited());
  get();
  client_->end();
  advance(hours(1000));
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour20, AClientThatPipelinesWithoutEndIsReadNoFurtherThanOneBuffer) {
  get();
  std::string many;
  for (int i = 0; i < 10'000; ++i) {
    many += kGet;
  }
  client_->send(many);
  EXPECT_TRUE(client_->blocked());
  EXPECT_EQ(ends_->connects, 1) << "one request at a time";
  EXPECT_EQ(origin().take(), "");
  // All that has left the client is in its pipe, and in the one buffer of the connection.
  EXPECT_LE(client_->sent(), kGet.size() + net::kMemoryCapacity + net::kPooledBufferSize);
  // The first answer lets the next request go.
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(origin().take(), kGet);
}

TEST_F(Behaviour20, ARequestThatWaitedBehindTooManyIsA503AndCounted) {
  get();
  for (std::size_t i = 0; i < kMostPipelined + 1; ++i) {
    client_->send(kGet);
  }
  for (std::size_t i = 0; i < kMostPipelined; ++i) {
    ASSERT_EQ(answered(kOk), kOk) << i;
  }
  EXPECT_THAT(
      answered(kOk),
      AllOf(StartsWith(kOk), HasSubstr("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1\r\n"),
            HasSubstr("reason=too_many_pipelined\r\n"), HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(ends_->outcomes.size(), kMostPipelined + 2);
  EXPECT_EQ(ends_->outcomes.back().status, 503);
  EXPECT_EQ(ends_->released, static_cast<int>(kMostPipelined) + 1);
}

TEST_F(Behaviour20, AsManyMayWaitAsTheLimitSaysForEver) {
  get();
  for (std::size_t i = 0; i < kMostPipelined; ++i) {
    client_->send(kGet);
  }
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_EQ(answered(kOk), kOk);
    client_->send(kGet);
  }
  EXPECT_FALSE(client_->gone());
}

TEST_F(Behaviour62, AnIdleWebsocketIsAliveForAsLongAsItLikes) {
  forwarded(kHandshake);
  EXPECT_EQ(answered(kSwitch), kSwitch);
  for (int i = 0; i < 100; ++i) {
    advance(hours(1));
  }
  EXPECT_EQ(forwarded("x"), "x");
  EXPECT_EQ(answered("y"), "y");
}

TEST_F(Behaviour62, AnIdleLimitThatIsAskedForResetsBothEnds) {
  Policy policy;
  policy.timeouts.websocket_idle = seconds(60);
  open(policy);
  forwarded(kHandshake);
  EXPECT_EQ(answered(kSwitch), kSwitch);
  for (int i = 0; i < 10; ++i) {  // a byte in either direction is enough
    advance(seconds(50));
    EXPECT_EQ(i % 2 == 0 ? forwarded("x") : answered("x"), "x");
  }
  advance(seconds(59));
  EXPECT_FALSE(client_->gone());
  advance(seconds(2));
  EXPECT_TRUE(client_->failure());
  EXPECT_TRUE(origin().failure());
  ASSERT_EQ(ends_->outcomes.size(), 1U);
  EXPECT_TRUE(ends_->outcomes[0].upgraded);
}

TEST_F(Behaviour62, ALongPollAndAQuietStreamOfEventsHaveNoLimit) {
  get("/poll");
  advance(hours(1000));
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  advance(hours(1000));
  EXPECT_EQ(answered("2\r\nhi\r\n"), "2\r\nhi\r\n");
  advance(hours(1000));
  EXPECT_EQ(answered("0\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(Behaviour62, NeitherHasOneWhoseClientHasFilledItsBuffer) {
  get("/poll");
  client_->send(std::string(1'000'000, 'G'));
  advance(hours(1000));
  EXPECT_THAT(answered(kOk), StartsWith(kOk));
}

TEST_F(Behaviour62, NorAnUploadThatTheOriginTakesItsTimeToRead) {
  open();
  client_->send(kLongUpload);
  origin().take();
  origin().stop_reading(true);
  client_->send(std::string(1'000'000, 'x'));
  ASSERT_TRUE(client_->blocked());
  advance(hours(1000));
  EXPECT_FALSE(client_->gone());
  origin().stop_reading(false);
  EXPECT_GT(origin().take().size(), net::kMemoryCapacity);
  EXPECT_FALSE(client_->gone());
}

TEST_F(Behaviour62, AClientThatIsResetIsSeenToBeGoneAlthoughNobodyReadsIt) {
  get("/poll");
  client_->send(std::string(1'000'000, 'G'));
  ASSERT_TRUE(client_->blocked());
  client_->reset();
  EXPECT_TRUE(origin().failure());
  // The same in the middle of an upload that the origin does not read.
  open();
  client_->send(kLongUpload);
  origin().take();
  origin().stop_reading(true);
  client_->send(std::string(1'000'000, 'x'));
  client_->reset();
  origin().stop_reading(false);
  EXPECT_TRUE(origin().failure());
}

}  // namespace
}  // namespace simplon::http
