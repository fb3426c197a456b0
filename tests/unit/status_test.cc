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

}  // namespace
}  // namespace midge
