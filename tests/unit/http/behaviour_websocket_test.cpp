// Websockets: the handshake, and then nothing but bytes: behaviours 52 to 61, 63 and 64.
#include "engine_fixture.hpp"
#include "net/buffer_pool.hpp"

namespace simplon::http {
namespace {

using std::chrono::hours;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Websocket : public Engine {
 protected:
  /// A websocket of a new client.
  void upgrade() {
    open();
    forwarded(kHandshake);
    EXPECT_EQ(answered(kSwitch), kSwitch);
  }
};

/// What is a handshake.
using Behaviour52 = Engine;
/// No other upgrade.
using Behaviour53 = Engine;
/// The fields of the handshake.
using Behaviour54 = Engine;
/// Answers other than 101.
using Behaviour55 = Engine;
/// Switches that nobody asked for.
using Behaviour56 = Engine;
/// Bytes behind the handshake.
using Behaviour57 = Engine;
/// A handshake with a body.
using Behaviour58 = Engine;
/// Bytes are bytes.
using Behaviour59 = Websocket;
/// Control frames.
using Behaviour60 = Websocket;
/// How it ends.
using Behaviour61 = Websocket;
/// Many of them.
using Behaviour63 = Engine;
/// Slow readers.
using Behaviour64 = Websocket;

std::string handshake(const std::string& line, const std::string& fields) {
  return line + "\r\nHost: h\r\n" + fields + "\r\n";
}

/// A frame (RFC 6455 §5.2) whose first byte is `head`; masked, as clients send, or not.
std::string frame(unsigned head, const std::string& payload, bool masked) {
  std::string out(1, static_cast<char>(head));
  const unsigned mask_bit = masked ? 0x80 : 0;
  const std::size_t size = payload.size();
  const int wide = size < 126 ? 0 : size < 65536 ? 2 : 8;
  out += static_cast<char>(mask_bit | (wide == 0 ? size : wide == 2 ? 126U : 127U));
  for (int shift = 8 * (wide - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>((size >> static_cast<unsigned>(shift)) & 0xff);
  }
  const std::string key = masked ? "\x12\x34\x56\x78" : "";
  out += key;
  for (std::size_t i = 0; i < size; ++i) {
    out += static_cast<char>(payload[i] ^ (masked ? key[i % 4] : 0));
  }
  return out;
}

TEST_F(Behaviour52, TokensAreReadInAnyCaseAndInLists) {
  for (const std::string fields :
       {"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n",
        "connection: uPGRADE\r\nUPGRADE: WEBSOCKET\r\n",
        "Connection: keep-alive\r\nUpgrade: websocket\r\nConnection: ,upgrade,\r\n",
        "Connection:Upgrade\t\r\nUpgrade: irc, websocket\r\n"}) {
    open();
    EXPECT_EQ(forwarded(handshake("GET /ws HTTP/1.1", fields)),
              "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        << fields;
    EXPECT_EQ(answered("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
                       "CONNECTION: x, upgrade\r\n\r\n"),
              "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "\r\n");
    EXPECT_EQ(forwarded("bytes"), "bytes");
  }
}

TEST_F(Behaviour52, OnlyAGetOfHttp11WithBothFieldsIsOne) {
  const std::string both = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  for (const auto& [line, fields] :
       {std::pair<std::string, std::string>{"POST / HTTP/1.1", both},
        {"get / HTTP/1.1", both},
        {"HEAD / HTTP/1.1", both},
        {"GET / HTTP/1.0", both},
        {"GET / HTTP/1.1", "Upgrade: websocket\r\n"},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\n"},
        {"GET / HTTP/1.1", "Connection: Upgrades\r\nUpgrade: websocket\r\n"},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websockets\r\n"},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: \"websocket\"\r\n"}}) {
    open();
    EXPECT_EQ(forwarded(handshake(line, fields)),
              line.substr(0, line.find(" HTTP")) + " HTTP/1.1\r\nHost: h\r\n\r\n")
        << line << fields;
    EXPECT_THAT(answered(kSwitch), StartsWith("HTTP/1.1 502 ")) << "so it cannot be switched";
  }
}

TEST_F(Behaviour53, NeverForwardsAnUpgradeToH2c) {
  open();
  EXPECT_EQ(forwarded(handshake("GET / HTTP/1.1",
                                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                "HTTP2-Settings: AAMAAABk\r\n")),
            kGet);
  EXPECT_EQ(answered(kOk), kOk) << "an ordinary request";
}

TEST_F(Behaviour53, NorAnyOther) {
  for (const std::string protocol :
       {"H2C", "h2", "TLS/1.0", "irc/6.9", "websocket/13", "connect-udp", "foo,,bar", ""}) {
    open();
    EXPECT_EQ(forwarded(handshake("GET / HTTP/1.1",
                                  "Connection: Upgrade\r\nUpgrade: " + protocol + "\r\n")),
              kGet)
        << protocol;
  }
}

TEST_F(Behaviour53, NorBesideWebsocket) {
  open();
  EXPECT_EQ(
      forwarded(handshake("GET / HTTP/1.1",
                          "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
                          "Upgrade: h2c, websocket\r\nUpgrade: TLS/1.0\r\n")),
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST_F(Behaviour54, FieldsPassByteForByteAndOnce) {
  const std::string fields =
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
      "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: third\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=\"10\",x;y\r\n"
      "Origin: http://h:80\r\nCookie: a=b; c=\"d\"\r\n";
  EXPECT_EQ(
      forwarded(
          handshake("GET /ws HTTP/1.1", fields + "Connection: Upgrade\r\nUpgrade: websocket\r\n")),
      handshake("GET /ws HTTP/1.1", fields + "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  const std::string accepted =
      "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
      "sec-websocket-extensions: permessage-deflate; a=\"b\"\r\nSet-Cookie: a=1\r\n"
      "Set-Cookie: b=2\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  EXPECT_EQ(answered(accepted), accepted);
}

TEST_F(Behaviour54, NothingIsCheckedThatTheEndsCheck) {
  const std::string odd =
      "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 8, 13\r\nSec-WebSocket-Key: twice\r\n";
  EXPECT_THAT(
      forwarded(handshake("GET / HTTP/1.1", odd + "Connection: Upgrade\r\nUpgrade: websocket\r\n")),
      HasSubstr(odd));
}

TEST_F(Behaviour55, AnotherAnswerIsAnOrdinaryResponseAndTheConnectionsGoOn) {
  for (const std::string response :
       {"HTTP/1.1 401 Unauthorized\r\nDate: x\r\nWWW-Authenticate: Basic\r\nContent-Length: "
        "2\r\n\r\nno",
        "HTTP/1.1 302 Found\r\nDate: x\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nSec-WebSocket-Version: 13, 8\r\n"
        "Content-Length: 2\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nno"}) {
    EXPECT_THAT(forwarded(kHandshake), HasSubstr("Upgrade: websocket\r\n"));
    EXPECT_EQ(answered(response), response);
    EXPECT_FALSE(client_->gone());
  }
  EXPECT_EQ(ends_->released, 4);
  EXPECT_EQ(ends_->origins.size(), 1U);
  get();
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour55, InterimResponsesBeforeItPass) {
  forwarded(kHandshake);
  EXPECT_EQ(answered("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kSwitch),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kSwitch);
  EXPECT_EQ(forwarded("bytes"), "bytes");
}

TEST_F(Behaviour56, A101ThatNobodyAskedForIsA502AndTheOriginIsClosed) {
  EXPECT_THAT(answer_for(kSwitch + "frames"),
              AllOf(StartsWith("HTTP/1.1 502 "), Not(HasSubstr("frames"))));
  EXPECT_TRUE(origin().gone());
  EXPECT_FALSE(client_->gone());
}

TEST_F(Behaviour56, ASwitchToAnythingElseIsToo) {
  for (const std::string fields :
       {"Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n", "", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"}) {
    open();
    forwarded(kHandshake);
    EXPECT_THAT(answered("HTTP/1.1 101 S\r\n" + fields + "\r\nframes"),
                AllOf(StartsWith("HTTP/1.1 502 "), Not(HasSubstr("frames"))))
        << fields;
    EXPECT_TRUE(origin().gone()) << fields;
  }
  open();
  forwarded(kHandshake);
  EXPECT_THAT(answered("HTTP/1.0 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour57, BytesBehindEitherHandshakeAreNotLost) {
  open();
  client_->send(kHandshake + "early");
  EXPECT_EQ(origin().take(), kHandshake) << "nothing before the 101";
  client_->send(" and");
  EXPECT_EQ(answered(kSwitch + "frames"), kSwitch + "frames");
  EXPECT_EQ(origin().take(), "early and");
  EXPECT_EQ(forwarded(" later"), " later");
  EXPECT_EQ(answered(" more"), " more");
}

TEST_F(Behaviour57, HoweverMany) {
  open();
  const std::string early = net::test::pattern(50'000);
  client_->send(kHandshake + early);
  const std::string frames = net::test::pattern(40'000);
  EXPECT_EQ(answered(kSwitch + frames), kSwitch + frames);
  EXPECT_EQ(origin().take(), kHandshake + early);
}

TEST_F(Behaviour57, BytesBehindARefusedHandshakeAreNoFrames) {
  open();
  client_->send(kHandshake + frame(0x81, "hi", true));
  EXPECT_THAT(answered("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("HTTP/1.1 400 ")));
  EXPECT_EQ(origin().take(), kHandshake);
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour58, AHandshakeWithABodyIsRefused) {
  const std::string both = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  for (const std::string framing : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
                                    "Content-Length: 1\r\nExpect: 100-continue\r\n"}) {
    EXPECT_EQ(refusal(handshake("GET / HTTP/1.1", framing + both)), 400) << framing;
  }
  open();
  EXPECT_THAT(forwarded(handshake("GET / HTTP/1.1", "Content-Length: 0\r\n" + both)),
              HasSubstr("Upgrade: websocket\r\n"))
      << "an empty one is none";
}

TEST_F(Behaviour59, EveryFramePassesByteForByteInBothDirections) {
  upgrade();
  std::string all;
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 127UL, 65'535UL, 65'536UL, 100'000UL}) {
    all += frame(0x82, net::test::pattern(size), true);
  }
  all += frame(0x01, "frag", true) + frame(0x89, "ping between", true) + frame(0x00, "men", true) +
         frame(0x8a, "", true) + frame(0x80, "ted", true);
  all += frame(0xc1, "compressed", true) + frame(0xb1, "reserved", true) + frame(0x83, "?", true);
  std::string seen;
  for (std::size_t at = 0; at < all.size(); at += 30'000) {
    seen += forwarded(std::string_view(all).substr(at, 30'000));
  }
  EXPECT_TRUE(seen == all);
  seen.clear();
  for (std::size_t at = 0; at < all.size(); at += 30'000) {
    seen += answered(std::string_view(all).substr(at, 30'000));
  }
  EXPECT_TRUE(seen == all) << "masked or not is the ends' matter";
}

TEST_F(Behaviour59, LengthsOf64BitsAreNotRead) {
  upgrade();
  const std::string huge("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
  EXPECT_EQ(forwarded(huge + "any"), huge + "any");
  EXPECT_EQ(answered(std::string("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)),
            std::string("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10));
}

TEST_F(Behaviour59, SingleBytesPassInTheTurnInWhichTheyWereRead) {
  upgrade();
  for (const char byte : frame(0x81, "hello", true)) {
    EXPECT_EQ(passed_in_one_turn({&byte, 1}, *client_, origin()), std::string(1, byte));
  }
  for (const char byte : frame(0x81, "hello", false)) {
    EXPECT_EQ(passed_in_one_turn({&byte, 1}, origin(), *client_), std::string(1, byte));
  }
}

TEST_F(Behaviour59, WhatLooksLikeHttpIsNot) {
  upgrade();
  EXPECT_EQ(forwarded(kGet), kGet);
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(forwarded("\r\n\r\nbad \x01 request\r\n"), "\r\n\r\nbad \x01 request\r\n");
  EXPECT_EQ(ends_->connects, 1);
}

TEST_F(Behaviour60, ControlFramesPassAndNobodyElseAnswersThem) {
  upgrade();
  for (const unsigned head : {0x89U, 0x8aU, 0x88U}) {
    const std::string sent = frame(head, "\x03\xe8payload", true);
    EXPECT_EQ(forwarded(sent), sent);
    EXPECT_EQ(client_->take(), "") << "the far end answers, or nobody";
    const std::string back = frame(head, "\x03\xe8payload", false);
    EXPECT_EQ(answered(back), back);
    EXPECT_EQ(origin().take(), "");
  }
  EXPECT_FALSE(client_->gone()) << "a close frame closes nothing here";
  EXPECT_FALSE(origin().gone());
}

TEST_F(Behaviour60, NoPingIsMadeHere) {
  upgrade();
  advance(hours(1'000));
  EXPECT_EQ(client_->take(), "");
  EXPECT_EQ(origin().take(), "");
}

TEST_F(Behaviour61, EachDirectionEndsByItself) {
  upgrade();
  client_->end();
  EXPECT_TRUE(origin().ended());
  EXPECT_FALSE(client_->gone());
  advance(hours(1));
  EXPECT_EQ(answered("bye"), "bye") << "it waits for the other one";
  origin().end();
  EXPECT_TRUE(client_->ended());
  EXPECT_FALSE(client_->failure());
  EXPECT_TRUE(served_->closed());
  ASSERT_EQ(ends_->outcomes.size(), 1U);
  EXPECT_TRUE(ends_->outcomes[0].upgraded);
  EXPECT_EQ(ends_->outcomes[0].status, 101);
  EXPECT_EQ(ends_->outcomes[0].bytes_in, 0U);
  EXPECT_EQ(ends_->outcomes[0].bytes_out, 3U);
  upgrade();
  origin().end();
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(forwarded("late"), "late");
  EXPECT_FALSE(origin().gone());
  client_->end();
  EXPECT_TRUE(origin().ended());
}

TEST_F(Behaviour61, AResetIsAResetOnTheOtherSide) {
  upgrade();
  origin().reset();
  EXPECT_TRUE(client_->failure());
  EXPECT_FALSE(client_->ended());
  EXPECT_EQ(client_->take(), "") << "no close frame of ours";
  upgrade();
  client_->reset();
  EXPECT_TRUE(origin().failure());
  EXPECT_FALSE(origin().ended());
}

TEST_F(Behaviour61, BytesBeforeTheEndArriveBeforeIt) {
  upgrade();
  origin().send(frame(0x88, "\x03\xe8", false));
  origin().close();
  EXPECT_EQ(client_->take(), frame(0x88, "\x03\xe8", false));
  EXPECT_TRUE(client_->gone());
}

TEST_F(Behaviour61, ADrainInjectsNothingAndEndsNothing) {
  upgrade();
  drain_->request();
  EXPECT_EQ(client_->take(), "");
  EXPECT_EQ(origin().take(), "");
  EXPECT_FALSE(client_->gone());
  EXPECT_EQ(forwarded("on"), "on");
  EXPECT_EQ(answered("and on"), "and on");
}

struct Opened {
  std::unique_ptr<RawPeer> client;
  RawPeer* origin;
};

TEST_F(Behaviour63, TenThousandIdleOnesLive) {
  constexpr std::size_t kMany = 10'000;
  const auto buffers = net::pooled_buffers_in_use();
  std::vector<Opened> all;
  for (std::size_t i = 0; i < kMany; ++i) {
    open();
    client_->send(kHandshake);
    origin().send(kSwitch);
    all.push_back({std::move(client_), &origin()});
  }
  clock_.advance(hours(24));
  net::test::settle(loop_);
  for (const Opened& each : all) {
    each.client->take_now();
    each.origin->take_now();
  }
  EXPECT_EQ(net::pooled_buffers_in_use(), buffers) << "an idle one holds none";
  std::size_t alive = 0;
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string text = std::to_string(i);
    all[i].client->send(text);
    alive += all[i].origin->take() == text ? 1 : 0;
    all[i].origin->send(text);
    alive += all[i].client->take() == text ? 1 : 0;
  }
  EXPECT_EQ(alive, 2 * kMany) << "each its own bytes";
}

TEST_F(Behaviour63, ABurstOfAThousandIsServedInOneGo) {
  constexpr std::size_t kBurst = 1'000;
  std::vector<std::unique_ptr<RawPeer>> clients;
  const auto policy = std::make_shared<const Policy>();
  for (std::size_t i = 0; i < kBurst; ++i) {
    auto [theirs, ours] = net::make_memory_pair(loop_);
    ASSERT_TRUE(theirs->try_write(net::as_buffer(kHandshake)));
    net::spawn(loop_, "serve", serve(ours, ends_, policy, Client{}, "id", drain_));
    clients.push_back(std::make_unique<RawPeer>(theirs));
  }
  net::test::settle(loop_);
  ASSERT_EQ(ends_->origins.size(), kBurst);
  for (const auto& origin : ends_->origins) {
    ASSERT_TRUE(origin->stream().try_write(net::as_buffer(kSwitch)));
  }
  net::test::settle(loop_);
  std::size_t switched = 0;
  for (const auto& client : clients) {
    switched += client->take() == kSwitch ? 1 : 0;
  }
  EXPECT_EQ(switched, kBurst);
}

TEST_F(Behaviour64, ASlowReaderBlocksItsSenderInBoundedMemory) {
  const auto buffers = net::pooled_buffers_in_use();
  upgrade();
  client_->stop_reading(true);
  origin().send(std::string(4'000'000, 'x'));
  EXPECT_TRUE(origin().blocked());
  EXPECT_LE(origin().sent(), 3U * 64 * 1024 + kSwitch.size());
  origin().stop_reading(true);
  client_->send(std::string(4'000'000, 'y'));
  EXPECT_TRUE(client_->blocked());
  EXPECT_LE(client_->sent(), 3U * 64 * 1024 + kHandshake.size());
  EXPECT_LE(net::pooled_buffers_in_use() - buffers, 6) << "two pipes and the splice's, both ways";
  advance(hours(10));
  client_->stop_reading(false);
  EXPECT_EQ(client_->take().size() + kSwitch.size(), origin().sent()) << "slow is not dead";
  origin().stop_reading(false);
  EXPECT_EQ(origin().take().size() + kHandshake.size(), client_->sent());
}

TEST_F(Behaviour64, ItsOtherDirectionAndItsSiblingsAreUnaffected) {
  upgrade();
  const auto slow = std::move(client_);
  RawPeer& slow_origin = origin();
  slow->stop_reading(true);
  slow_origin.send(std::string(1'000'000, 'x'));
  ASSERT_TRUE(slow_origin.blocked());
  slow->send("up");
  EXPECT_EQ(slow_origin.take(), "up");
  upgrade();
  EXPECT_EQ(passed_in_one_turn("fast", *client_, origin()), "fast");
  EXPECT_EQ(passed_in_one_turn("fast", origin(), *client_), "fast");
}

}  // namespace
}  // namespace simplon::http
