#include "tunnel/idle_pool.hpp"

#include <gtest/gtest.h>

#include "net/memory.hpp"
#include "unit/net/harness.hpp"

namespace simplon::tunnel {
namespace {

class IdlePoolTest : public testing::Test {
 protected:
  net::StreamPtr idle() {
    auto [near_end, far_end] = net::make_memory_pair(loop_);
    far_ends_.push_back(far_end);
    pool_.put(near_end);
    return near_end;
  }

  base::ManualClock clock_;
  net::Loop loop_{clock_};
  IdlePool pool_{loop_};
  std::vector<net::StreamPtr> far_ends_;
};

TEST_F(IdlePoolTest, TheLastUsedIsTakenFirst) {
  const auto first = idle();
  const auto second = idle();
  EXPECT_EQ(pool_.take(), second);
  EXPECT_EQ(pool_.take(), first);
  EXPECT_EQ(pool_.take(), nullptr);
}

TEST_F(IdlePoolTest, AConnectionThatItsServerEndsIsDropped) {
  const auto first = idle();
  idle();
  far_ends_[0]->shutdown_send();
  net::test::settle(loop_);
  EXPECT_EQ(pool_.size(), 1U);
  EXPECT_TRUE(first->closed());
}

TEST_F(IdlePoolTest, BytesThatNobodyAskedForDropTheConnection) {
  const auto first = idle();
  (void)far_ends_[0]->try_write(net::as_buffer("HTTP/1.1 408 Request Timeout\r\n"));
  net::test::settle(loop_);
  EXPECT_EQ(pool_.take(), nullptr);
  EXPECT_TRUE(first->closed());
}

TEST_F(IdlePoolTest, OldConnectionsAreClosed) {
  const auto first = idle();
  clock_.advance(kMaxIdleTime / 2);
  const auto second = idle();
  clock_.advance(kMaxIdleTime / 2);
  net::test::settle(loop_);
  EXPECT_TRUE(first->closed());
  EXPECT_FALSE(second->closed());
  EXPECT_EQ(pool_.size(), 1U);
  clock_.advance(kMaxIdleTime / 2);
  net::test::settle(loop_);
  EXPECT_EQ(pool_.size(), 0U);
}

TEST_F(IdlePoolTest, HoldsSoManyAndNoneOnceClosed) {
  for (std::size_t i = 0; i < kMaxIdle + 5; ++i) {
    idle();
  }
  EXPECT_EQ(pool_.size(), kMaxIdle);
  pool_.close();
  EXPECT_EQ(pool_.size(), 0U);
  EXPECT_TRUE(idle()->closed());
}

}  // namespace
}  // namespace simplon::tunnel
