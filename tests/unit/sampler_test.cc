// Sampling against the logits processors of Hugging Face transformers, and its own definitions.
#include "engine/session/sampler.h"
#include "kernels/declarations.h"

#include <cmath>
#include <limits>
#include <optional>

#include <gtest/gtest.h>

#include "engine/formats/json.h"
#include "engine/session/random.h"
#include "kernels/kernels.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A sampler with what it needs beside itself.
struct TestSampler {
  explicit TestSampler(const SamplerOptions& options, std::vector<uint8_t> some)
      : allowed(std::move(some)) {
    Result<Sampler> made = Sampler::create(options, allowed, 1000);
    Result<SamplerWorkspace> memory =
        SamplerWorkspace::create(static_cast<int64_t>(allowed.size()), exp_sum_f64_f32_generic);
    EXPECT_TRUE(made.ok()) << made.status().message();
    EXPECT_TRUE(memory.ok()) << memory.status().message();
    if (made.ok()) sampler.emplace(std::move(*made));
    if (memory.ok()) workspace = std::move(*memory);
  }
  TestSampler(const SamplerOptions& options, size_t vocab_size)
      : TestSampler(options, std::vector<uint8_t>(vocab_size, 1)) {}

  int32_t sample(const std::vector<float>& logits, uint64_t position) {
    return sampler->sample(logits.data(), position, workspace);
  }

  std::vector<uint8_t> allowed;
  std::optional<Sampler> sampler;
  SamplerWorkspace workspace;
};

Status creation_status(const SamplerOptions& options, const std::vector<uint8_t>& allowed) {
  return Sampler::create(options, allowed, 10).status();
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
    TestSampler sampler(options, logits.size());
    const simdjson::dom::array history = entry.array("history").value();
    std::vector<int32_t> seen;
    for (const auto token : history) {
      seen.push_back(static_cast<int32_t>(token.get_int64().value()));
    }
    sampler.sampler->observe_prompt(seen);
    sampler.sample(logits, 0);
    const std::span<const float> found = sampler.workspace.processed();
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
  TestSampler sampler(options, 4);
  const int32_t prompt[] = {0};
  sampler.sampler->observe_prompt(prompt);
  sampler.sampler->observe_output(1);
  sampler.sampler->observe_output(2);
  sampler.sampler->observe_output(2);
  const std::vector<float> logits = {1, 1, 1, 1};
  sampler.sample(logits, 0);
  EXPECT_EQ(std::vector<float>(sampler.workspace.processed().begin(),
                               sampler.workspace.processed().end()),
            (std::vector<float>{1, 0.25f, 0, 1}));
  sampler.sampler->reset();
  sampler.sample(logits, 0);
  EXPECT_EQ(sampler.workspace.processed()[2], 1);
}

TEST(Sampler, CountsAreThoseOfAFullTable) {
  TokenCounts counts;
  counts.reserve(1000);
  std::vector<uint8_t> in_prompt(50);
  std::vector<uint32_t> in_output(50);
  for (uint64_t round = 0; round < 8; ++round) {
    std::vector<int32_t> prompt;
    for (uint64_t i = 0; i < 20; ++i) {
      const auto token = static_cast<int32_t>(uniform_at(round, i) * 50);
      if (round % 4 == 0) {
        prompt.push_back(token);
        in_prompt[static_cast<size_t>(token)] = 1;
      } else {
        counts.add_output(token);
        ++in_output[static_cast<size_t>(token)];
      }
    }
    counts.add_prompt(prompt);
  }
  size_t seen = 0;
  for (const TokenCounts::Entry& entry : counts.entries()) {
    const auto token = static_cast<size_t>(entry.token);
    EXPECT_EQ(entry.in_prompt(), in_prompt[token] != 0) << token;
    EXPECT_EQ(entry.output_count(), in_output[token]) << token;
    if (seen > 0) {
      EXPECT_LT(counts.entries()[seen - 1].token, entry.token);
    }
    ++seen;
  }
  for (size_t i = 0; i < 50; ++i) seen -= in_prompt[i] != 0 || in_output[i] != 0;
  EXPECT_EQ(seen, 0u);
}

TEST(Sampler, DrawsWithTheModelsProbabilities) {
  SamplerOptions options;
  options.temperature = 1;
  options.seed = 99;
  TestSampler sampler(options, 5);
  const std::vector<float> logits = {0, 1, -kInfinity, 2, -1};
  std::vector<double> expected(5);
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  std::vector<int> counts(5);
  const int draws = 40000;
  for (int i = 0; i < draws; ++i) {
    ++counts[static_cast<size_t>(sampler.sample(logits, static_cast<uint64_t>(i)))];
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
  TestSampler a(options, logits.size());
  TestSampler b(options, logits.size());
  std::vector<int32_t> forward;
  for (uint64_t i = 0; i < 50; ++i) forward.push_back(a.sample(logits, i));
  for (uint64_t i = 50; i-- > 0;) EXPECT_EQ(b.sample(logits, i), forward[i]);
  // Another seed draws other tokens.
  options.seed = 8;
  TestSampler c(options, logits.size());
  int same = 0;
  for (uint64_t i = 0; i < 50; ++i) same += c.sample(logits, i) == forward[i];
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
    TestSampler sampler(options, std::vector<uint8_t>{0, 1, 1, 1});
    sampler.sampler->observe_output(2);
    for (const std::vector<float>& logits : inputs) {
      const int32_t token = sampler.sample(logits, 5);
      EXPECT_GE(token, 1);
      EXPECT_LE(token, 3);
      TokenLogprob chosen = {token, 0};
      std::vector<TokenLogprob> best(4);
      const int32_t count =
          sampler.sampler->logprobs(logits.data(), &chosen, best, sampler.workspace);
      EXPECT_LE(count, 3);
    }
  }
}

TEST(Sampler, ColdIsGreedy) {
  const std::vector<float> logits = {3, 7, 5, 6.5f};
  for (const float temperature : {1e-3f, 1e-20f, 1e-38f, 1e-40f, 1e-45f}) {
    SamplerOptions options;
    options.temperature = temperature;
    TestSampler sampler(options, logits.size());
    for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(sampler.sample(logits, i), 1);
  }
}

TEST(Sampler, PaddingIsNeverSampled) {
  SamplerOptions options;
  options.temperature = 2;
  options.logit_bias = {{1, 1000.0f}};
  TestSampler sampler(options, std::vector<uint8_t>{1, 0, 1, 0});
  const std::vector<float> logits = {0, 100, 0, 100};
  for (uint64_t i = 0; i < 200; ++i) {
    const int32_t token = sampler.sample(logits, i);
    EXPECT_TRUE(token == 0 || token == 2) << token;
  }
}

TEST(Sampler, Logprobs) {
  SamplerOptions options;
  options.logprobs = 2;
  TestSampler sampler(options, std::vector<uint8_t>{1, 1, 1, 0});
  // A row that pads the table has its share of the model's distribution, and is no alternative.
  const std::vector<float> logits = {1, 3, 2, 4};
  TokenLogprob chosen = {2, 0};
  std::vector<TokenLogprob> best(2);
  ASSERT_EQ(sampler.sampler->logprobs(logits.data(), &chosen, best, sampler.workspace), 2);
  const double total = std::log(std::exp(1.0) + std::exp(3.0) + std::exp(2.0) + std::exp(4.0));
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
    return creation_status(options, std::vector<uint8_t>(10, 1)).code();
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
  EXPECT_EQ(creation_status({}, std::vector<uint8_t>(10, 0)).code(), bad);
}

}  // namespace
}  // namespace midge
