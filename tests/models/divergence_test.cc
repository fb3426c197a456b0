// measure_divergence() against sums over the logits of whole steps.
#include "engine/session/perplexity.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/harness/running.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

using test::Running;

constexpr int64_t kWindow = 16;

std::string model_path(const char* name) {
  return test::data_path(std::string("golden/models/") + name);
}

// The plain formula, with probabilities rather than their logarithms.
std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> p(logits.begin(), logits.end());
  double total = 0;
  for (double& value : p) total += value = std::exp(value);
  for (double& value : p) value /= total;
  return p;
}

TEST(Divergence, SumsOverTheVocabulary) {
  Running original;
  test::open({model_path("llama")}, &original);
  Running coarse;
  test::open({.path = model_path("llama"), .weights = Encoding::kQ4B32}, &coarse);
  if (HasFatalFailure()) return;
  const auto vocab = static_cast<size_t>(original.model->config().vocab_size);
  const std::vector<int32_t> tokens =
      test::random_tokens(2 * kWindow + 5, static_cast<int64_t>(vocab));
  const auto result = measure_divergence(*original.session, *coarse.session, tokens, kWindow,
                                         RowRole::kPrompt, nullptr);
  MIDGE_ASSERT_OK(result);

  std::vector<double> divergences;
  double agreed = 0;
  double nll = 0;
  for (size_t start = 0; start < tokens.size(); start += kWindow) {
    const auto text = std::span(tokens).subspan(
        start, std::min(static_cast<size_t>(kWindow), tokens.size() - start));
    MIDGE_ASSERT_OK(original.session->truncate(0));
    MIDGE_ASSERT_OK(coarse.session->truncate(0));
    const std::vector<float> p_logits = test::step_logits(*original.session, text);
    const std::vector<float> q_logits = test::step_logits(*coarse.session, text);
    for (size_t row = 0; row + 1 < text.size(); ++row) {
      const std::vector<double> p = softmax(std::span(p_logits).subspan(row * vocab, vocab));
      const std::vector<double> q = softmax(std::span(q_logits).subspan(row * vocab, vocab));
      double sum = 0;
      for (size_t i = 0; i < vocab; ++i) sum += p[i] * std::log(p[i] / q[i]);
      divergences.push_back(sum);
      agreed += std::max_element(p.begin(), p.end()) - p.begin() ==
                        std::max_element(q.begin(), q.end()) - q.begin()
                    ? 1
                    : 0;
      nll -= std::log(q[static_cast<size_t>(text[row + 1])]);
    }
  }
  ASSERT_EQ(divergences.size(), tokens.size() - 3);
  EXPECT_EQ(result->model.scored, static_cast<int64_t>(divergences.size()));
  EXPECT_EQ(result->model.windows, 3);
  double mean = 0;
  for (const double kl : divergences) mean += kl / static_cast<double>(divergences.size());
  EXPECT_GT(mean, 1e-3);
  test::expect_within(std::abs(result->kl_mean / mean - 1), 1e-12, "mean divergence");
  EXPECT_DOUBLE_EQ(result->top1_agreement, agreed / static_cast<double>(divergences.size()));
  test::expect_within(std::abs(result->model.nll_sum / nll - 1), 1e-12, "nats of the text");
  // Of fewer than 100, 99 in 100 are all.
  EXPECT_FLOAT_EQ(static_cast<float>(result->kl_p99),
                  static_cast<float>(*std::max_element(divergences.begin(), divergences.end())));
  const auto alone =
      measure_perplexity(*original.session, tokens, kWindow, RowRole::kPrompt, nullptr);
  MIDGE_ASSERT_OK(alone);
  EXPECT_EQ(result->reference.perplexity, alone->perplexity);
}

TEST(Divergence, OfAModelFromItselfIsNothing) {
  Running a;
  Running b;
  test::open({model_path("phi4-mini")}, &a);
  test::open({model_path("phi4-mini")}, &b);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = test::random_tokens(40, a.model->config().vocab_size);
  const auto result =
      measure_divergence(*a.session, *b.session, tokens, kWindow, RowRole::kGenerated, nullptr);
  MIDGE_ASSERT_OK(result);
  EXPECT_EQ(result->kl_mean, 0);
  EXPECT_EQ(result->kl_p99, 0);
  EXPECT_EQ(result->top1_agreement, 1);
  EXPECT_EQ(result->model.perplexity, result->reference.perplexity);
}

TEST(Divergence, RefusesOtherVocabularies) {
  Running a;
  Running b;
  test::open({model_path("phi4-mini")}, &a);
  test::open({model_path("phi3-mini")}, &b);
  if (HasFatalFailure()) return;
  ASSERT_NE(a.model->config().vocab_size, b.model->config().vocab_size);
  const std::vector<int32_t> tokens = {1, 2, 3};
  const Status status =
      measure_divergence(*a.session, *b.session, tokens, 3, RowRole::kPrompt, nullptr).status();
  EXPECT_EQ(status.code(), StatusCode::kModelMismatch);
  EXPECT_NE(status.message().find("rows of vocabulary"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace midge
