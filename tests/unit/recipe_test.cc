// Recipes: which matrix gets which encoding.
#include "engine/weights/recipe.h"

#include <gtest/gtest.h>

#include "tests/harness/golden.h"

namespace midge {
namespace {

TEST(Recipe, Names) {
  for (const char* name : {"fast", "balanced", "int8", "half"}) {
    const auto recipe = recipe_from_name(name);
    MIDGE_ASSERT_OK(recipe);
    MIDGE_ASSERT_OK(recipe->check());
    EXPECT_TRUE(recipe->encoding_of("layers.0.q").has_value());
  }
  const auto fast = recipe_from_name("fast");
  EXPECT_EQ(fast->encoding_of("layers.3.down"), Encoding::kQ4B32MS256);
  EXPECT_EQ(fast->encoding_of("head"), Encoding::kQ8B32);
  EXPECT_EQ(recipe_from_name("best").status().message(),
            "recipe 'best', expected one of fast, balanced, int8, half");
}

TEST(Recipe, TheLastOverrideCounts) {
  WeightRecipe recipe(Encoding::kQ4B32);
  recipe.overrides = {{"layers.*.down", Encoding::kQ8B32}, {"layers.1.*", Encoding::kF16}};
  EXPECT_EQ(recipe.encoding_of("layers.0.down"), Encoding::kQ8B32);
  EXPECT_EQ(recipe.encoding_of("layers.1.down"), Encoding::kF16);
  EXPECT_EQ(recipe.encoding_of("layers.0.up"), Encoding::kQ4B32);
  recipe.overrides.emplace_back("head", Encoding::kQ6B16S256);
  const Status status = recipe.check();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().find("weights as q6b16s256, expected one of f16, "), 0U)
      << status.message();
}

TEST(Recipe, NoneLeavesMatricesAlone) {
  EXPECT_EQ(WeightRecipe().encoding_of("layers.0.q"), std::nullopt);
  EXPECT_EQ(WeightRecipe().encoding_of("head"), std::nullopt);
}

}  // namespace
}  // namespace midge
