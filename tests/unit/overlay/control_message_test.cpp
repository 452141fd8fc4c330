#include "overlay/embedded/control_message.hpp"

#include <simplon/link/v1/link.pb.h>

#include "net/memory.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using link::v1::HubMessage;
using link::v1::MemberMessage;

MemberMessage resolve(std::uint64_t id, const std::string& service) {
  MemberMessage message;
  message.set_id(id);
  message.mutable_resolve()->set_service(service);
  return message;
}

class ControlMessageTest : public testing::Test {
 protected:
  base::Result<bool> read(MemberMessage* into, std::size_t limit = kMaxControlMessage) {
    return net::test::run(loop, read_message(far, into, limit));
  }
  void put(const std::string& bytes) {
    ASSERT_EQ(near->try_write(net::as_buffer(bytes)).value_or(0), bytes.size());
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  std::pair<net::StreamPtr, net::StreamPtr> ends = net::make_memory_pair(loop);
  net::StreamPtr near = ends.first;
  net::StreamPtr far = ends.second;
};

TEST_F(ControlMessageTest, MessagesArriveInOrderAndTheEndBetweenThemIsNoError) {
  ControlWriter writer(near);
  ASSERT_TRUE(writer.write(resolve(1, "one")));
  ASSERT_TRUE(writer.write(resolve(2, "two")));
  near->shutdown_send();
  MemberMessage got;
  EXPECT_TRUE(read(&got).value());
  EXPECT_EQ(got.id(), 1U);
  EXPECT_TRUE(read(&got).value());
  EXPECT_EQ(got.resolve().service(), "two");
  EXPECT_FALSE(read(&got).value());
}

TEST_F(ControlMessageTest, ReadsNothingBeyondTheMessage) {
  put(encode_message(resolve(1, "one")).value() + "rest");
  MemberMessage got;
  ASSERT_TRUE(read(&got).value());
  EXPECT_EQ(net::test::read_now(*far), "rest");
}

TEST_F(ControlMessageTest, AMessageOverTheLimitIsRefusedByItsLengthAlone) {
  put(std::string("\x00\x01\x00\x01", 4));
  MemberMessage got;
  EXPECT_EQ(read(&got).error(), Errc::limit_exceeded);
}

TEST_F(ControlMessageTest, AnEmptyMessageIsAProtocolError) {
  put(std::string(4, '\0'));
  MemberMessage got;
  EXPECT_EQ(read(&got).error(), Errc::protocol_error);
}

TEST_F(ControlMessageTest, BytesThatAreNoMessageAreAProtocolError) {
  put(std::string("\x00\x00\x00\x02\xff\xff", 6));
  MemberMessage got;
  EXPECT_EQ(read(&got).error(), Errc::protocol_error);
}

TEST_F(ControlMessageTest, AnEndInsideLengthOrBodyIsTruncated) {
  for (const std::size_t kept : {2U, 6U}) {
    std::tie(near, far) = net::make_memory_pair(loop);
    put(encode_message(resolve(1, "one")).value().substr(0, kept));
    near->shutdown_send();
    MemberMessage got;
    EXPECT_EQ(read(&got).error(), Errc::truncated) << kept;
  }
}

TEST_F(ControlMessageTest, TheReceiveDeadlineEndsTheRead) {
  far->set_deadline(net::Direction::receive, clock.now() + std::chrono::seconds(1));
  put("\x01");
  MemberMessage got;
  const auto reading = net::test::start(loop, read_message(far, &got));
  net::test::settle(loop);
  EXPECT_FALSE(reading->has_value());
  clock.advance(std::chrono::seconds(2));
  net::test::settle(loop);
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((*reading)->error(), Errc::timed_out);
}

TEST_F(ControlMessageTest, WhatTheStreamDoesNotTakeFollowsLater) {
  std::tie(near, far) = net::make_memory_pair(loop, 100);
  ControlWriter writer(near);
  for (std::uint64_t id = 1; id <= 50; ++id) {
    ASSERT_TRUE(writer.write(resolve(id, "a-service-with-a-name")));
  }
  EXPECT_GT(writer.backlog(), 0U);
  MemberMessage got;
  for (std::uint64_t id = 1; id <= 50; ++id) {
    ASSERT_TRUE(read(&got).value());
    EXPECT_EQ(got.id(), id);
  }
  EXPECT_EQ(writer.backlog(), 0U);
}

TEST_F(ControlMessageTest, APeerThatDoesNotReadIsResetAtTheBacklogsLimit) {
  ControlWriter writer(near);
  const MemberMessage message = resolve(1, std::string(60'000, 'x'));
  int taken = 0;
  while (writer.write(message)) {
    ASSERT_LE(writer.backlog(), kMaxControlBacklog);
    ASSERT_LT(++taken, 100);
  }
  EXPECT_TRUE(near->closed());
  EXPECT_EQ(writer.write(message).error(), Errc::limit_exceeded);
}

TEST_F(ControlMessageTest, AMessageThatIsTooLongIsNotSent) {
  ControlWriter writer(near);
  EXPECT_EQ(writer.write(resolve(1, std::string(70'000, 'x'))).error(), Errc::limit_exceeded);
  EXPECT_FALSE(near->closed());
  EXPECT_TRUE(writer.write(resolve(2, "short")));
}

}  // namespace
}  // namespace simplon::overlay
