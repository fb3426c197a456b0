// Importance: what is collected, what a file says, and files that are refused.
#include "engine/weights/importance.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/session/activations.h"
#include "models/registry.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

TEST(Importance, MatricesThatReadTheSameRowsShareAnInput) {
  EXPECT_EQ(Importance::input_of("layers.12.q"), "layers.12.qkv");
  EXPECT_EQ(Importance::input_of("layers.12.v"), "layers.12.qkv");
  EXPECT_EQ(Importance::input_of("layers.0.up"), "layers.0.gate_up");
  EXPECT_EQ(Importance::input_of("layers.0.o"), "layers.0.o");
  EXPECT_EQ(Importance::input_of("mtp.k"), "mtp.qkv");
  EXPECT_EQ(Importance::input_of("head"), "head");
}

TEST(Importance, IsTheMeanOfSquares) {
  Importance importance;
  const float rows[] = {1, 0, 2, 3, 0, 4};
  importance.add("layers.0.k", rows, 2, 3);
  const std::vector<float> values = importance.of("layers.0.q");
  // Sums of squares are 10, 0 and 20; their mean is 10.
  ASSERT_EQ(values.size(), 3U);
  EXPECT_FLOAT_EQ(values[0], 1.001f);
  EXPECT_FLOAT_EQ(values[1], 0.001f);
  EXPECT_FLOAT_EQ(values[2], 2.001f);
  EXPECT_TRUE(importance.of("layers.1.q").empty());
}

Importance sample() {
  Importance importance;
  const float rows[] = {1, -2, 3};
  importance.add("layers.0.down", rows, 1, 3);
  importance.add("head", rows, 1, 2);
  importance.set_tokens(77);
  return importance;
}

// As of a model with more layers.
TEST(Importance, InputsOfAnotherModelAreRefused) {
  Importance importance = sample();
  const std::vector<std::string> matrices = {"layers.0.q", "layers.0.down", "head"};
  EXPECT_TRUE(importance.check_inputs(matrices).ok());
  const float rows[] = {1, 2};
  importance.add("mtp.k", rows, 1, 2);
  importance.count_tokens({}, 2);
  EXPECT_TRUE(importance.check_inputs(matrices).ok());
  importance.add("layers.1.up", rows, 1, 2);
  const Status refused = importance.check_inputs(matrices);
  EXPECT_EQ(refused.code(), StatusCode::kModelMismatch);
  EXPECT_NE(refused.message().find("'layers.1.gate_up'"), std::string::npos) << refused.message();
}

TEST(Importance, FilesGiveBackWhatWasWritten) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/x.importance";
  MIDGE_ASSERT_OK(sample().save(path));
  const auto read = Importance::load(path);
  MIDGE_ASSERT_OK(read);
  EXPECT_EQ(read->tokens(), 77);
  EXPECT_EQ(read->input_count(), 2U);
  EXPECT_EQ(read->of("layers.0.down"), sample().of("layers.0.down"));
  EXPECT_EQ(read->text(), sample().text());
}

TEST(Importance, DamagedFilesAreRefused) {
  const std::string whole = sample().text();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Importance::parse(whole.substr(0, size)).ok()) << size;
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_FALSE(Importance::parse(damaged).ok()) << at;
  }
  EXPECT_FALSE(Importance::parse(whole + "x").ok());
  const test::TempDir dir;
  dir.write("bad", "midge");
  const Status status = Importance::load(dir.path() + "/bad").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidFile);
  EXPECT_EQ(status.message(), dir.path() + "/bad: importance file: does not begin with 'midgeimp'");
}

// What linear layers are shown is what the layer norm made of the embedding.
TEST(MeasureImportance, SeesTheInputsOfEveryMatrix) {
  test::Running run;
  test::open({test::data_path("golden/models/llama")}, &run);
  if (HasFatalFailure()) return;
  const ModelConfig& config = run.model->config();
  const std::vector<int32_t> tokens = test::random_tokens(40, config.vocab_size);
  const auto importance = measure_importance(*run.session, tokens, 16, nullptr);
  MIDGE_ASSERT_OK(importance);
  EXPECT_EQ(importance->tokens(), 40);
  EXPECT_EQ(importance->input_count(), static_cast<size_t>(4 * config.layer_count + 1));

  const LayerWeights<PreparedMatrix>& layer = run.model->weights().layers[0];
  const WeightRows& table = run.model->weights().embedding.rows;
  const auto hidden = static_cast<size_t>(config.hidden_size);
  Importance expected;
  for (const int32_t token : tokens) {
    std::vector<float> x(hidden);
    const DequantizeArgs args = {config.hidden_size, table.row(token), x.data()};
    run.executor->kernels().dequantize[static_cast<int>(table.encoding)](&args);
    double squares = 0;
    for (const float value : x) squares += double{value} * double{value};
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(hidden) + double{config.rms_epsilon});
    for (size_t i = 0; i < hidden; ++i) {
      x[i] = static_cast<float>(double{x[i]} * scale * double{layer.attn_norm[i]});
    }
    expected.add("layers.0.q", x.data(), 1, config.hidden_size);
  }
  const std::vector<float> mine = importance->of("layers.0.v");
  const std::vector<float> wanted = expected.of("layers.0.v");
  ASSERT_EQ(mine.size(), hidden);
  for (size_t i = 0; i < hidden; ++i) EXPECT_NEAR(mine[i], wanted[i], 1e-5 * wanted[i]) << i;
}

TEST(MeasureImportance, OfAnotherModelIsRefused) {
  const auto model = open_model(test::data_path("golden/models/llama"));
  MIDGE_ASSERT_OK(model);
  const float row[3] = {1, 2, 3};
  Importance importance;
  importance.add("layers.1.k", row, 1, 3);
  ExecutorOptions options;
  options.threads = 1;
  options.weights = Encoding::kQ4B32;
  options.importance = &importance;
  const Status status = Executor::create(**model, options).status();
  EXPECT_EQ(status.code(), StatusCode::kModelMismatch);
  EXPECT_EQ(status.message(), "importance of 3 channels for 'layers.1.q', expected 64");
}

TEST(MeasureImportance, RefusesPackedArithmetic) {
  test::Running run;
  test::open({.path = test::data_path("golden/models/llama"),
              .arithmetic = Arithmetic::kPacked,
              .weights = Encoding::kQ8B32},
             &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = {1, 2, 3};
  const Status status = measure_importance(*run.session, tokens, 16, nullptr).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace midge
