#include "engine/core/visible.h"

#include <gtest/gtest.h>

#include "engine/core/utf8.h"

namespace midge {
namespace {

TEST(Visible, OnlyWhatSteersATerminalChanges) {
  // Every code point, alone: the visible form has none of the kind, and is the character itself
  // unless it was of that kind.
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;  // surrogates have no UTF-8
    std::string text;
    append_utf8(c, &text);
    const std::string shown = visible_text(text, Layout::kOneLine);
    ASSERT_EQ(shown == text, !steers_terminal(c)) << c;
    for (size_t i = 0; i < shown.size();) {
      const CodePoint point = decode_utf8(shown, i);
      ASSERT_FALSE(steers_terminal(point.value)) << c;
      i += point.length;
    }
  }
}

TEST(Visible, LayoutIsKeptOrNot) {
  EXPECT_EQ(visible_text("a\tb\nc\r"), "a\tb\nc\\x0d");
  EXPECT_EQ(visible_text("a\tb\nc\r", Layout::kOneLine), "a\\x09b\\x0ac\\x0d");
}

TEST(Visible, BytesThatAreNotUtf8) {
  // 0x9B alone is CSI to a terminal that does not read UTF-8.
  EXPECT_EQ(visible_text("\x9B"
                         "2J\xC3"),
            "\\x9b2J\\xc3");
  EXPECT_EQ(visible_text("\xED\xA0\x80"), "\\xed\\xa0\\x80");
}

TEST(Visible, OnceIsEnough) {
  const std::string once = visible_text("\x1B[2J\xE2\x80\xAE 'quoted' \\x1b");
  EXPECT_EQ(once, "\\x1b[2J\\u202e 'quoted' \\x1b");
  EXPECT_EQ(visible_text(once), once);
}

TEST(Visible, LongPathsShowTheirEnd) {
  const std::string directory(180, 'd');
  EXPECT_EQ(shown_path(directory + "/model.gguf"), directory + "/model.gguf");
  const std::string shown = shown_path(directory + "/\x1B/" + directory + "/model.gguf");
  EXPECT_EQ(shown.substr(0, 4), "...d");
  EXPECT_EQ(shown.substr(shown.size() - 11), "/model.gguf");
  EXPECT_NE(shown.find("d/\\x1b/d"), std::string::npos) << shown;
  EXPECT_EQ(shown.size(), 3 + kShownPathBytesMax + 3);  // the escape took four bytes for one
  // Cut between characters.
  std::string path;
  for (int i = 0; i < 100; ++i) path += "\xE4\xB8\x96";
  EXPECT_EQ(shown_path(path), "..." + path.substr(0, 198));
}

}  // namespace
}  // namespace midge
