#include "engine/core/check.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

TEST(Check, PassesWhereTheConditionHolds) {
  const int rows = 3;
  MIDGE_DCHECK(rows > 0);
  MIDGE_DCHECK(rows > 0, "%d rows", rows);
}

#if MIDGE_DCHECKS
TEST(CheckDeathTest, NamesPlaceAndCondition) {
  const int rows = 0;
  EXPECT_DEATH(MIDGE_DCHECK(rows > 0), "check_test\\.cc:[0-9]+: check failed: rows > 0\n");
}

TEST(CheckDeathTest, PrintsTheMessage) {
  const int rows = -2;
  EXPECT_DEATH(MIDGE_DCHECK(rows > 0, "%d rows", rows), "check failed: rows > 0: -2 rows\n");
}
#else
TEST(Check, EvaluatesNothingWhereOff) {
  int evaluated = 0;
  MIDGE_DCHECK(++evaluated < 0, "%d", ++evaluated);
  EXPECT_EQ(evaluated, 0);
}
#endif

}  // namespace
}  // namespace midge
