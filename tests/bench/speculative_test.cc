// What `midge bench --spec` says, on the smallest models.
#include "bench/model/speculative.h"

#include <gtest/gtest.h>

#include "models/synthetic.h"
#include "tests/harness/golden.h"

namespace midge::bench {
namespace {

Result<std::unique_ptr<LoadedModel>> open_tiny_mimo() {
  LoadOptions options;
  options.executor.threads = 2;
  options.executor.context_max = 256;
  options.executor.weights = *recipe_from_name("fast");
  return LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", options);
}

SpeculativeOptions short_options(Drafter drafter) {
  SpeculativeOptions options;
  options.rounds = 2;
  options.tokens = 24;
  options.drafts.drafter = drafter;
  options.drafts.always = true;
  options.prompts = free_prompts();
  return options;
}

TEST(Speculative, SaysWhatWasMeasured) {
  const auto model = open_tiny_mimo();
  MIDGE_ASSERT_OK(model);
  const auto report = measure_drafts(**model, short_options(Drafter::kMtp));
  MIDGE_ASSERT_OK(report);
  EXPECT_GT(report->totals.mtp_drawn, 0);
  EXPECT_GT(report->plain_seconds, 0);
  EXPECT_GT(report->speed.middle, 0);
  EXPECT_GT(report->draft_seconds, 0);
  EXPECT_GT(report->tokens_per_step, 1.2);
  // All but the first of six answers, each step with one token and its drafts.
  EXPECT_LE(report->tokens, 6 * 23);
  EXPECT_LT(report->steps, 2 * report->tokens);
}

TEST(Speculative, FakedAcceptanceIsReached) {
  const auto model = open_tiny_mimo();
  MIDGE_ASSERT_OK(model);
  for (const double acceptance : {0.25, 1.0}) {
    SpeculativeOptions options = short_options(Drafter::kMtp);
    options.acceptance = acceptance;
    const auto report = measure_drafts(**model, options);
    MIDGE_ASSERT_OK(report);
    EXPECT_NEAR(static_cast<double>(report->totals.mtp_drawn) /
                    static_cast<double>(report->totals.mtp_drafts),
                acceptance, 0.04);
    EXPECT_GT(report->allowed, 0);
  }
}

// A model without a tokenizer gets made-up tokens.
TEST(Speculative, OfRandomWeights) {
  LoadOptions options;
  options.executor.threads = 1;
  options.executor.context_max = 256;
  const auto team = WorkerTeam::create(TeamOptions{{1, ""}, false, {}});
  MIDGE_ASSERT_OK(team);
  auto weights = synthetic_model("phi4-mini-1L", Encoding::kQ4B32, *team, nullptr);
  MIDGE_ASSERT_OK(weights);
  const auto model = LoadedModel::adopt("random", std::move(*weights), options);
  MIDGE_ASSERT_OK(model);
  SpeculativeOptions measured = short_options(Drafter::kLookup);
  measured.rounds = 1;
  measured.tokens = 4;
  MIDGE_ASSERT_OK(measure_drafts(**model, measured));
}

TEST(Speculative, RefusesNoDrafter) {
  const auto model = open_tiny_mimo();
  MIDGE_ASSERT_OK(model);
  EXPECT_EQ(measure_drafts(**model, short_options(Drafter::kNone)).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace midge::bench
