// Weights that are no numbers: whatever the logits become, a token with a row is drawn.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/session/sampler.h"
#include "kernels/declarations.h"
#include "kernels/kernels.h"
#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/gguf_writer.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::TempDir;

void expect_tokens_in_bounds(std::span<const float> logits) {
  for (const float temperature : {0.0f, 0.7f}) {
    for (const int top_k : {0, 3}) {
      SamplerOptions options;
      options.temperature = temperature;
      options.top_k = top_k;
      options.top_p = 0.9f;
      options.min_p = 0.05f;
      options.repetition_penalty = 1.1f;
      options.logprobs = 4;
      const std::vector<uint8_t> allowed(logits.size(), 1);
      auto sampler = Sampler::create(options, allowed, 100);
      MIDGE_ASSERT_OK(sampler);
      auto workspace =
          SamplerWorkspace::create(static_cast<int64_t>(logits.size()), exp_sum_f64_f32_generic);
      MIDGE_ASSERT_OK(workspace);
      for (uint64_t position = 0; position < 20; ++position) {
        const int32_t token = sampler->sample(logits.data(), position, *workspace);
        ASSERT_GE(token, 0);
        ASSERT_LT(token, static_cast<int32_t>(logits.size()));
        sampler->observe_output(token);
        TokenLogprob chosen = {token, 0};
        std::vector<TokenLogprob> others(4);
        const int32_t count = sampler->logprobs(logits.data(), &chosen, others, *workspace);
        for (int32_t i = 0; i < count; ++i) {
          ASSERT_GE(others[static_cast<size_t>(i)].token, 0);
          ASSERT_LT(others[static_cast<size_t>(i)].token, static_cast<int32_t>(logits.size()));
        }
      }
    }
  }
}

TEST(HostileNumbers, LogitsOfEveryKind) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> cases = {
      {nan, nan, nan, nan},           {infinity, infinity, 0, nan},  {-infinity, -infinity},
      {nan, 1, infinity, -infinity},  {3e38f, 3e38f, -3e38f, 3e38f}, {nan},
      {-infinity, nan, -infinity, 0}, {0, -0.0f, 1e-45f, -1e-45f}};
  for (const auto& logits : cases) expect_tokens_in_bounds(logits);
}

// A model whose first bytes of `tensor` are `bytes`, run for a few tokens.
void run_with(const std::string& tensor, const std::string& bytes) {
  const TempDir dir;
  const test::CheckpointShape shape;
  dir.write("config.json", test::checkpoint_config(shape));
  const auto source = [&] {
    dir.write("model.safetensors", test::checkpoint_tensors(shape, 1).bytes());
    return WeightSource::open(dir.path(), FileAccess::kCopy);
  }();
  MIDGE_ASSERT_OK(source);
  const SourceTensor* found = (*source)->find(tensor);
  ASSERT_NE(found, nullptr) << tensor;
  std::string file = test::read_bytes(dir.file("model.safetensors"));
  file.replace(found->offset, bytes.size(), bytes);
  dir.write("model.safetensors", file);
  test::Running run;
  test::open({dir.path()}, &run);
  if (testing::Test::HasFatalFailure()) return;
  expect_tokens_in_bounds(
      test::step_logits(*run.session, test::random_tokens(5, run.model->config().vocab_size)));
}

std::string repeated(float value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.append(reinterpret_cast<const char*>(&value), 4);
  return bytes;
}

TEST(HostileNumbers, WeightsThatAreNoNumbers) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
    for (const char* tensor :
         {"model.embed_tokens.weight", "model.layers.0.self_attn.qkv_proj.weight",
          "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"}) {
      run_with(tensor, repeated(value, 40));
    }
  }
}

TEST(HostileNumbers, ScalesThatAreNoNumbers) {
  // Every f16 scale of a quantised model becomes NaN, infinity, or the largest number.
  for (const uint16_t scale : {uint16_t{0x7E00}, uint16_t{0x7C00}, uint16_t{0x7BFF}}) {
    for (const char* name : {"phi4-mini-q4_0.gguf", "phi4-mini-q8_0.gguf"}) {
      const std::string path = test::data_path(std::string("golden/gguf/") + name);
      const auto source = WeightSource::open(path, FileAccess::kMap);
      MIDGE_ASSERT_OK(source);
      std::string file = test::read_bytes(path);
      for (const SourceTensor& tensor : (*source)->tensors()) {
        const EncodingInfo& encoding = encoding_info(*tensor.encoding);
        if (encoding.block_elements == 1) continue;
        const auto block = static_cast<uint64_t>(encoding.block_bytes);
        for (uint64_t at = 0; at < tensor.bytes; at += block) {
          std::memcpy(file.data() + tensor.offset + at, &scale, 2);
        }
      }
      const TempDir dir;
      test::Running run;
      test::open({dir.write("x.gguf", file)}, &run);
      if (HasFatalFailure()) return;
      expect_tokens_in_bounds(
          test::step_logits(*run.session, test::random_tokens(5, run.model->config().vocab_size)));
    }
  }
}

TEST(HostileNumbers, WarningsNameTheTensor) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const char* name :
       {"model.norm.weight", "model.layers.1.mlp.down_proj.weight", "model.embed_tokens.weight"}) {
    for (const float value : {nan, infinity, -infinity}) {
      const TempDir dir;
      const test::CheckpointShape shape;
      dir.write("config.json", test::checkpoint_config(shape));
      test::SafetensorsWriter tensors = test::checkpoint_tensors(shape, 1);
      std::string& bytes = tensors.bytes_of(name);
      std::memcpy(bytes.data() + bytes.size() - sizeof(value), &value, sizeof(value));
      dir.write("model.safetensors", tensors.bytes());
      const auto model = open_model(dir.path());
      MIDGE_ASSERT_OK(model);
      ASSERT_EQ((*model)->warnings().size(), 1U) << name;
      EXPECT_NE((*model)->warnings()[0].find(std::string("tensor '") + name + "' holds"),
                std::string::npos)
          << (*model)->warnings()[0];
    }
  }
  // None without: also of the quantised models, whose blocks are read.
  const auto clean = open_model(test::data_path("golden/gguf/phi4-mini-q4_0.gguf"));
  MIDGE_ASSERT_OK(clean);
  EXPECT_TRUE((*clean)->warnings().empty()) << (*clean)->warnings()[0];
}

}  // namespace
}  // namespace midge
