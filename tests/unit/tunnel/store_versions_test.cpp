#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "every_field.hpp"
#include "state_of_version_1.hpp"
#include "support/temporary_folder.hpp"
#include "tunnel/store.hpp"

namespace simplon::tunnel {
namespace {

class StoreVersionsTest : public testing::Test {
 protected:
  std::map<std::string, Record> load() {
    const auto store = Store::open(file_, loop_);
    EXPECT_TRUE(store.ok()) << store.status();
    auto records = (*store)->load();
    EXPECT_TRUE(records.ok()) << records.status();
    std::map<std::string, Record> out;
    for (Record& record : *records) {
      out[record.tunnel->name] = std::move(record);
    }
    return out;
  }
  absl::Status execute(const std::string& sql) {
    return base::Database::open(file_).value()->execute(sql);
  }

  simplon::test::TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_ / "state.db";
  net::Loop loop_;
};

TEST_F(StoreVersionsTest, TheTunnelsOfTheFirstVersionAreReadWithDefaults) {
  ASSERT_TRUE(execute(std::string("DROP TABLE schema_version;") + test::kStateOfVersion1).ok());
  const auto records = load();
  ASSERT_EQ(records.size(), 6U);
  const auto spec = [&](const std::string& name) { return records.at(name).tunnel->spec; };
  EXPECT_EQ(spec("web"), Spec(Share{.service = "web",
                                    .overlay = "default",
                                    .target = "http://localhost:3000",
                                    .open_to_frontends = true,
                                    .host_header = "app.internal"}));
  EXPECT_EQ(
      spec("db"),
      Spec(Share{.service = "database", .overlay = "default", .target = "tcp://localhost:5432"}));
  EXPECT_EQ(spec("db-access"), Spec(Access{.service = "database",
                                           .overlay = "default",
                                           .listen = "127.0.0.1:35691",
                                           .protocol = Protocol::tcp}));
  EXPECT_EQ(spec("front"),
            Spec(Frontend{.overlay = "default", .listen = "127.0.0.1:33527", .zone = "localhost"}));
  EXPECT_EQ(records.at("web").tunnel->uid, "2e5bf2e80017d898");
  EXPECT_EQ(records.at("web").tunnel->labels.at("team"), "web");
  // It is read again, and a request from before is still known.
  EXPECT_EQ(load().size(), 6U);
  Tunnel request{.name = "web", .labels = {{"team", "web"}, {"tier", "1"}}};
  request.spec = Share{
      .target = "http://localhost:3000", .open_to_frontends = true, .host_header = "app.internal"};
  EXPECT_EQ(records.at("web").fingerprint, fingerprint(request));
}

TEST_F(StoreVersionsTest, EveryFieldIsThereAfterReopening) {
  std::map<std::string, Spec> wanted;
  {
    auto store = Store::open(file_, loop_).value();
    ASSERT_TRUE(store->load().ok());
    int stored = 0;
    for (const Spec& spec : test::every_spec()) {
      auto tunnel = std::make_shared<Tunnel>();
      tunnel->uid = tunnel->name = "t" + std::to_string(wanted.size());
      tunnel->spec = wanted[tunnel->name] = spec;
      store->put({.tunnel = tunnel, .request_id = {}, .fingerprint = {}},
                 [&](const absl::Status& status) {
                   EXPECT_TRUE(status.ok()) << status;
                   ++stored;
                 });
    }
    while (stored < 4) {
      loop_.poll();
    }
  }
  for (const auto& [name, record] : load()) {
    EXPECT_EQ(record.tunnel->spec, wanted.at(name)) << name;
  }
  // Nothing of a deleted tunnel stays.
  {
    auto store = Store::open(file_, loop_).value();
    int erased = 0;
    for (const auto& [name, spec] : wanted) {
      store->erase(name, [&](const absl::Status&) { ++erased; });
    }
    while (erased < 4) {
      loop_.poll();
    }
  }
  auto database = base::Database::open(file_).value();
  for (const std::string table :
       {"tunnels", "tunnel_settings", "tunnel_header_rules", "tunnel_trusted_proxies"}) {
    auto count = database->prepare("SELECT count(*) FROM " + table);
    ASSERT_TRUE(*count.step());
    EXPECT_EQ(count.integer(0), 0) << table;
  }
}

TEST_F(StoreVersionsTest, ASettingThatNobodyKnowsIsNotIgnored) {
  {
    auto store = Store::open(file_, loop_).value();
    bool stored = false;
    auto tunnel = std::make_shared<Tunnel>();
    tunnel->uid = tunnel->name = "t";
    tunnel->spec = Share{.target = "http://localhost:1"};
    store->put({.tunnel = tunnel, .request_id = {}, .fingerprint = {}},
               [&](const absl::Status&) { stored = true; });
    while (!stored) {
      loop_.poll();
    }
  }
  ASSERT_TRUE(execute("INSERT INTO tunnel_settings VALUES ('t', 'limits.of_patience', 1)").ok());
  auto store = Store::open(file_, loop_).value();
  const auto records = store->load();
  EXPECT_EQ(records.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(records.status().message()), testing::HasSubstr("limits.of_patience"));
}

}  // namespace
}  // namespace simplon::tunnel
