// Models that are accepted: what they take beside their file. docs/hostile-input.md.
#include <gtest/gtest.h>

#include "tests/harness/checkpoint.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::TempDir;

constexpr int64_t kMemoryBase = int64_t{64} << 20;  // the promise: that, and 4 times the file

// A model with wide heads on a narrow hidden state: much memory per token for few weights.
test::CheckpointShape wide_heads() {
  test::CheckpointShape shape;
  shape.hidden = 8;
  shape.layers = 2;
  shape.intermediate = 8;
  shape.heads = 256;
  shape.kv_heads = 256;
  shape.head_dim = 64;
  shape.context = 1 << 20;
  return shape;
}

TEST(HostileMemory, ContextAndBatchRowsAreCutToTheFile) {
  const TempDir dir;
  test::write_checkpoint(dir, wide_heads());
  test::Running run;
  test::open({dir.path()}, &run);
  if (HasFatalFailure()) return;
  const int64_t budget = kMemoryBase + 4 * static_cast<int64_t>(run.model->storage().file_bytes());
  std::printf("[ memory   ] file %.1f MB: KV %.1f MB, scratch %.1f MB\n",
              static_cast<double>(run.model->storage().file_bytes()) * 1e-6,
              static_cast<double>(run.session->kv_bytes()) * 1e-6,
              static_cast<double>(run.executor->scratch_bytes()) * 1e-6);
  EXPECT_LE(run.session->kv_bytes(), budget);
  EXPECT_LE(run.executor->scratch_bytes(), budget + (int64_t{8} << 20));  // and what threads have
  // It is of use all the same.
  EXPECT_GE(run.session->context_length(), 64);
  EXPECT_EQ(test::step_logits(*run.session, test::random_tokens(40, 50)).size(), 40U * 50U);
}

TEST(HostileMemory, AContextThatIsAskedForIsGiven) {
  const TempDir dir;
  test::write_checkpoint(dir, wide_heads());
  test::RunSetup setup = {dir.path()};
  setup.session.context_length = 4096;
  test::Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  EXPECT_EQ(run.session->context_length(), 4096);
}

}  // namespace
}  // namespace midge
