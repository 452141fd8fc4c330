#include "harness.hpp"

namespace simplon::tunnel::test {
namespace {

using testing::HasSubstr;

TEST_F(TunnelTest, AServerThatSpeaksFirstIsHeard) {
  Origin origin(loop_, greeter());
  share("smtp", origin.target("tcp"));
  Client client(loop_, address(access("smtp", Protocol::tcp)));
  EXPECT_EQ(client.until("\r\n"), "220 hello\r\n");
  client.clear();
  client.send("any bytes");
  EXPECT_EQ(client.until("bytes"), "any bytes");
  client.stream().shutdown_send();
  EXPECT_TRUE(client.ended());
  ASSERT_TRUE(until([&] { return host_.status("smtp")->counters.open_connections == 0; }));
  EXPECT_EQ(host_.status("smtp")->counters.bytes_in, 9U);
  EXPECT_EQ(guest_.status("smtp-access")->counters.bytes_out, 20U);
}

TEST_F(TunnelTest, ADeadTargetResetsARawClientAtOnce) {
  share("smtp", "tcp://localhost:" + dead_port());
  Client client(loop_, address(access("smtp", Protocol::tcp)));
  EXPECT_FALSE(client.ended());
  ASSERT_TRUE(until(
      [&] { return hop(*guest_.status("smtp-access"), kFarEndHop).state == HopState::down; }));
  EXPECT_THAT(guest_.status("smtp-access")->message, HasSubstr("target refused"));
  EXPECT_EQ(guest_.status("smtp-access")->phase, Phase::active);
}

TEST_F(TunnelTest, ARawClientOfAServiceThatNobodyHasIsReset) {
  Client client(loop_, address(access("nobody", Protocol::tcp)));
  EXPECT_FALSE(client.ended());
}

TEST_F(TunnelTest, AShareAnswersAProbeAndRefusesControlStreams) {
  Origin origin(loop_, greeter());
  share("smtp", origin.target("tcp"));
  const auto dial = [&](overlay::StreamKind kind) {
    overlay::DialOptions options;
    options.service = "smtp";
    options.kind = kind;
    options.connection_id = "0123";
    options.deadline = net::TimePoint::max();
    auto dialed = net::test::run(loop_, guest_network_.dial(loop_, options));
    return net::test::run(loop_, dialed->status->decided(loop_, net::TimePoint::max()));
  };
  EXPECT_EQ(dial(overlay::StreamKind::probe), overlay::OpenStatus::State::accepted);
  EXPECT_EQ(dial(overlay::StreamKind::control), overlay::OpenStatus::State::refused);
}

}  // namespace
}  // namespace simplon::tunnel::test
