// Websocket handshakes, and the bytes behind them.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using std::chrono::hours;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHandshake =
    "GET /chat?room=%2F1 HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\nOrigin: http://h\r\n\r\n";
const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST_F(Engine, ForwardsAHandshakeByteExactly) {
  EXPECT_EQ(forwarded(kHandshake),
            "GET /chat?room=%2F1 HTTP/1.1\r\nHost: h\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "Origin: http://h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(answered(kSwitch), kSwitch);
}

TEST_F(Engine, IsTransparentAfterA101) {
  forwarded(kHandshake);
  answered(kSwitch);
  EXPECT_EQ(forwarded("\x81\x85 GET / HTTP/1.1\r\n"), "\x81\x85 GET / HTTP/1.1\r\n");
  EXPECT_EQ(answered("\x81\x05hello"), "\x81\x05hello");
  advance(hours(100));
  EXPECT_EQ(forwarded("x"), "x") << "no timeout ends an idle websocket";
}

TEST_F(Engine, LosesNoBytesBehindTheHandshakeInEitherDirection) {
  open();
  client_->send(kHandshake + "early");
  EXPECT_THAT(origin().take(), Not(HasSubstr("early"))) << "not before the 101";
  EXPECT_EQ(answered(kSwitch + "frames"), kSwitch + "frames");
  EXPECT_EQ(origin().take(), "early");
  EXPECT_EQ(forwarded(" later"), " later");
}

TEST_F(Engine, PassesEachDirectionsEndOfAWebsocket) {
  forwarded(kHandshake);
  answered(kSwitch);
  client_->end();
  EXPECT_TRUE(origin().ended());
  EXPECT_EQ(answered("bye"), "bye");
  origin().end();
  EXPECT_TRUE(client_->ended());
  ASSERT_EQ(ends_->outcomes.size(), 1U);
  EXPECT_TRUE(ends_->outcomes[0].upgraded);
  EXPECT_EQ(ends_->outcomes[0].status, 101);
  EXPECT_EQ(ends_->outcomes[0].bytes_out, 3U);
}

TEST_F(Engine, PassesAResetOfAWebsocket) {
  forwarded(kHandshake);
  answered(kSwitch);
  origin().reset();
  EXPECT_TRUE(client_->failure());
}

TEST_F(Engine, LeavesWebsocketsAloneOnDrain) {
  forwarded(kHandshake);
  answered(kSwitch);
  drain_->request();
  EXPECT_EQ(forwarded("on"), "on");
}

TEST_F(Engine, RelaysARefusedHandshakeAndKeepsTheConnection) {
  forwarded(kHandshake);
  const std::string no =
      "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n"
      "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nno";
  EXPECT_EQ(answered(no), no);
  get();
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Engine, Answers502ToASwitchToAnotherProtocol) {
  forwarded(kHandshake);
  EXPECT_THAT(answered("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
  EXPECT_TRUE(origin().gone());
}

TEST_F(Engine, NeverForwardsAnUpgradeToH2c) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
            kGet);
}

}  // namespace
}  // namespace simplon::http
