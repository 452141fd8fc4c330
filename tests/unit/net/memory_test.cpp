#include "net/memory.hpp"

#include <gmock/gmock.h>

#include "net/buffer_pool.hpp"
#include "unit/net/harness.hpp"

namespace simplon::net::test {
namespace {

class MemoryOfCapacity : public testing::TestWithParam<std::size_t> {
 protected:
  base::ManualClock clock;
  Loop loop{clock};
};

TEST_P(MemoryOfCapacity, BytesKeepTheirOrder) {
  const auto before = pooled_buffers_in_use();
  const auto [here, there] = make_memory_pair(loop, GetParam());
  const std::string text = pattern(10'007);
  const auto sent = start(loop, send(here, text, true));
  std::string got;
  // Pieces that wrap around the ring at ever other places.
  for (std::size_t i = 1; got.size() < text.size(); i = i % 97 + 1) {
    got += run(loop, read_count(there, std::min(i, text.size() - got.size()))).value();
  }
  EXPECT_EQ(got, text);
  EXPECT_EQ(run(loop, read_to_end(there)), "");
  EXPECT_EQ(pooled_buffers_in_use(), before);
}

TEST_P(MemoryOfCapacity, HoldsNoMoreThanThat) {
  const auto [here, there] = make_memory_pair(loop, GetParam());
  const std::string text(GetParam() + 1, 'x');
  EXPECT_EQ(here->try_write(as_buffer(text)), GetParam());
  EXPECT_EQ(error_of(here->try_write(as_buffer(text))), Errc::would_block);
}

INSTANTIATE_TEST_SUITE_P(Memory, MemoryOfCapacity,
                         testing::Values(1U, 2U, 100U, kMemoryCapacity, kMemoryCapacity + 1));

TEST(Memory, AResetAfterACloseReachesAReaderThatWaits) {
  base::ManualClock clock;
  Loop loop(clock);
  const auto [here, there] = make_memory_pair(loop);
  ASSERT_TRUE(here->try_write(as_buffer("x")));
  here->close();
  here->reset(make_error_code(Errc::memory));
  EXPECT_EQ(error_of(run(loop, read_to_end(there))), Errc::memory);
}

}  // namespace
}  // namespace simplon::net::test
