#include "engine/core/status.h"

#include <memory>

#include <gtest/gtest.h>

namespace midge {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return make_status(StatusCode::kInvalidArgument, "%d is odd", value);
  return value / 2;
}

Result<int> quarter(int value) {
  MIDGE_ASSIGN_OR_RETURN(const int first, half(value));
  MIDGE_ASSIGN_OR_RETURN(const int second, half(first));
  return second;
}

TEST(Status, ResultsCarryValuesOrReasons) {
  EXPECT_EQ(*quarter(12), 3);
  const Result<int> odd = quarter(6);
  EXPECT_FALSE(odd.ok());
  EXPECT_EQ(odd.status().message(), "3 is odd");
  EXPECT_EQ(odd.status().code(), StatusCode::kInvalidArgument);
  Result<std::unique_ptr<int>> owned = std::make_unique<int>(4);
  const std::unique_ptr<int> moved = std::move(*owned);
  EXPECT_EQ(*moved, 4);
}

// Exit codes of the program and codes of the API: given once, never changed.
TEST(Status, CodesAreFixed) {
  EXPECT_EQ(static_cast<int>(StatusCode::kInternal), 1);
  EXPECT_EQ(static_cast<int>(StatusCode::kInvalidArgument), 2);
  EXPECT_EQ(static_cast<int>(StatusCode::kNotFound), 3);
  EXPECT_EQ(static_cast<int>(StatusCode::kIoError), 4);
  EXPECT_EQ(static_cast<int>(StatusCode::kInvalidFile), 5);
  EXPECT_EQ(static_cast<int>(StatusCode::kUnsupported), 6);
  EXPECT_EQ(static_cast<int>(StatusCode::kModelMismatch), 7);
  EXPECT_EQ(static_cast<int>(StatusCode::kOutOfMemory), 8);
  EXPECT_EQ(static_cast<int>(StatusCode::kOutOfRange), 9);
  EXPECT_EQ(static_cast<int>(StatusCode::kContextFull), 10);
  EXPECT_EQ(static_cast<int>(StatusCode::kCancelled), 11);
}

TEST(Status, PrintableTextIsOneCleanLine) {
  EXPECT_EQ(printable("plain é 世"), "plain é 世");
  EXPECT_EQ(printable("a\nb\x01'\\"), "a\\x0ab\\x01\\x27\\x5c");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable(std::string(200, 'x'), 10), "xxxxxxxxxx...");
}

TEST(Status, PrintableTextSteersNoTerminal) {
  // C1: the one-byte forms of ESC [, ESC ] and of the string terminator.
  EXPECT_EQ(printable("a\xC2\x9B"
                      "2J\xC2\x9D\xC2\x9C"),
            "a\\u009b2J\\u009d\\u009c");
  EXPECT_EQ(printable("\x7F"), "\\x7f");
  // Every bidirectional control, and their neighbours.
  EXPECT_EQ(printable("\u061B\u061C\u061D"), "\u061B\\u061c\u061D");
  EXPECT_EQ(printable("\u200D\u200E\u200F\u2010"), "\u200D\\u200e\\u200f\u2010");
  EXPECT_EQ(printable("\u202A\u202B\u202C\u202D\u202E\u202F"),
            "\\u202a\\u202b\\u202c\\u202d\\u202e\u202F");
  EXPECT_EQ(printable("\u2065\u2066\u2067\u2068\u2069\u206A"),
            "\u2065\\u2066\\u2067\\u2068\\u2069\u206A");
}

TEST(Status, MessagesAreOneCleanLineWhateverIsInThem) {
  const Status status = make_status(StatusCode::kNotFound, "%s: cannot open",
                                    "dir\x1B]52;c;ZQ==\x07\nmidge: all is well\t\u202E\xFF");
  EXPECT_EQ(status.message(),
            "dir\\x1b]52;c;ZQ==\\x07\\x0amidge: all is well\\x09\\u202e\\xff: cannot open");
}

}  // namespace
}  // namespace midge
