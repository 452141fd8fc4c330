#include "tunnel/registry.hpp"

#include <array>
#include <filesystem>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace simplon::tunnel {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

// Writes down what it was told.
class Ledger final : public Actor {
 public:
  absl::Status prepare(Tunnel& tunnel) override {
    if (overlay_of(tunnel.spec).empty()) {
      set_overlay(tunnel.spec, "default");
    }
    return absl::OkStatus();
  }
  void abandon(const Tunnel& tunnel) override { abandoned.push_back(tunnel.name); }
  void start(TunnelPtr tunnel) override { started.push_back(tunnel->name); }
  void stop(const Tunnel& tunnel, std::chrono::seconds,
            std::move_only_function<void()> released) override {
    stopped.push_back(tunnel.name);
    released();
  }
  std::vector<std::string> abandoned, started, stopped;
};

Tunnel share(std::string name, std::string target = "3000") {
  Tunnel out;
  out.name = std::move(name);
  out.spec = Share{.service = {}, .overlay = {}, .target = std::move(target), .host_header = {}};
  return out;
}

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_GE(sodium_init(), 0);
    reopen();
  }
  void TearDown() override {
    registry_.reset();
    store_.reset();
  }

  void reopen() {
    registry_.reset();
    store_.reset();
    actor_ = {};
    auto opened = Store::open(folder_ / "state.db", loop_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
    registry_.emplace(*store_, actor_);
    ASSERT_TRUE(registry_->load().ok());
  }

  absl::StatusOr<TunnelPtr> create(Tunnel tunnel, std::string request_id = {}) {
    std::optional<absl::StatusOr<TunnelPtr>> result;
    registry_->create(std::move(tunnel), request_id, [&](auto got) { result = std::move(got); });
    while (!result) {
      loop_.poll();
    }
    return *result;
  }
  absl::Status remove(std::string_view name) {
    std::optional<absl::Status> result;
    registry_->remove(name, std::chrono::seconds(1), [&](absl::Status got) { result = got; });
    while (!result) {
      loop_.poll();
    }
    return *result;
  }

  simplon::test::TemporaryFolder folder_;
  net::Loop loop_;
  Ledger actor_;
  std::unique_ptr<Store> store_;
  std::optional<Registry> registry_;
};

TEST_F(RegistryTest, WhatWasAcknowledgedIsThereAfterReopening) {
  Tunnel first = share("first", "unix:/run/app.sock");
  first.labels = {{"team", "web"}, {"env", ""}};
  std::get<Share>(first.spec).open_to_frontends = true;
  std::get<Share>(first.spec).host_header = "app.internal";
  Tunnel second;
  second.spec = Access{
      .service = "first", .overlay = "blue", .listen = "127.0.0.1:9191", .protocol = Protocol::tcp};
  Tunnel third;
  third.name = "front";
  third.spec = Frontend{.overlay = {}, .listen = "127.0.0.1:8080", .zone = "Example.org"};
  const auto a = create(first);
  const auto b = create(second);
  const auto c = create(third);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  reopen();
  EXPECT_THAT(actor_.started, testing::ElementsAre("first", "first-access", "front"));
  for (const auto& before : {*a, *b, *c}) {
    const TunnelPtr after = registry_->find(before->name);
    ASSERT_NE(after, nullptr);
    EXPECT_EQ(after->uid, before->uid);
    EXPECT_EQ(after->create_time, before->create_time);
    EXPECT_EQ(after->labels, before->labels);
    EXPECT_EQ(after->spec, before->spec);
  }
  EXPECT_EQ(std::get<Frontend>(registry_->find("front")->spec).zone, "example.org");
}

TEST_F(RegistryTest, WhetherTheOwnerChoseASharesNameIsRemembered) {
  const auto any_name = [this](const std::string& name) {
    return std::get<Share>(registry_->find(name)->spec).any_name;
  };
  Tunnel with_service = share("");
  std::get<Share>(with_service.spec).service = "web";
  const auto unnamed = create(share(""));
  const auto of_a_service = create(with_service);
  ASSERT_TRUE(unnamed.ok() && of_a_service.ok());
  // As the agent might have called it.
  ASSERT_TRUE(create(share("amber-lake-2")).ok());
  for (int run = 0; run < 2; ++run) {
    EXPECT_TRUE(any_name((*unnamed)->name));
    EXPECT_FALSE(any_name((*of_a_service)->name));
    EXPECT_FALSE(any_name("amber-lake-2"));
    reopen();
  }
}

TEST_F(RegistryTest, CreatesThatWaitTogetherShareACommit) {
  int acknowledged = 0;
  for (int i = 0; i < 200; ++i) {
    registry_->create(share("t" + std::to_string(i)), "", [&](const auto& got) {
      EXPECT_TRUE(got.ok()) << got.status();
      ++acknowledged;
    });
  }
  while (acknowledged < 200) {
    loop_.poll();
  }
  EXPECT_LT(store_->commits(), 200U);
  reopen();
  EXPECT_EQ(registry_->snapshot()->size(), 200U);
}

TEST_F(RegistryTest, ANameThatIsStillBeingStoredIsTaken) {
  std::optional<absl::StatusOr<TunnelPtr>> first;
  registry_->create(share("demo"), "", [&](auto got) { first = std::move(got); });
  EXPECT_FALSE(first.has_value());
  EXPECT_EQ(create(share("demo")).status().code(), StatusCode::kAlreadyExists);
  while (!first) {
    loop_.poll();
  }
  EXPECT_TRUE(first->ok());
}

TEST_F(RegistryTest, TheSameRequestAnswersTheFirstResultAgain) {
  const auto first = create(share(""), "request-1");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*create(share(""), "request-1"))->uid, (*first)->uid);
  reopen();
  EXPECT_EQ((*create(share(""), "request-1"))->uid, (*first)->uid);
  EXPECT_EQ(create(share("", "4000"), "request-1").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(registry_->snapshot()->size(), 1U);
}

TEST_F(RegistryTest, ARepeatBeforeTheFirstAnswerGetsTheSameTunnel) {
  std::vector<std::string> uids;
  for (int i = 0; i < 2; ++i) {
    registry_->create(share(""), "request-1",
                      [&](const auto& got) { uids.push_back((*got)->uid); });
  }
  while (uids.size() < 2) {
    loop_.poll();
  }
  EXPECT_EQ(uids[0], uids[1]);
}

TEST_F(RegistryTest, OneServiceIsSharedOnceInAnOverlay) {
  Tunnel other = share("two");
  std::get<Share>(other.spec).service = "one";
  ASSERT_TRUE(create(share("one")).ok());
  const auto refused = create(other);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("share.service"));
  EXPECT_THAT(actor_.abandoned, testing::ElementsAre("two"));
  std::get<Share>(other.spec).overlay = "blue";
  EXPECT_TRUE(create(other).ok());
}

TEST_F(RegistryTest, ADeletedTunnelIsStoppedAndItsNameFree) {
  ASSERT_TRUE(create(share("demo"), "request-1").ok());
  EXPECT_TRUE(remove("demo").ok());
  EXPECT_THAT(actor_.stopped, testing::ElementsAre("demo"));
  EXPECT_EQ(remove("demo").code(), StatusCode::kNotFound);
  EXPECT_TRUE(create(share("demo"), "request-1").ok());
  ASSERT_TRUE(remove("demo").ok());
  reopen();
  EXPECT_TRUE(registry_->snapshot()->empty());
}

TEST_F(RegistryTest, AnOverlaysTunnelsAreDeletedInEveryState) {
  ASSERT_TRUE(create(share("leaving")).ok());
  ASSERT_TRUE(create(share("stored")).ok());
  Tunnel other = share("other");
  set_overlay(other.spec, "blue");
  ASSERT_TRUE(create(other).ok());
  std::vector<std::string> answers;
  registry_->remove("leaving", std::chrono::seconds(1),
                    [&](const absl::Status&) { answers.emplace_back("leaving"); });
  registry_->create(share("decided"), {}, [&](const absl::StatusOr<TunnelPtr>& made) {
    EXPECT_TRUE(made.ok());
    answers.emplace_back("decided");
  });
  EXPECT_EQ(registry_->count_overlay("default"), 3U);
  std::optional<absl::Status> result;
  registry_->remove_overlay("default", std::chrono::seconds(1),
                            [&](absl::Status got) { result = std::move(got); });
  while (!result) {
    loop_.poll();
  }
  EXPECT_TRUE(result->ok());
  EXPECT_THAT(answers, testing::ElementsAre("leaving", "decided"));
  EXPECT_EQ(registry_->count_overlay("default"), 0U);
  reopen();
  EXPECT_THAT(actor_.started, testing::ElementsAre("other"));
}

TEST_F(RegistryTest, SnapshotsDoNotChange) {
  ASSERT_TRUE(create(share("one")).ok());
  const auto before = registry_->snapshot();
  EXPECT_EQ(before, registry_->snapshot());
  ASSERT_TRUE(create(share("two")).ok());
  EXPECT_EQ(before->size(), 1U);
  EXPECT_EQ(registry_->snapshot()->size(), 2U);
}

TEST_F(RegistryTest, ARegistryThatIsGoneIsNotCalledByTheStore) {
  registry_->create(share("one"), "", [](const auto&) { FAIL(); });
  registry_.reset();
  store_.reset();  // commits what is queued
  while (loop_.poll() > 0) {
  }
  reopen();
  EXPECT_EQ(registry_->snapshot()->size(), 1U);
}

TEST_F(RegistryTest, OneThatCannotBeStoredDoesNotRefuseTheOthers) {
  ASSERT_TRUE(create(share("first")).ok());
  const TunnelPtr first = registry_->find("first");
  auto second = std::make_shared<Tunnel>(*first);
  second->uid = "0000000000000002";
  second->name = "second";
  std::vector<absl::StatusCode> codes;
  const auto note = [&](const absl::Status& status) { codes.push_back(status.code()); };
  // Behind the registry's back: the first repeats a uid.
  store_->put({.tunnel = first, .request_id = {}, .fingerprint = {}}, note);
  store_->put({.tunnel = second, .request_id = {}, .fingerprint = {}}, note);
  while (codes.size() < 2) {
    loop_.poll();
  }
  EXPECT_THAT(codes, testing::ElementsAre(StatusCode::kAlreadyExists, StatusCode::kOk));
}

// In a process of its own: creates tunnels for ever and writes a byte for each acknowledgement.
[[noreturn]] void create_for_ever(const std::filesystem::path& file, int acknowledged) {
  net::Loop loop;
  auto store = Store::open(file, loop);
  Ledger actor;
  Registry registry(**store, actor);
  (void)registry.load();
  for (int i = 0;; ++i) {
    registry.create(share("t" + std::to_string(i)), "",
                    [=](const auto&) { (void)!write(acknowledged, "+", 1); });
    loop.poll();
  }
}

TEST(StoreTest, WhatWasAcknowledgedIsThereAfterAKill) {
  ASSERT_GE(sodium_init(), 0);
  const simplon::test::TemporaryFolder folder;
  const auto file = folder / "state.db";
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    create_for_ever(file, pipe_ends[1]);
  }
  close(pipe_ends[1]);
  std::size_t acknowledged = 0;
  char byte = 0;
  while (acknowledged < 100 && read(pipe_ends[0], &byte, 1) == 1) {
    ++acknowledged;
  }
  kill(child, SIGKILL);
  while (read(pipe_ends[0], &byte, 1) == 1) {
    ++acknowledged;
  }
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  EXPECT_GE(acknowledged, 100U);

  net::Loop loop;
  auto store = Store::open(file, loop);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto records = (*store)->load();
  ASSERT_TRUE(records.ok());
  std::set<std::string> names;
  for (const Record& record : *records) {
    names.insert(record.tunnel->name);
  }
  for (std::size_t i = 0; i < acknowledged; ++i) {
    EXPECT_TRUE(names.contains("t" + std::to_string(i))) << i;
  }
  store->reset();
}

}  // namespace
}  // namespace simplon::tunnel
