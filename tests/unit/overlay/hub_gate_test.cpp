#include "overlay/embedded/hub_gate.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "overlay/embedded/hub_directory.hpp"

namespace simplon::overlay {
namespace {

using std::chrono::seconds;

net::SocketAddress address(std::string_view ip) { return *net::SocketAddress::from_ip(ip, 1234); }

class HubGateTest : public testing::Test {
 protected:
  std::shared_ptr<HubGate> gate = std::make_shared<HubGate>();
  net::TimePoint now{std::chrono::hours(1)};
};

TEST_F(HubGateTest, ASourceIsAnAddressOrAnIpv6Network) {
  EXPECT_EQ(HubGate::source_of(address("192.0.2.7")), "192.0.2.7");
  EXPECT_EQ(HubGate::source_of(address("::ffff:192.0.2.7")), "192.0.2.7");
  EXPECT_EQ(HubGate::source_of(address("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(HubGate::source_of(address("2001:db8:1:2::9")), "2001:db8:1:2::/64");
}

TEST_F(HubGateTest, OneSourceCannotTakeAllPlaces) {
  std::vector<HubGate::Slot> held;
  while (auto slot = gate->admit("a")) {
    held.push_back(*std::move(slot));
  }
  EXPECT_EQ(held.size(), kMaxStrangersOfSource);
  EXPECT_TRUE(gate->admit("b"));
  held.pop_back();
  EXPECT_TRUE(gate->admit("a"));
}

TEST_F(HubGateTest, AllSourcesTogetherAreBounded) {
  std::vector<HubGate::Slot> held;
  for (int i = 0; i < 1000; ++i) {
    if (auto slot = gate->admit(std::to_string(i))) {
      held.push_back(*std::move(slot));
    }
  }
  EXPECT_EQ(held.size(), kMaxStrangers);
  held.clear();
  EXPECT_EQ(gate->strangers(), 0U);
  EXPECT_TRUE(gate->admit("a"));
}

TEST_F(HubGateTest, ASlotMayOutliveTheGatesOwnerAndIsReleasedOnce) {
  auto slot = *gate->admit("a");
  auto moved = std::move(slot);
  moved.release();
  moved.release();
  EXPECT_EQ(gate->strangers(), 0U);
  moved = *gate->admit("a");
  gate.reset();
}

TEST_F(HubGateTest, RefusalsOfASourceAreToldOnceAnInterval) {
  EXPECT_EQ(gate->refused("a", now), 1U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(gate->refused("a", now + seconds(1)), 0U);
  }
  EXPECT_EQ(gate->refused("a", now + kRefusalLogInterval), 11U);
  EXPECT_EQ(gate->refusals(), 12U);
}

TEST_F(HubGateTest, AFloodFromManySourcesIsNoFloodOfLines) {
  std::uint64_t lines = 0;
  for (int i = 0; i < 10'000; ++i) {
    lines += gate->refused(std::to_string(i), now) > 0 ? 1 : 0;
  }
  EXPECT_EQ(lines, 1024U);
  EXPECT_EQ(gate->refused("later", now + kRefusalLogInterval), 1U);
}

TEST_F(HubGateTest, FailedEnrollmentsAreLimitedForASourceAndInTotal) {
  for (std::size_t i = 0; i < kMaxFailuresOfSource; ++i) {
    EXPECT_TRUE(gate->may_enroll("a", now));
    gate->enrollment_failed("a", now);
  }
  EXPECT_FALSE(gate->may_enroll("a", now));
  EXPECT_TRUE(gate->may_enroll("b", now));
  for (std::size_t i = 0; i < kMaxFailures; ++i) {
    gate->enrollment_failed(std::to_string(i), now);
  }
  EXPECT_FALSE(gate->may_enroll("b", now));
  EXPECT_TRUE(gate->may_enroll("a", now + kFailureInterval));
}

class Someone final : public HubDirectory::Instance {
 public:
  Someone(std::string of, char instance) {
    spki = std::move(of);
    id = std::string(kInstanceBytes, instance);
  }
  bool offer(const std::string&, const Instance&) override { return true; }
};

TEST(HubDirectoryTest, InstancesOfOneMemberComeAndLeaveByThemselves) {
  HubDirectory directory;
  Someone one("a", '1');
  Someone two("a", '2');
  ASSERT_TRUE(directory.join(one));
  ASSERT_TRUE(directory.join(two));
  EXPECT_TRUE(directory.host(one, "web"));
  EXPECT_TRUE(directory.host(two, "web"));
  EXPECT_EQ(directory.members(), 1U);
  EXPECT_EQ(directory.instances_of("a"), 2U);
  EXPECT_EQ(directory.hosts("web").size(), 2U);
  directory.leave(one);
  directory.leave(one);
  EXPECT_EQ(directory.hosts("web"), std::vector<const HubDirectory::Instance*>{&two});
  EXPECT_EQ(directory.find(one.id), nullptr);
  directory.leave(two);
  EXPECT_TRUE(directory.hosts("web").empty());
  EXPECT_EQ(directory.members(), 0U);
}

TEST(HubDirectoryTest, AnIdIsOneInstances) {
  HubDirectory directory;
  Someone one("a", '1');
  Someone other("b", '1');
  ASSERT_TRUE(directory.join(one));
  EXPECT_FALSE(directory.join(other));
  directory.leave(other);
  EXPECT_EQ(directory.find(one.id), &one);
}

TEST(HubDirectoryTest, AnInstanceHostsABoundedNumberOfServices) {
  HubDirectory directory;
  Someone one("a", '1');
  ASSERT_TRUE(directory.join(one));
  for (std::size_t i = 0; i < kMaxServicesOfInstance; ++i) {
    ASSERT_TRUE(directory.host(one, std::to_string(i)));
  }
  EXPECT_FALSE(directory.host(one, "more"));
  EXPECT_TRUE(directory.host(one, "0"));
  directory.withdraw(one, "0");
  EXPECT_TRUE(directory.host(one, "more"));
}

}  // namespace
}  // namespace simplon::overlay
