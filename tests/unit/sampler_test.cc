// Sampling against the logits processors of Hugging Face transformers, and its own definitions.
#include "engine/session/sampler.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/formats/json.h"
#include "engine/session/random.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Sampler make(const SamplerOptions& options, size_t vocab_size) {
  Result<Sampler> sampler = Sampler::create(options, std::vector<uint8_t>(vocab_size, 1));
  EXPECT_TRUE(sampler.ok()) << sampler.status().message();
  return std::move(*sampler);
}

// The parameters of a golden case.
SamplerOptions options_of(const JsonObject& parameters) {
  SamplerOptions options;
  options.temperature = static_cast<float>(parameters.number_or("temperature", 1.0).value());
  const bool greedy = parameters.boolean_or("greedy", false).value();
  if (greedy) options.temperature = 0;
  options.top_k = static_cast<int32_t>(parameters.integer_or("top_k", 0, 1 << 20, 0).value());
  options.top_p = static_cast<float>(parameters.number_or("top_p", 1.0).value());
  options.min_p = static_cast<float>(parameters.number_or("min_p", 0.0).value());
  options.repetition_penalty =
      static_cast<float>(parameters.number_or("repetition_penalty", 1.0).value());
  if (parameters.has("bias")) {
    const simdjson::dom::array pairs = parameters.array("bias").value();
    for (const auto pair : pairs) {
      options.logit_bias.emplace_back(static_cast<int32_t>(pair.at(0).get_int64().value()),
                                      static_cast<float>(pair.at(1).get_double().value()));
    }
  }
  return options;
}

TEST(Sampler, ProcessesLikeTransformers) {
  const auto document = JsonDocument::load(test::data_path("golden/sampling/cases.json"), 16 << 20);
  MIDGE_ASSERT_OK(document);
  const test::GoldenFile golden("golden/sampling/expected.safetensors");
  const JsonObject root = document->root().value();
  const std::string where = "cases.json";
  int cases = 0;
  const simdjson::dom::array all = root.array("cases").value();
  for (const auto element : all) {
    const JsonObject entry(element.get_object().value(), &where);
    const std::string name(entry.string("name").value());
    SCOPED_TRACE(name);
    std::vector<float> logits = golden.f32(name + ".logits");
    const std::vector<float> expected = golden.f32(name + ".processed");
    const std::vector<uint8_t> kept = golden.u8(name + ".kept");
    for (float& logit : logits) {
      if (logit == -std::numeric_limits<float>::max()) logit = -kInfinity;
    }
    const SamplerOptions options = options_of(entry.object("parameters").value());
    Sampler sampler = make(options, logits.size());
    const simdjson::dom::array history = entry.array("history").value();
    for (const auto token : history) {
      sampler.observe_prompt(static_cast<int32_t>(token.get_int64().value()));
    }
    sampler.sample(logits.data(), 0);
    const std::span<const float> found = sampler.processed();
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(found[i] != -kInfinity, kept[i] != 0) << i;
      if (kept[i] != 0) {
        EXPECT_FLOAT_EQ(found[i], expected[i]) << i;
      }
    }
    ++cases;
  }
  EXPECT_GE(cases, 30);
}

TEST(Sampler, PresenceAndFrequencyCountTheOutputOnly) {
  SamplerOptions options;
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.25f;
  Sampler sampler = make(options, 4);
  sampler.observe_prompt(0);
  sampler.observe_output(1);
  sampler.observe_output(2);
  sampler.observe_output(2);
  const std::vector<float> logits = {1, 1, 1, 1};
  sampler.sample(logits.data(), 0);
  EXPECT_EQ(std::vector<float>(sampler.processed().begin(), sampler.processed().end()),
            (std::vector<float>{1, 0.25f, 0, 1}));
  sampler.reset();
  sampler.sample(logits.data(), 0);
  EXPECT_EQ(sampler.processed()[2], 1);
}

TEST(Sampler, DrawsWithTheModelsProbabilities) {
  SamplerOptions options;
  options.temperature = 1;
  options.seed = 99;
  Sampler sampler = make(options, 5);
  const std::vector<float> logits = {0, 1, -kInfinity, 2, -1};
  std::vector<double> expected(5);
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  std::vector<int> counts(5);
  const int draws = 40000;
  for (int i = 0; i < draws; ++i) {
    ++counts[static_cast<size_t>(sampler.sample(logits.data(), static_cast<uint64_t>(i)))];
  }
  for (size_t i = 0; i < 5; ++i) {
    const double p = std::exp(logits[i]) / total;
    // Five standard errors.
    EXPECT_NEAR(counts[i], draws * p, 5 * std::sqrt(draws * p * (1 - p))) << i;
  }
}

TEST(Sampler, DependsOnSeedAndPositionOnly) {
  SamplerOptions options;
  options.temperature = 0.8f;
  options.top_p = 0.9f;
  options.seed = 7;
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(uniform_at(3, i) * 8);
  }
  Sampler a = make(options, logits.size());
  Sampler b = make(options, logits.size());
  std::vector<int32_t> forward;
  for (uint64_t i = 0; i < 50; ++i) forward.push_back(a.sample(logits.data(), i));
  for (uint64_t i = 50; i-- > 0;) EXPECT_EQ(b.sample(logits.data(), i), forward[i]);
  // Another seed draws other tokens.
  options.seed = 8;
  Sampler c = make(options, logits.size());
  int same = 0;
  for (uint64_t i = 0; i < 50; ++i) same += c.sample(logits.data(), i) == forward[i];
  EXPECT_LT(same, 10);
}

TEST(Sampler, SurvivesEveryKindOfLogits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::vector<float>> inputs = {
      {nan, nan, nan, nan},         {-kInfinity, -kInfinity, -kInfinity, -kInfinity},
      {kInfinity, 0, kInfinity, 0}, {nan, 1, kInfinity, -kInfinity},
      {3e38f, -3e38f, 3e38f, 0},    {0, 0, 0, 0},
      {nan, -kInfinity, nan, 5},    {1e-45f, -1e-45f, 0, -0.0f}};
  for (const float temperature : {0.0f, 1e-6f, 1.0f, 1e6f}) {
    SamplerOptions options;
    options.temperature = temperature;
    options.top_k = 3;
    options.top_p = 0.9f;
    options.min_p = 0.1f;
    options.repetition_penalty = 1.3f;
    options.logprobs = 4;
    // Token 0 is padding: nothing may ever choose it.
    Result<Sampler> sampler = Sampler::create(options, {0, 1, 1, 1});
    MIDGE_ASSERT_OK(sampler);
    sampler->observe_output(2);
    for (const std::vector<float>& logits : inputs) {
      const int32_t token = sampler->sample(logits.data(), 5);
      EXPECT_GE(token, 1);
      EXPECT_LE(token, 3);
      TokenLogprob chosen = {token, 0};
      std::vector<TokenLogprob> best(4);
      const int32_t count = sampler->logprobs(logits.data(), &chosen, best);
      EXPECT_LE(count, 3);
    }
  }
}

TEST(Sampler, ColdIsGreedy) {
  const std::vector<float> logits = {3, 7, 5, 6.5f};
  for (const float temperature : {1e-3f, 1e-20f, 1e-38f, 1e-40f, 1e-45f}) {
    SamplerOptions options;
    options.temperature = temperature;
    Sampler sampler = make(options, logits.size());
    for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(sampler.sample(logits.data(), i), 1);
  }
}

TEST(Sampler, PaddingIsNeverSampled) {
  SamplerOptions options;
  options.temperature = 2;
  options.logit_bias = {{1, 1000.0f}};
  Result<Sampler> sampler = Sampler::create(options, {1, 0, 1, 0});
  MIDGE_ASSERT_OK(sampler);
  const std::vector<float> logits = {0, 100, 0, 100};
  for (uint64_t i = 0; i < 200; ++i) {
    const int32_t token = sampler->sample(logits.data(), i);
    EXPECT_TRUE(token == 0 || token == 2) << token;
  }
}

TEST(Sampler, Logprobs) {
  SamplerOptions options;
  options.logprobs = 2;
  Result<Sampler> sampler = Sampler::create(options, {1, 1, 1, 0});
  MIDGE_ASSERT_OK(sampler);
  const std::vector<float> logits = {1, 3, 2, 9};
  TokenLogprob chosen = {2, 0};
  std::vector<TokenLogprob> best(2);
  ASSERT_EQ(sampler->logprobs(logits.data(), &chosen, best), 2);
  const double total = std::log(std::exp(1.0) + std::exp(3.0) + std::exp(2.0));
  // Rounded a few times at the size of the largest logit, whose last place is worth 2^-22.
  constexpr double kAllowed = 4 * 0x1p-22;
  EXPECT_NEAR(chosen.logprob, 2 - total, kAllowed);
  EXPECT_EQ(best[0].token, 1);
  EXPECT_NEAR(best[0].logprob, 3 - total, kAllowed);
  EXPECT_EQ(best[1].token, 2);
}

TEST(Sampler, RefusesImpossibleOptions) {
  const auto code = [](auto change) {
    SamplerOptions options;
    change(options);
    return Sampler::create(options, std::vector<uint8_t>(10, 1)).status().code();
  };
  const auto bad = StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](SamplerOptions&) {}), StatusCode::kOk);
  EXPECT_EQ(code([](SamplerOptions& o) { o.temperature = -1; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.temperature = NAN; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.top_k = -1; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.top_p = 0; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.top_p = 1.5f; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.min_p = -0.1f; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.repetition_penalty = 0; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.presence_penalty = INFINITY; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.logprobs = 33; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.logit_bias = {{10, 1.0f}}; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.logit_bias = {{-1, 1.0f}}; }), bad);
  EXPECT_EQ(code([](SamplerOptions& o) { o.logit_bias = {{1, NAN}}; }), bad);
  EXPECT_EQ(Sampler::create({}, std::vector<uint8_t>(10, 0)).status().code(), bad);
}

}  // namespace
}  // namespace midge
