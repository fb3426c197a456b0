// Logits, hidden states and greedy continuations against Hugging Face transformers in float32.
#include <algorithm>
#include <ostream>
#include <utility>

#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/harness/golden.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

using test::all_rows;
using test::expect_within;
using test::GoldenFile;
using test::open;
using test::relative_error;
using test::Running;
using test::RunSetup;
using test::step_logits;
using test::with;

// The aim is 1e-3 of the logit range. transformers in f64 differs from its own f32 by 2.3e-6, and
// midge with f32 keys and values by 4.3e-6 at most. (f16 keys and values move the logits of these
// sharp random models by up to 3e-3: that path is held to the reference with the same rounding, in
// reference_test.cc, and to the greedy continuations here.)
constexpr float kBound = 1.6e-5f;

void expect_logits(const RunSetup& setup, const GoldenFile& golden, const std::string& tokens_name,
                   const std::string& logits_name) {
  Running run;
  open(setup, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const std::vector<int32_t> tokens = golden.i32(tokens_name);
  const std::vector<float> expected = golden.f32(logits_name);
  const std::vector<float> logits = step_logits(*run.session, tokens);
  const float error = relative_error(expected, logits);
  expect_within(error, kBound, setup.path + " " + logits_name);
}

// Greedy continuation, one token at a time.
void expect_greedy(const RunSetup& setup, const GoldenFile& golden, const std::string& name) {
  Running run;
  open(setup, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const std::vector<int32_t> expected = golden.i32(name + ".tokens");
  const std::vector<int32_t> found =
      test::greedy_tokens(*run.session, golden.i32(name + ".prompt"), expected.size());
  EXPECT_EQ(found, expected) << setup.path << " " << name;
}

struct Case {
  const char* name;
  std::vector<int> lengths;
  std::vector<const char*> greedy;
};

// CTest shows it behind the test's name.
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Case kCases[] = {
    {"phi4-mini", {63, 64, 65, 100, 192}, {"greedy", "greedy_short", "greedy_cross"}},
    {"phi4-mini-f16", {63, 65}, {"greedy_cross"}},
    {"phi4", {1, 2, 100}, {"greedy"}},
    {"mimo", {1, 100, 192}, {"greedy"}},
    {"qwen2", {100}, {"greedy"}},
    {"llama", {1, 100}, {"greedy"}},
    {"mistral", {24, 25, 60}, {"greedy"}},
    {"mistral-nemo", {1, 60}, {"greedy"}},
    {"phi3-window", {19, 20, 21, 60}, {"greedy"}},
    {"phi3-mini", {31, 32, 90}, {"greedy"}},
    {"phi3.5-mini", {64, 65}, {"greedy_cross"}},
    {"phi3-medium", {64, 65}, {"greedy_cross"}},
};

std::string model_path(const std::string& name) { return test::data_path("golden/models/" + name); }

class Parity : public ::testing::TestWithParam<Case> {};

TEST_P(Parity, LogitsOfEveryRow) {
  const GoldenFile golden(std::string("golden/models/") + GetParam().name +
                          "/expected.safetensors");
  for (const int length : GetParam().lengths) {
    const std::string suffix = std::to_string(length);
    const std::string path = model_path(GetParam().name);
    expect_logits({path, with(KvType::kF32)}, golden, "tokens." + suffix, "logits." + suffix);
  }
}

TEST_P(Parity, HiddenStates) {
  const GoldenFile golden(std::string("golden/models/") + GetParam().name +
                          "/expected.safetensors");
  int normed_lengths = 0;
  for (const int length : GetParam().lengths) {
    const std::string suffix = std::to_string(length);
    Running run;
    open({model_path(GetParam().name), with(KvType::kF32)}, &run);
    if (HasFatalFailure()) return;
    const std::vector<float> expected = golden.f32("hidden." + suffix);
    std::vector<float> hidden(expected.size());
    std::vector<float> normed(expected.size());
    RowOutputs outputs;
    outputs.hidden = hidden.data();
    outputs.hidden_normed = normed.data();
    MIDGE_ASSERT_OK(run.session->step(golden.i32("tokens." + suffix), outputs));
    expect_within(relative_error(expected, hidden), kBound, "hidden." + suffix);
    if (golden.has("hidden_normed." + suffix)) {
      expect_within(relative_error(golden.f32("hidden_normed." + suffix), normed), kBound,
                    "hidden_normed." + suffix);
      ++normed_lengths;
    }
  }
  EXPECT_GE(normed_lengths, 1);
}

TEST_P(Parity, GreedyContinuation) {
  const GoldenFile golden(std::string("golden/models/") + GetParam().name +
                          "/expected.safetensors");
  for (const char* name : GetParam().greedy) {
    expect_greedy({model_path(GetParam().name), with(KvType::kF32)}, golden, name);
    expect_greedy({model_path(GetParam().name), with(KvType::kF16)}, golden, name);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Parity, ::testing::ValuesIn(kCases), [](const auto& c) {
  std::string name = c.param.name;
  std::replace_if(name.begin(), name.end(), [](char x) { return x == '-' || x == '.'; }, '_');
  return name;
});

TEST(ParityRope, ForcedRegimes) {
  const GoldenFile golden("golden/models/phi4-mini/expected.safetensors");
  expect_logits({model_path("phi4-mini"), with(KvType::kF32, RopeMode::kLong)}, golden,
                "forced_long.tokens.40", "forced_long.logits.40");
  expect_logits({model_path("phi4-mini"), with(KvType::kF32, RopeMode::kShort)}, golden,
                "forced_short.tokens.72", "forced_short.logits.72");
}

// Keys that transformers gives other values where they are absent than where they are null.
TEST(ParityConfig, MistralWithoutKeys) {
  const std::string weights = test::read_bytes(model_path("mistral") + "/model.safetensors");
  const auto open_with = [&](const std::string& from, const std::string& to) {
    std::string config = test::read_bytes(model_path("mistral") + "/config.json");
    for (const auto& [old, replacement] : {std::pair<std::string, std::string>(from, to),
                                           {"_embeddings\": 512", "_embeddings\": 8192"}}) {
      const size_t at = config.find(old);
      EXPECT_NE(at, std::string::npos) << old;
      config.replace(at, old.size(), replacement);
    }
    const test::TempDir dir;
    dir.write("config.json", config);
    dir.write("model.safetensors", weights);
    return open_model(dir.path());
  };
  const auto absent = open_with("\"sliding_window\": 24,", "");
  const auto null = open_with("\"sliding_window\": 24,", "\"sliding_window\": null,");
  MIDGE_ASSERT_OK(absent);
  MIDGE_ASSERT_OK(null);
  EXPECT_EQ((*absent)->config().sliding_window, 4096);
  EXPECT_EQ((*null)->config().sliding_window, 0);
  // Eight KV heads, where the file has two.
  const Status heads = open_with("\"num_key_value_heads\": 2,", "").status();
  EXPECT_NE(heads.message().find("k_proj.weight' is [16, 64], expected [64, 64]"),
            std::string::npos)
      << heads.message();
  const Status layers =
      open_with("\"sliding_window\": 24,", "\"layer_types\": [\"full_attention\"],").status();
  EXPECT_EQ(layers.code(), StatusCode::kUnsupported) << layers.message();
}

struct GgufCase {
  const char* file;
  const char* model;  // whose golden file it shares; null: gguf/expected.safetensors
  int length;
};

const GgufCase kGgufCases[] = {
    {"phi4-mini-f32", "phi4-mini", 192},
    {"phi4-f32", "phi4", 100},
    {"mimo-f32", "mimo", 192},
    {"llama-f32", "llama", 100},
    {"phi3-window-f32", "phi3-window", 60},
    {"phi4-mini-q8_0", nullptr, 65},
    {"phi4-mini-q4_0", nullptr, 65},
    {"phi4-mini-q4_0-v2", nullptr, 65},
    {"phi4-f16", nullptr, 100},
    {"phi4-bf16", nullptr, 100},
    {"llama-q4_0", nullptr, 100},
};

TEST(ParityGguf, LogitsOfEveryRow) {
  for (const GgufCase& c : kGgufCases) {
    const std::string suffix = std::to_string(c.length);
    const std::string path = test::data_path(std::string("golden/gguf/") + c.file + ".gguf");
    if (c.model != nullptr) {
      const GoldenFile golden(std::string("golden/models/") + c.model + "/expected.safetensors");
      expect_logits({path, with(KvType::kF32)}, golden, "tokens." + suffix, "logits." + suffix);
    } else {
      const GoldenFile golden("golden/gguf/expected.safetensors");
      std::string name = c.file;
      if (name == "phi4-mini-q4_0-v2") name = "phi4-mini-q4_0";
      expect_logits({path, with(KvType::kF32)}, golden, name + ".tokens." + suffix,
                    name + ".logits." + suffix);
    }
  }
}

std::vector<float> logits_of(const RunSetup& setup, std::span<const int32_t> tokens) {
  Running run;
  open(setup, &run);
  if (::testing::Test::HasFatalFailure()) return {};
  return step_logits(*run.session, tokens);
}

TEST(ParityGguf, SameWeightsGiveTheSameBits) {
  for (const char* name : {"phi4-mini", "phi4", "mimo"}) {
    const GoldenFile golden(std::string("golden/models/") + name + "/expected.safetensors");
    const std::vector<int32_t> tokens = golden.i32("tokens.100");
    const std::vector<float> safetensors =
        logits_of({model_path(name), with(KvType::kF16)}, tokens);
    const std::vector<float> gguf = logits_of(
        {test::data_path(std::string("golden/gguf/") + name + "-f32.gguf"), with(KvType::kF16)},
        tokens);
    EXPECT_EQ(safetensors, gguf) << name;
  }
}

TEST(Parity, XnnpackPath) {
  if (!dense_backend_available()) GTEST_SKIP() << "this build has no XNNPACK";
  for (const char* name : {"phi4-mini", "phi4", "mimo", "phi4-mini-f16"}) {
    const GoldenFile golden(std::string("golden/models/") + name + "/expected.safetensors");
    const std::string suffix = golden.has("tokens.100") ? "100" : "65";
    Running run;
    open({model_path(name), with(KvType::kF32), 2, Arithmetic::kXnnpack}, &run);
    if (HasFatalFailure()) return;
    EXPECT_GT(run.executor->packed_bytes(), 0);
    const std::vector<float> expected = golden.f32("logits." + suffix);
    const std::vector<float> logits = step_logits(*run.session, golden.i32("tokens." + suffix));
    expect_within(relative_error(expected, logits), kBound, std::string("XNNPACK ") + name);
  }
}

struct MtpCase {
  const char* hidden;
  const char* logits;
  bool mask_first;
};

TEST(ParityMtp, LogitsOfEveryRow) {
  const GoldenFile golden("golden/models/mimo/expected.safetensors");
  for (const MtpCase& c :
       {MtpCase{"prenorm", "prenorm_masked", true}, MtpCase{"prenorm", "prenorm_unmasked", false},
        MtpCase{"postnorm", "postnorm_masked", true},
        MtpCase{"postnorm", "postnorm_unmasked", false}}) {
    Running run;
    SequenceOptions options = with(KvType::kF32);
    options.mtp = true;
    open({model_path("mimo"), options}, &run);
    if (HasFatalFailure()) return;
    const std::vector<int32_t> tokens = golden.i32("mtp.tokens");
    const std::vector<float> expected = golden.f32(std::string("mtp.logits.") + c.logits);
    const auto hidden_size = static_cast<size_t>(run.model->config().hidden_size);
    std::vector<float> hidden(tokens.size() * hidden_size);
    RowOutputs read;
    (std::string(c.hidden) == "prenorm" ? read.hidden : read.hidden_normed) = hidden.data();
    MIDGE_ASSERT_OK(run.session->step(tokens, read));
    expect_within(relative_error(golden.f32(std::string("mtp.hidden_in.") + c.hidden), hidden),
                  kBound, std::string("MTP input ") + c.hidden);
    const std::span<const int32_t> next = std::span(tokens).subspan(1);
    std::vector<float> logits(expected.size());
    const std::vector<int32_t> rows = all_rows(next.size());
    // In two calls, so that the layer's own cache is used across calls.
    const size_t half = 40;
    RowOutputs outputs;
    outputs.logits_rows = std::span(rows).first(half);
    outputs.logits = logits.data();
    MIDGE_ASSERT_OK(run.session->mtp_step(next.first(half), hidden.data(), c.mask_first, outputs));
    outputs.logits_rows = std::span(rows).first(next.size() - half);
    outputs.logits = logits.data() + half * static_cast<size_t>(run.model->config().vocab_size);
    MIDGE_ASSERT_OK(run.session->mtp_step(next.subspan(half), hidden.data() + half * hidden_size,
                                          c.mask_first, outputs));
    const float error = relative_error(expected, logits);
    expect_within(error, kBound, std::string("MTP ") + c.logits);
  }
}

}  // namespace
}  // namespace midge
