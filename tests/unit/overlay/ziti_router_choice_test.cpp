#include <vector>

#include <gtest/gtest.h>

#include "overlay/ziti/router_choice.hpp"

namespace simplon::overlay::ziti {
namespace {

using std::chrono::milliseconds;
using Loads = std::vector<ChannelLoad>;

TEST(ZitiRouterChoice, WithoutAChannelThereIsNone) { EXPECT_EQ(choose_channel({}), std::nullopt); }

TEST(ZitiRouterChoice, TheFastestRouterWins) {
  EXPECT_EQ(choose_channel(Loads{{.router = 0, .latency = milliseconds(30)},
                                 {.router = 1, .latency = milliseconds(10), .circuits = 9},
                                 {.router = 2, .latency = milliseconds(20)}}),
            1U);
}

TEST(ZitiRouterChoice, OfItsChannelsTheOneWithFewerCircuits) {
  EXPECT_EQ(choose_channel(Loads{{.router = 0, .latency = milliseconds(30)},
                                 {.router = 1, .latency = milliseconds(10), .circuits = 9},
                                 {.router = 1, .latency = milliseconds(40), .circuits = 3}}),
            2U);
}

TEST(ZitiRouterChoice, ARouterThatWasNotMeasuredYetComesLast) {
  EXPECT_EQ(choose_channel(Loads{{.router = 0}, {.router = 1, .latency = milliseconds(500)}}), 1U);
  EXPECT_EQ(choose_channel(Loads{{.router = 0, .circuits = 2}, {.router = 1, .circuits = 1}}), 1U);
}

}  // namespace
}  // namespace simplon::overlay::ziti
