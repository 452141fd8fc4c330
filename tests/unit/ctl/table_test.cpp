#include "ctl/table.hpp"

#include <gtest/gtest.h>

namespace simplon::ctl {
namespace {

TEST(Table, ColumnsAreAlignedAndNoLineEndsInBlanks) {
  EXPECT_EQ(table({{"NAME", "KIND", "TO"}, {"demo", "share", "http://localhost:9090"}}),
            "NAME  KIND   TO\n"
            "demo  share  http://localhost:9090\n");
}

TEST(Table, AnEmptyCellIsADash) { EXPECT_EQ(table({{"A", "B"}, {"", ""}}), "A  B\n-  -\n"); }

TEST(Table, NoRowsAreNoText) { EXPECT_EQ(table({}), ""); }

TEST(Fields, ValuesAreAlignedAndEmptyOnesLeftOut) {
  EXPECT_EQ(fields({{"name", "demo"}, {"a longer name", ""}, {"url", "http://x"}}),
            "name:  demo\n"
            "url:   http://x\n");
}

}  // namespace
}  // namespace simplon::ctl
