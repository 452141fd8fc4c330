#include "base/printable.hpp"

#include <gtest/gtest.h>

namespace simplon::base {
namespace {

TEST(Printable, ControlCharactersAreQuestionMarksAndLongTextsAreCut) {
  EXPECT_EQ(printable("a\n\x1b[2J\xc3\xa9\x7f"), "a??[2J\xc3\xa9?");
  EXPECT_EQ(printable(std::string(100'000, 'x')).size(), kMaxWords);
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, WordsAreUtf8) {
  for (const std::string& text : {"\xc2\xa0", "\xc3\xa9", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                  "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(printable(text), text);
  }
  // Cut off, overlong, a surrogate, above U+10FFFF, a C1 control, a continuation alone.
  EXPECT_EQ(printable("\xe2\x82"), "??");
  EXPECT_EQ(printable("\xc0\xaf"), "??");
  EXPECT_EQ(printable("\xe0\x9f\xbf"), "???");
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");
  EXPECT_EQ(printable("\xf5\x80\x80\x80"), "????");
  EXPECT_EQ(printable("\xc2\x85"), "??");
  EXPECT_EQ(printable("\x80"), "?");
  EXPECT_EQ(printable("ab\xc3\xa9", 3), "ab");
  EXPECT_EQ(printable("ab\xc3\xa9", 4), "ab\xc3\xa9");
}

}  // namespace
}  // namespace simplon::base
