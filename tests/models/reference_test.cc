// The engine against tests/reference: with the f16 cache that is the default, on shapes that no
// published model has, and on the bundled models.
#include <gtest/gtest.h>

#include "tests/harness/checkpoint.h"
#include "tests/harness/running.h"
#include "tests/harness/tolerance.h"
#include "tests/reference/reference.h"

namespace midge {
namespace {

using test::CheckpointShape;
using test::Running;

// f32 sums against f64 sums through all layers: measured at 1.5e-6 at most. With an f16 cache, done
// alike on both sides, the last bit of a sum sometimes decides to which neighbour a key or value is
// rounded (2^-11 of one element): measured at 1.1e-4.
constexpr float kBoundF32 = 6e-6f;
constexpr float kBoundF16 = 4.4e-4f;

void expect_like_reference(const std::string& path, int64_t length, KvType kv_type) {
  SCOPED_TRACE(path);
  Running run;
  test::open({path, test::with(kv_type)}, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const Model& model = *run.model;
  const std::vector<int32_t> tokens =
      test::random_tokens(static_cast<size_t>(length), model.config().vocab_size);
  reference::Options options;
  options.round_kv_to_f16 = kv_type == KvType::kF16;
  options.long_rope =
      model.config().rope.has_regimes() && length > model.config().rope.original_context;
  const reference::Output expected = reference::forward(model, tokens, options);
  const float error =
      test::relative_error(expected.logits.values, test::step_logits(*run.session, tokens));
  const float bound = kv_type == KvType::kF16 ? kBoundF16 : kBoundF32;
  test::expect_within(error, bound, std::to_string(length) + " tokens, " + kv_type_name(kv_type));
}

TEST(Reference, GoldenModels) {
  for (const char* name : {"phi4-mini", "phi4", "mimo", "qwen2"}) {
    expect_like_reference(test::data_path(std::string("golden/models/") + name), 70, KvType::kF16);
  }
}

TEST(Reference, QuantizedModels) {
  for (const char* name : {"phi4-mini-q4_0", "phi4-mini-q8_0", "phi4-bf16"}) {
    expect_like_reference(test::data_path(std::string("golden/gguf/") + name + ".gguf"), 40,
                          KvType::kF32);
  }
}

TEST(Reference, BundledModels) {
  for (const char* name : {"tiny-phi", "tiny-mimo"}) {
    const std::string path = std::string(MIDGE_SOURCE_DIR) + "/assets/models/" + name;
    expect_like_reference(path, 33, KvType::kF16);
    expect_like_reference(path, 33, KvType::kF32);
  }
}

TEST(Reference, OddShapes) {
  std::vector<CheckpointShape> shapes(6);
  shapes[0].head_dim = 8;
  shapes[1] = {"phi3", 33, 1, 47, 3, 3, 6, 17, 64, true, 0};
  shapes[2] = {"qwen2", 64, 2, 20, 8, 1, 256, 40, 64, false, 0};
  shapes[3] = {"mimo", 50, 1, 70, 6, 2, 10, 30, 64, false, 0};
  shapes[4].window = 5;
  // The heads of Phi-3-mini at full size.
  shapes[5] = {"phi3", 192, 1, 40, 2, 2, 96, 40, 64, false, 11};
  for (const CheckpointShape& shape : shapes) {
    const test::TempDir dir;
    test::write_checkpoint(dir, shape);
    for (const int64_t length : {1, 2, 37}) {
      expect_like_reference(dir.path(), length, KvType::kF32);
    }
  }
}

TEST(Reference, Mtp) {
  const std::string path = std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-mimo";
  test::RunSetup setup = {path, test::with(KvType::kF32)};
  setup.session.mtp = true;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = test::random_tokens(21, run.model->config().vocab_size);
  const std::span<const int32_t> seen = std::span(tokens).first(20);
  const std::span<const int32_t> next = std::span(tokens).subspan(1);
  const reference::Output output = reference::forward(*run.model, seen, {});
  const reference::Rows expected = reference::mtp_logits(*run.model, output.hidden, next, true, {});
  std::vector<float> hidden(output.hidden.values.size());
  RowOutputs read;
  read.hidden = hidden.data();
  MIDGE_ASSERT_OK(run.session->step(seen, read));
  std::vector<float> logits(expected.values.size());
  const std::vector<int32_t> rows = test::all_rows(next.size());
  RowOutputs outputs;
  outputs.logits_rows = rows;
  outputs.logits = logits.data();
  MIDGE_ASSERT_OK(run.session->mtp_step(next, hidden.data(), true, outputs));
  test::expect_within(test::relative_error(expected.values, logits), kBoundF32, "MTP");
}

}  // namespace
}  // namespace midge
