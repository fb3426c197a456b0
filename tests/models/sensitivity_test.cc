// measure_sensitivity() against models that are encoded at once.
#include "engine/session/sensitivity.h"

#include <gtest/gtest.h>

#include "engine/session/perplexity.h"
#include "tests/models/readers.h"

namespace midge {
namespace {

using test::golden_model;
using test::Running;

constexpr int64_t kWindow = 16;

SensitivityOptions options_of(std::vector<Encoding> candidates) {
  SensitivityOptions options;
  options.window = kWindow;
  options.candidates = std::move(candidates);
  return options;
}

// Two windows, the second one shorter.
std::vector<int32_t> text_of(const Running& running) {
  return test::random_tokens(kWindow + 5, running.model->config().vocab_size);
}

TEST(Sensitivity, IsTheDivergenceOfTheEncodedModel) {
  Running running;
  test::open({golden_model("llama")}, &running);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> text = text_of(running);
  const auto found =
      measure_sensitivity(*running.session, text, options_of({Encoding::kQ4B32, Encoding::kQ8B32}));
  MIDGE_ASSERT_OK(found);
  ASSERT_EQ(found->size(), 7u * static_cast<size_t>(running.model->config().layer_count));
  EXPECT_EQ(found->front().name, "layers.0.q");
  for (const MatrixCosts& matrix : *found) {
    SCOPED_TRACE(matrix.name);
    EXPECT_GT(matrix.costs[0].divergence, 4 * matrix.costs[1].divergence);
    EXPECT_LT(matrix.costs[0].bytes, matrix.costs[1].bytes);
    WeightRecipe recipe;
    recipe.overrides = {{matrix.name, Encoding::kQ4B32}};
    Running encoded;
    test::open({.path = golden_model("llama"), .recipe = recipe}, &encoded);
    if (HasFatalFailure()) return;
    const auto expected = measure_divergence(*running.session, *encoded.session, text, kWindow,
                                             RowRole::kPrompt, nullptr);
    MIDGE_ASSERT_OK(expected);
    EXPECT_DOUBLE_EQ(matrix.costs[0].divergence, expected->kl_mean);
  }
}

TEST(Sensitivity, LeavesTheModelAsItWas) {
  Running running;
  test::open({golden_model("llama")}, &running);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> text = text_of(running);
  const std::vector<float> before = test::step_logits(*running.session, text);
  SensitivityOptions options = options_of({Encoding::kQ4B32});
  MIDGE_ASSERT_OK(measure_sensitivity(*running.session, text, options));
  EXPECT_EQ(test::step_logits(*running.session, text), before);
  // Neither do measurements that end early.
  options.on_run = [](int64_t done, int64_t) { return done < 3; };
  EXPECT_EQ(measure_sensitivity(*running.session, text, options).status().code(),
            StatusCode::kCancelled);
  MIDGE_ASSERT_OK(running.session->truncate(0));
  EXPECT_EQ(test::step_logits(*running.session, text), before);
}

TEST(Sensitivity, MatricesThatAreChosenAlreadyAreLeftOut) {
  Running running;
  test::open({golden_model("llama")}, &running);
  if (HasFatalFailure()) return;
  SensitivityOptions options = options_of({Encoding::kQ4B32});
  options.fixed.overrides = {{"layers.*.down", Encoding::kQ8B32}};
  const auto found = candidate_costs(*running.session, options);
  MIDGE_ASSERT_OK(found);
  EXPECT_EQ(found->size(), 6u * static_cast<size_t>(running.model->config().layer_count));
}

TEST(Sensitivity, PackedArithmeticIsRefused) {
  Running running;
  test::open({.path = golden_model("llama"),
              .arithmetic = Arithmetic::kPacked,
              .weights = Encoding::kQ8B32},
             &running);
  if (HasFatalFailure()) return;
  const auto found =
      measure_sensitivity(*running.session, text_of(running), options_of({Encoding::kQ4B32}));
  EXPECT_EQ(found.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      measure_sensitivity(*running.session, {}, options_of({Encoding::kQ4B32})).status().code(),
      StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace midge
