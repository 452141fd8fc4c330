#include "agent/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace simplon::agent {
namespace {

tunnel::Registry::Snapshot tunnels(int count) {
  auto out = std::make_shared<std::map<std::string, tunnel::TunnelPtr, std::less<>>>();
  for (int i = 0; i < count; ++i) {
    auto tunnel = std::make_shared<tunnel::Tunnel>();
    tunnel->name = "t" + std::to_string(10'000 + i);
    out->emplace(tunnel->name, tunnel);
  }
  return out;
}

std::vector<std::string> walk(const tunnel::Registry::Snapshot& all, std::int32_t size) {
  std::vector<std::string> names;
  std::string token;
  do {
    const auto page = page_of(all, size, token);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || names.size() > all->size()) {
      break;
    }
    EXPECT_FALSE(page->tunnels.empty() && !page->next.empty());
    for (const auto& tunnel : page->tunnels) {
      names.push_back(tunnel->name);
    }
    token = page->next;
  } while (!token.empty());
  return names;
}

TEST(Page, PagesOfAnySizeShowEachTunnelOnce) {
  for (const int count : {0, 1, 4, 5, 6, 10}) {
    const auto all = tunnels(count);
    for (const int size : {1, 2, 5, 100}) {
      std::vector<std::string> expected;
      for (const auto& [name, tunnel] : *all) {
        expected.push_back(name);
      }
      EXPECT_EQ(walk(all, size), expected) << count << " by " << size;
    }
  }
}

TEST(Page, TheLastFullPageHasNoNext) {
  const auto page = page_of(tunnels(5), 5, {});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->next, "");
}

TEST(Page, NoneHoldsMoreThanAThousand) {
  const auto all = tunnels(1001);
  for (const int size : {0, 1000, 5000}) {
    const auto page = page_of(all, size, {});
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->tunnels.size(), 1000U);
    EXPECT_FALSE(page->next.empty());
  }
}

TEST(Page, GoesOnWhereTheLastOneEndedThoughThatTunnelIsGone) {
  const auto page = page_of(tunnels(3), 10, "t10000-deleted");
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->tunnels.size(), 2U);
  EXPECT_EQ(page->tunnels.front()->name, "t10001");
}

TEST(Page, WhatMakesNoSenseIsNamed) {
  EXPECT_THAT(std::string(page_of(tunnels(1), -1, {}).status().message()),
              testing::HasSubstr("page_size"));
  const auto status = page_of(tunnels(1), 1, "nonsense!").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("page_token"));
}

}  // namespace
}  // namespace simplon::agent
