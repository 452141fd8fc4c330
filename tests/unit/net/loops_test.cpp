#include "net/loops.hpp"

#include <future>
#include <set>

#include <gmock/gmock.h>

#include "net/memory.hpp"
#include "net/splice.hpp"

namespace simplon::net {
namespace {

std::thread::id thread_of(Loop& loop) {
  std::promise<std::thread::id> id;
  loop.post([&] { id.set_value(std::this_thread::get_id()); });
  return id.get_future().get();
}

TEST(Loops, EachLoopHasAThreadOfItsOwn) {
  Loops loops(3);
  ASSERT_EQ(loops.size(), 3U);
  std::set<std::thread::id> threads{std::this_thread::get_id()};
  for (std::size_t i = 0; i < loops.size(); ++i) {
    threads.insert(thread_of(loops[i]));
  }
  EXPECT_EQ(threads.size(), 4U);
}

TEST(Loops, NextGoesRoundRobin) {
  Loops loops(2);
  EXPECT_EQ(&loops.next(), &loops[0]);
  EXPECT_EQ(&loops.next(), &loops[1]);
  EXPECT_EQ(&loops.next(), &loops[0]);
}

TEST(Loops, NoneIsOne) { EXPECT_EQ(Loops(0).size(), 1U); }

TEST(Loops, TheyEndWithWorkStillPending) {
  const auto witness = std::make_shared<int>(0);
  {
    Loops loops(2);
    for (std::size_t i = 0; i < loops.size(); ++i) {
      std::promise<void> started;
      loops[i].post([&, loop = &loops[i]] {
        auto [client, a] = make_memory_pair(*loop);
        auto [b, server] = make_memory_pair(*loop);
        client->try_write(as_buffer("x"));
        start_splice(a, b, {.idle_timeout = std::chrono::hours(1)},
                     [witness, client, server](SpliceResult) {});
        started.set_value();
      });
      started.get_future().wait();
    }
  }
  EXPECT_EQ(witness.use_count(), 1);
}

}  // namespace
}  // namespace simplon::net
