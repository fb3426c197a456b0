// A model with trained weights against Hugging Face transformers in float32; golden data by
// tools/oracle/make_real_model.py.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "engine/session/activations.h"
#include "engine/session/perplexity.h"
#include "tests/harness/real_model.h"
#include "tests/harness/running.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

using test::expect_within;
using test::GoldenFile;
using test::open;
using test::Running;
using test::step_logits;

constexpr const char* kGolden = "golden/real_model/smollm2.safetensors";
#ifdef MIDGE_EMULATED
constexpr size_t kTokensMax = 4;
#else
constexpr size_t kTokensMax = 1024;
#endif

class RealModel : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!test::has_real_model()) {
      GTEST_SKIP() << test::real_model_path() << " " << test::kHowToFetchModel;
    }
    open({test::real_model_path(), test::with(KvType::kF32)}, &run_);
  }

  size_t vocab_size() const { return static_cast<size_t>(run_.model->config().vocab_size); }

  Running run_;
};

using RealModelLogits = RealModel;

// Logits of the last rows of a text, for the tokens of the vocabulary that were kept.
TEST_P(RealModelLogits, LikeTransformers) {
  const std::string name = GetParam();
  const GoldenFile golden(kGolden);
  std::vector<int32_t> tokens = golden.i32(name + ".tokens");
  const std::vector<int32_t> kept = golden.i32("kept");
  const std::vector<float> expected = golden.f32(name + ".logits");
  const std::vector<int32_t> best = golden.i32(name + ".best");
  const float range = golden.f32(name + ".range")[0];
  const size_t first_row = tokens.size() - best.size();
  if (first_row >= kTokensMax) GTEST_SKIP() << "too long for the emulator";
  tokens.resize(std::min(tokens.size(), kTokensMax));
  const std::vector<float> logits = step_logits(*run_.session, tokens);
  float error = 0;
  for (size_t row = first_row; row < tokens.size(); ++row) {
    const float* mine = logits.data() + row * vocab_size();
    const float* theirs = expected.data() + (row - first_row) * kept.size();
    for (size_t i = 0; i < kept.size(); ++i) {
      const float difference = std::abs(mine[kept[i]] - theirs[i]);
      error = difference <= error ? error : difference;  // NaN stays
    }
    EXPECT_EQ(std::max_element(mine, mine + vocab_size()) - mine, best[row - first_row]) << row;
  }
  expect_within(error / range, 7e-6, name);
}

INSTANTIATE_TEST_SUITE_P(RealModel, RealModelLogits, ::testing::Values("short", "long"),
                         [](const auto& p) { return std::string(p.param); });

using RealModelGreedy = RealModel;

TEST_P(RealModelGreedy, LikeTransformers) {
  const std::string name = GetParam();
  const GoldenFile golden(kGolden);
  std::vector<int32_t> expected = golden.i32(name + ".greedy");
  expected.resize(std::min(expected.size(), kTokensMax));
  const std::vector<int32_t> found =
      test::greedy_tokens(*run_.session, golden.i32(name + ".prompt"), expected.size());
  EXPECT_EQ(found, expected);
}

#ifdef MIDGE_EMULATED
const auto kPrompts = ::testing::Values("story");
#else
const auto kPrompts = ::testing::Values("story", "science", "code");
#endif
INSTANTIATE_TEST_SUITE_P(RealModel, RealModelGreedy, kPrompts,
                         [](const auto& p) { return std::string(p.param); });

// Weighing errors by importance keeps more of what the model says. (How much on a model whose
// weights lie on no grid: docs/quality.md.)
TEST(RealModelQuality, ImportanceLowersTheDivergence) {
#ifdef MIDGE_EMULATED
  GTEST_SKIP() << "too long for the emulator";
#endif
  if (!test::has_real_model()) {
    GTEST_SKIP() << test::real_model_path() << " " << test::kHowToFetchModel;
  }
  const GoldenFile golden(kGolden);
  const std::string path = test::real_model_path();
  // What is measured on, the begin of a licence, and another text: what the model itself wrote.
  std::vector<int32_t> seen = golden.i32("long.tokens");
  seen.resize(350);
  std::vector<int32_t> text;
  for (const std::string name : {"story", "science", "code"}) {
    for (const char* part : {".prompt", ".greedy"}) {
      const std::vector<int32_t> tokens = golden.i32(name + part);
      text.insert(text.end(), tokens.begin(), tokens.end());
    }
  }
  Running original;
  open({path}, &original);
  if (HasFatalFailure()) return;
  const auto importance = measure_importance(*original.session, seen, 350, nullptr);
  MIDGE_ASSERT_OK(importance);
  EXPECT_EQ(importance->input_count(), 121U);

  const auto divergence = [&](const Importance* weighed_by) {
    Running coarse;
    test::RunSetup setup = {.path = path, .arithmetic = Arithmetic::kPacked};
    setup.weights = Encoding::kQ4B32;
    setup.importance = weighed_by;
    open(setup, &coarse);
    if (HasFatalFailure()) return 0.0;
    const auto result = measure_divergence(*original.session, *coarse.session, text, 128,
                                           RowRole::kPrompt, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    std::printf("[ quality  ] mean divergence %.4f, same most likely token %.3f\n",
                result.ok() ? result->kl_mean : NAN, result.ok() ? result->top1_agreement : NAN);
    return result.ok() ? result->kl_mean : NAN;
  };
  const double plain = divergence(nullptr);
  const double weighed = divergence(&*importance);
  EXPECT_LT(weighed, 0.75 * plain);
}

}  // namespace
}  // namespace midge
