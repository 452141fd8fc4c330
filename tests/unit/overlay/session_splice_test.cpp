// A path that was spliced through a session.
#include "net/splice.hpp"
#include "unit/overlay/session_pair.hpp"

namespace simplon::overlay::test {
namespace {

TEST(SessionSplice, APeersResetEndsAPathOnWhichNothingWaitsForIt) {
  SessionPair pair;
  auto [dialer, host] = pair.connect();
  auto [ours, target] = net::make_memory_pair(pair.loop);
  std::optional<net::SpliceResult> result;
  net::start_splice(host, ours, {}, [&](net::SpliceResult done) { result = done; });
  // The target takes nothing: both directions of the splice wait for it.
  for (int i = 0; i < 8; ++i) {
    (void)dialer->try_write(net::as_buffer(pattern(32UL * 1024)));
    settle(pair.loop);
  }
  ASSERT_FALSE(result);
  dialer->reset();
  settle(pair.loop);
  pair.clock.advance(net::kCloseTimeout);  // for the target to take what came before
  settle(pair.loop);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->cause, net::SpliceResult::Cause::a_failed);
  std::array<std::byte, 16> piece;
  net::Result<std::size_t> got = base::fail(base::Errc::would_block);
  do {
    got = target->try_read(piece);
  } while (got && *got > 0);
  EXPECT_FALSE(got) << "the target must see a reset, not an end";
}

}  // namespace
}  // namespace simplon::overlay::test
