// A model with trained weights against Hugging Face transformers in float32; golden data by
// tools/oracle/make_real_model.py.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

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
  std::vector<int32_t> next = golden.i32(name + ".prompt");
  std::vector<int32_t> expected = golden.i32(name + ".greedy");
  expected.resize(std::min(expected.size(), kTokensMax));
  std::vector<int32_t> found;
  std::vector<float> logits(vocab_size());
  while (found.size() < expected.size()) {
    const int32_t last = static_cast<int32_t>(next.size()) - 1;
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = logits.data();
    MIDGE_ASSERT_OK(run_.session->step(next, outputs));
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    found.push_back(static_cast<int32_t>(best));
    next = {found.back()};
  }
  EXPECT_EQ(found, expected);
}

#ifdef MIDGE_EMULATED
const auto kPrompts = ::testing::Values("story");
#else
const auto kPrompts = ::testing::Values("story", "science", "code");
#endif
INSTANTIATE_TEST_SUITE_P(RealModel, RealModelGreedy, kPrompts,
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace midge
