#include "base/database.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace simplon::base {
namespace {

using Steps = std::array<std::string_view, 1>;
constexpr Steps kPlaces{"CREATE TABLE places (name TEXT PRIMARY KEY, height INTEGER) STRICT"};

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { database_.reset(); }
  void open() {
    database_.reset();
    auto opened = Database::open(folder_ / "state.db");
    ASSERT_TRUE(opened.ok()) << opened.status();
    database_ = std::move(*opened);
    ASSERT_TRUE(database_->migrate("places", kPlaces).ok());
  }
  std::int64_t count() {
    Statement all = database_->prepare("SELECT count(*) FROM places");
    EXPECT_TRUE(all.step().ok());
    return all.integer(0);
  }

  simplon::test::TemporaryFolder folder_;
  std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, WhatATransactionWroteIsThereAfterReopening) {
  ASSERT_TRUE(database_
                  ->transaction([&] {
                    return database_->prepare("INSERT INTO places VALUES (?, ?)").run("pass", 2005);
                  })
                  .ok());
  open();
  Statement read = database_->prepare("SELECT height, name FROM places WHERE name = ?");
  ASSERT_TRUE(read.bind_all("pass").step().value());
  EXPECT_EQ(read.integer(0), 2005);
  EXPECT_EQ(read.text(1), "pass");
  EXPECT_FALSE(read.step().value());
}

TEST_F(DatabaseTest, AFailedTransactionChangesNothing) {
  Statement insert = database_->prepare("INSERT INTO places VALUES (?, ?)");
  const auto result = database_->transaction([&] {
    EXPECT_TRUE(insert.run("pass", 2005).ok());
    return insert.run("pass", 1);
  });
  EXPECT_EQ(result.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(database_->transaction([&] { return insert.run("hospice", nullptr); }).ok());
  EXPECT_EQ(count(), 1);
}

TEST_F(DatabaseTest, BytesWithZerosAndEmptyTextComeBackAsTheyWere) {
  ASSERT_TRUE(database_->execute("CREATE TABLE raw (a BLOB, b TEXT NOT NULL)").ok());
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE(database_->prepare("INSERT INTO raw VALUES (?, ?)")
                  .run(Blob{bytes}, std::string_view())
                  .ok());
  Statement read = database_->prepare("SELECT a, b FROM raw");
  ASSERT_TRUE(read.step().value());
  EXPECT_EQ(read.text(0), bytes);
  EXPECT_FALSE(read.is_null(1));
  EXPECT_EQ(read.text(1), "");
}

TEST_F(DatabaseTest, AMistakeInTheSqlIsToldByTheFirstUse) {
  Statement wrong = database_->prepare("SELECT nonsense FROM nowhere");
  EXPECT_FALSE(wrong.step().ok());
  EXPECT_FALSE(wrong.run().ok());
}

TEST_F(DatabaseTest, OwnersMigrateIndependently) {
  constexpr std::array<std::string_view, 2> steps{"CREATE TABLE huts (name TEXT) STRICT",
                                                  "ALTER TABLE huts ADD COLUMN beds INTEGER"};
  ASSERT_TRUE(database_->migrate("huts", std::span(steps).first(1)).ok());
  ASSERT_TRUE(database_->prepare("INSERT INTO huts VALUES (?)").run("hospice").ok());
  ASSERT_TRUE(database_->migrate("huts", steps).ok());
  ASSERT_TRUE(database_->migrate("huts", steps).ok());
  EXPECT_TRUE(database_->prepare("UPDATE huts SET beds = ?").run(60).ok());
}

TEST_F(DatabaseTest, StateOfANewerVersionIsRefused) {
  const auto result = database_->migrate("places", {});
  EXPECT_EQ(result.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(count(), 0);
}

TEST_F(DatabaseTest, AFileThatIsNoDatabaseIsRefusedAndKept) {
  const auto file = folder_ / "other.db";
  const std::string content(4096, 'x');
  std::ofstream(file) << content;
  EXPECT_EQ(Database::open(file).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::filesystem::file_size(file), content.size());
}

TEST_F(DatabaseTest, TheFilesAreTheirOwnersAlone) {
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_EQ(entry.status().permissions(), std::filesystem::perms(0600)) << entry.path();
  }
}

}  // namespace
}  // namespace simplon::base
