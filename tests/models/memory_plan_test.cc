// A plan is what is then taken, and a budget holds.
#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "api/packing.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

std::string bundled(const char* name) {
  return std::string(MIDGE_SOURCE_DIR "/assets/models/") + name;
}

LoadOptions options_for(int64_t context, const char* recipe) {
  LoadOptions options;
  options.executor.threads = 2;
  options.executor.context_max = context;
  options.sequence.context_length = context;
  if (recipe != nullptr) options.executor.weights = *recipe_from_name(recipe);
  return options;
}

// Opens what was planned and compares, byte for byte.
void expect_plan(const std::string& path, int64_t context, const char* recipe,
                 KvType kv_type = KvType::kF16) {
  SCOPED_TRACE(path + " " + std::to_string(context) + " " + kv_type_name(kv_type));
  LoadOptions options = options_for(context, recipe);
  options.sequence.kv_type = kv_type;
  const auto plan = plan_memory(path, options);
  MIDGE_ASSERT_OK(plan);
  EXPECT_EQ(plan->context, context);
  const auto loaded = LoadedModel::open(path, options);
  MIDGE_ASSERT_OK(loaded);
  const auto session = (*loaded)->new_session(options.sequence);
  MIDGE_ASSERT_OK(session);
  const Executor& executor = (*loaded)->executor();
  EXPECT_EQ(plan->executor.scratch, executor.scratch_bytes());
  EXPECT_EQ(plan->executor.weights_copied, executor.packed_bytes());
  EXPECT_EQ(plan->kv_per_sequence, (*session)->kv_bytes());
  if (is_packed_file(path)) {
    EXPECT_EQ(plan->mapped(), int64_t((*loaded)->model().storage().file_bytes()));
    return;
  }
  int64_t in_place = 0;
  const bool tied = (*loaded)->model().config().tied_head;
  const std::span<const uint8_t> copies = executor.packed();
  visit_matrices(*executor.engine().weights, tied, [&](const std::string&, const auto& w) {
    w.visit_memory([&](const uint8_t* start, int64_t bytes) {
      const bool is_copy = start >= copies.data() && start < copies.data() + copies.size();
      if (!is_copy) in_place += bytes;
    });
  });
  EXPECT_EQ(plan->executor.weights_in_place, in_place);
}

TEST(MemoryPlan, IsWhatIsTaken) {
  const test::TempDir dir;
  PackingOptions packing;
  Status tokenizer;
  MIDGE_ASSERT_OK(pack_file(bundled("tiny-mimo"), dir.file("x.midge"), packing, &tokenizer));
  for (const int64_t context : {64, 1000}) {
    expect_plan(bundled("tiny-phi"), context, nullptr);
    expect_plan(bundled("tiny-phi"), context, "fast");
    expect_plan(bundled("tiny-mimo"), context, "int8");
    expect_plan(dir.file("x.midge"), context, nullptr);
    for (const KvType type : {KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
      expect_plan(dir.file("x.midge"), context, nullptr, type);
    }
  }
}

TEST(MemoryPlan, GrowsWithSessions) {
  LoadOptions options = options_for(512, nullptr);
  const auto one = plan_memory(bundled("tiny-phi"), options);
  options.sequences = 3;
  const auto three = plan_memory(bundled("tiny-phi"), options);
  MIDGE_ASSERT_OK(one);
  MIDGE_ASSERT_OK(three);
  EXPECT_EQ(three->anonymous() - one->anonymous(),
            2 * (one->kv_per_sequence + one->tokens_per_sequence));
  options.sequences = 0;
  EXPECT_EQ(plan_memory(bundled("tiny-phi"), options).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(MemoryPlan, BudgetHolds) {
  LoadOptions options = options_for(2048, nullptr);
  const auto plan = plan_memory(bundled("tiny-phi"), options);
  MIDGE_ASSERT_OK(plan);
  options.memory_budget = plan->total();
  MIDGE_ASSERT_OK(LoadedModel::open(bundled("tiny-phi"), options));
  options.memory_budget = plan->total() - 1;
  const Status refused = LoadedModel::open(bundled("tiny-phi"), options).status();
  EXPECT_EQ(refused.code(), StatusCode::kOutOfMemory);
  const auto fits = context_within_budget(bundled("tiny-phi"), options, plan->total() - 1);
  MIDGE_ASSERT_OK(fits);
  EXPECT_NE(refused.message().find("a context of " + std::to_string(*fits) + " tokens fits"),
            std::string::npos)
      << refused.message();
  // That one fits, and no longer one does.
  for (const int64_t more : {0, 1}) {
    const LoadOptions other = options_for(*fits + more, nullptr);
    const auto other_plan = plan_memory(bundled("tiny-phi"), other);
    MIDGE_ASSERT_OK(other_plan);
    EXPECT_EQ(other_plan->total() <= *options.memory_budget, more == 0);
  }
  options.memory_budget = 1000;
  const Status none = LoadedModel::open(bundled("tiny-phi"), options).status();
  EXPECT_NE(none.message().find("without any context"), std::string::npos) << none.message();
}

}  // namespace
}  // namespace midge
