#include "engine/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

std::string nfc(std::string_view text) {
  std::string buffer;
  return std::string(normalize_nfc(text, &buffer));
}

TEST(Unicode, DecodesEveryCodePointItEncodes) {
  for (uint32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    append_utf8(value, &text);
    const CodePoint point = decode_utf8(text, 0);
    ASSERT_EQ(point.value, value);
    ASSERT_EQ(point.length, text.size());
    ASSERT_EQ(decode_utf8_before(text, text.size()).value, value);
    ASSERT_EQ(complete_utf8_length(text), text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(complete_utf8_length(text.substr(0, cut)), 0U) << value;
    }
  }
}

TEST(Unicode, InvalidBytesCountOneByOne) {
  // Stray continuation, overlong forms, surrogate, past the end, impossible bytes, truncated.
  for (const std::string text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                                 "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
                                 "\xE4\xB8", "\xC3", "\xE4\xB8x", "\xF0\x9F\x98"}) {
    const CodePoint point = decode_utf8(text, 0);
    EXPECT_EQ(point.value, kInvalidCodePoint);
    EXPECT_EQ(point.length, 1U);
  }
  EXPECT_EQ(char_class(kInvalidCodePoint), kOther);
  EXPECT_FALSE(is_word_character(kInvalidCodePoint));
  EXPECT_EQ(decode_utf8_before("a\x80", 2).value, kInvalidCodePoint);
}

TEST(Unicode, HoldsBackOnlyWhatCanBecomeValid) {
  EXPECT_EQ(complete_utf8_length(""), 0U);
  EXPECT_EQ(complete_utf8_length("a\xF0\x9F\x98"), 1U);
  EXPECT_EQ(complete_utf8_length("a\xE4\xB8"), 1U);
  EXPECT_EQ(complete_utf8_length("a\xC3"), 1U);
  EXPECT_EQ(complete_utf8_length("a\xED\xA0"), 3U);  // can only become a surrogate
  EXPECT_EQ(complete_utf8_length("a\xC0"), 2U);      // starts nothing
  EXPECT_EQ(complete_utf8_length("\x80\x80\x80\x80"), 4U);
}

TEST(Unicode, ClassesAreThoseOfTheCategories) {
  EXPECT_EQ(char_class('a'), kLower);
  EXPECT_EQ(char_class('A'), kUpper);
  EXPECT_EQ(char_class(0x1C5), kUpper);         // Lt
  EXPECT_EQ(char_class(0x2B0), kOtherLetter);   // Lm
  EXPECT_EQ(char_class(0x4E2D), kOtherLetter);  // Lo
  EXPECT_EQ(char_class(0x301), kMark);          // Mn
  EXPECT_EQ(char_class(0x903), kMark);          // Mc
  EXPECT_EQ(char_class(0x20DD), kMark);         // Me
  for (const uint32_t value : {0x30U, 0x663U, 0x2163U, 0xBDU}) {
    EXPECT_EQ(char_class(value), kNumber) << value;
  }
  for (const uint32_t value : {0x200BU, 0x180EU, 0x1CU, 0xFEFFU, 0x27U, 0x1F600U, 0x378U}) {
    EXPECT_EQ(char_class(value), kOther) << value;
  }
}

TEST(Unicode, SpaceIsThePropertyWhiteSpace) {
  for (uint32_t value = 0; value < 0x110000; ++value) {
    const bool white_space =
        (value >= 0x9 && value <= 0xD) || value == 0x20 || value == 0x85 || value == 0xA0 ||
        value == 0x1680 || (value >= 0x2000 && value <= 0x200A) || value == 0x2028 ||
        value == 0x2029 || value == 0x202F || value == 0x205F || value == 0x3000;
    ASSERT_EQ(char_class(value) == kSpace, white_space) << value;
  }
}

TEST(Unicode, NfcComposes) {
  EXPECT_EQ(nfc("plain é"), "plain é");
  EXPECT_EQ(nfc("e\xCC\x81"), "é");
  EXPECT_EQ(nfc("\xCF\x92\xCC\x81"), "\xCF\x93");      // U+03D2 U+0301 -> U+03D3
  EXPECT_EQ(nfc("\xCF\x92\xCC\x88"), "\xCF\x94");      // U+03D2 U+0308 -> U+03D4
  EXPECT_EQ(nfc("\xC5\xBF\xCC\x87"), "\xE1\xBA\x9B");  // U+017F U+0307 -> U+1E9B
  EXPECT_EQ(nfc("\u212B"), "\u00C5");                  // a singleton
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093C");            // excluded from composition
  EXPECT_EQ(nfc("\u1100\u1161\u11A8"), "\uAC01");      // Hangul
  EXPECT_EQ(nfc("a\u0301\u0323b"),
            "\u1EA1\u0301"
            "b");  // reordered, then composed
}

TEST(Unicode, NfcLeavesInvalidBytesAlone) {
  EXPECT_EQ(nfc("e\xCC\x81\xFF"
                "e\xCC\x81"),
            "é\xFFé");
  EXPECT_EQ(nfc("e\xCC"), "e\xCC");
  EXPECT_EQ(nfc("e\xFF\xCC\x81"), "e\xFF\xCC\x81");  // the mark has no base
  EXPECT_EQ(nfc("\xCC\x81"), "\xCC\x81");
}

TEST(Unicode, NfcSortsAMillionBytesOfMarks) {
  std::string text = "a";
  for (int i = 0; i < 250000; ++i) text += "\xCC\x81\xCC\x96";  // classes 230, 220
  EXPECT_EQ(nfc(text).size(), text.size() - 1);                 // the first U+0301 joins the a
}

TEST(Unicode, WordCharacters) {
  for (const uint32_t value : {0x61U, 0x30U, 0x5FU, 0x301U, 0x200DU, 0x24B6U, 0x2163U, 0x4E2DU}) {
    EXPECT_TRUE(is_word_character(value)) << value;
  }
  for (const uint32_t value : {0x20U, 0x2DU, 0xBDU, 0x1F600U, 0x2460U}) {
    EXPECT_FALSE(is_word_character(value)) << value;
  }
}

}  // namespace
}  // namespace midge
