// LikelihoodScorer against the logits of whole steps, and against itself without known tokens.
#include "engine/session/likelihood.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/harness/running.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

using Tokens = std::vector<int32_t>;
using test::Running;

std::string model_path(const char* name) {
  return test::data_path(std::string("golden/models/") + name);
}

Likelihood score(LikelihoodScorer* scorer, const Tokens& context, const Tokens& continuation) {
  const auto likelihood = scorer->score(context, continuation);
  EXPECT_TRUE(likelihood.ok()) << likelihood.status().message();
  return likelihood.ok() ? *likelihood : Likelihood();
}

// In an empty session.
Likelihood score_alone(Session& session, RowRole role, const Tokens& context,
                       const Tokens& continuation) {
  auto scorer = LikelihoodScorer::create(session, role);
  EXPECT_TRUE(scorer.ok());
  return score(&*scorer, context, continuation);
}

// The plain formula over one step with all tokens but the last.
Likelihood expected(Session& session, const Tokens& context, const Tokens& continuation) {
  Tokens input = context;
  input.insert(input.end(), continuation.begin(), continuation.end() - 1);
  EXPECT_TRUE(session.truncate(0).ok());
  const std::vector<float> logits = test::step_logits(session, input);
  const auto vocab = static_cast<size_t>(session.model().config().vocab_size);
  Likelihood sum;
  for (size_t i = 0; i < continuation.size(); ++i) {
    const auto row = std::span(logits).subspan((context.size() - 1 + i) * vocab, vocab);
    double total = 0;
    for (const float logit : row) total += std::exp(static_cast<double>(logit));
    const auto token = static_cast<size_t>(continuation[i]);
    sum.log_sum += static_cast<float>(static_cast<double>(row[token]) - std::log(total));
    sum.is_greedy &= row[token] == *std::max_element(row.begin(), row.end());
  }
  return sum;
}

void expect_equal(const Likelihood& found, const Likelihood& expected, const std::string& what) {
  EXPECT_EQ(found.log_sum, expected.log_sum) << what;
  EXPECT_EQ(found.is_greedy, expected.is_greedy) << what;
}

struct Pair {
  Tokens context;
  Tokens continuation;
};

// Contexts that share tokens with what was read before, in all ways; `length` tokens at most.
std::vector<Pair> pairs(size_t length, int64_t vocab_size) {
  const Tokens text = test::random_tokens(length, vocab_size);
  const auto part = [&](size_t begin, size_t end) {
    return Tokens(text.begin() + static_cast<std::ptrdiff_t>(begin),
                  text.begin() + static_cast<std::ptrdiff_t>(end));
  };
  const size_t half = length / 2;
  return {{part(0, half), part(half, half + 1)},
          {part(0, half), part(half + 1, half + 2)},  // nothing to read
          {part(0, half), part(half, length)},
          {part(0, half), part(half, length)},            // nothing to read
          {part(0, half + 2), part(half + 2, half + 4)},  // a beginning of what was read
          {part(0, half), part(half + 3, half + 6)},
          {part(0, half - 3), part(half, half + 2)},
          {part(0, 1), part(1, 3)},
          {part(1, half), part(half, half + 3)},  // another beginning
          {part(0, half), part(half, half + 20)}};
}

TEST(Likelihood, SumsLogarithmsOfProbabilities) {
  for (const char* name : {"llama", "phi4-mini"}) {
    Running run;
    test::open({.path = model_path(name)}, &run);
    if (HasFatalFailure()) return;
    auto scorer = LikelihoodScorer::create(*run.session, RowRole::kPrompt);
    MIDGE_ASSERT_OK(scorer);
    Running other;
    test::open({.path = model_path(name)}, &other);
    for (const Pair& pair : pairs(60, run.model->config().vocab_size)) {
      const Likelihood found = score(&*scorer, pair.context, pair.continuation);
      const Likelihood plain = expected(*other.session, pair.context, pair.continuation);
      EXPECT_LT(plain.log_sum, 0);
      // Sums of exponentials have a relative error of 2^-22 (engine/session/sampler.h), and each
      // logarithm is rounded to f32.
      const double allowed = static_cast<double>(pair.continuation.size()) * 0x1p-20;
      test::expect_within(std::fabs(found.log_sum - plain.log_sum), allowed, name);
      EXPECT_EQ(found.is_greedy, plain.is_greedy);
    }
  }
}

TEST(Likelihood, KnowsTheMostLikelyTokens) {
  Running run;
  test::open({.path = model_path("llama")}, &run);
  if (HasFatalFailure()) return;
  const Tokens context = test::random_tokens(9, run.model->config().vocab_size);
  Tokens greedy = test::greedy_tokens(*run.session, context, 5);
  EXPECT_TRUE(score_alone(*run.session, RowRole::kPrompt, context, greedy).is_greedy);
  greedy.back() = greedy.back() == 0 ? 1 : greedy.back() - 1;
  EXPECT_FALSE(score_alone(*run.session, RowRole::kPrompt, context, greedy).is_greedy);
}

// phi4-mini changes its rope factors after 64 tokens: some of the pairs are shorter.
TEST(Likelihood, IsTheSameWithTokensThatAreKnown) {
  for (const size_t length : {size_t{50}, size_t{100}, size_t{126}, size_t{128}}) {
    for (const RowRole role : {RowRole::kPrompt, RowRole::kGenerated}) {
      const test::RunSetup setup = {.path = model_path("phi4-mini"),
                                    .arithmetic = Arithmetic::kPacked,
                                    .weights = Encoding::kQ4B32};
      Running run;
      Running alone;
      test::open(setup, &run);
      test::open(setup, &alone);
      if (HasFatalFailure()) return;
      auto scorer = LikelihoodScorer::create(*run.session, role);
      MIDGE_ASSERT_OK(scorer);
      for (const Pair& pair : pairs(length, run.model->config().vocab_size)) {
        expect_equal(score(&*scorer, pair.context, pair.continuation),
                     score_alone(*alone.session, role, pair.context, pair.continuation),
                     std::to_string(pair.context.size()) + " + " +
                         std::to_string(pair.continuation.size()) + " tokens");
      }
    }
  }
}

TEST(Likelihood, RefusesAndGoesOn) {
  Running run;
  test::open({.path = model_path("llama"), .session = {.context_length = 16}}, &run);
  if (HasFatalFailure()) return;
  const auto vocab_size = run.model->config().vocab_size;
  const Tokens text = test::random_tokens(20, vocab_size);
  auto scorer = LikelihoodScorer::create(*run.session, RowRole::kPrompt);
  MIDGE_ASSERT_OK(scorer);
  const Tokens context(text.begin(), text.begin() + 8);
  const Tokens next(text.begin() + 8, text.begin() + 10);
  const Likelihood first = score(&*scorer, context, next);
  const Tokens none;
  const auto code = [&](const Tokens& a, const Tokens& b) {
    return scorer->score(a, b).status().code();
  };
  EXPECT_EQ(code(none, next), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(context, none), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(text, next), StatusCode::kContextFull);
  for (const int32_t id : {-1, static_cast<int32_t>(vocab_size)}) {
    EXPECT_EQ(code({id}, next), StatusCode::kOutOfRange);
    EXPECT_EQ(code(context, {id, 1}), StatusCode::kOutOfRange);
    EXPECT_EQ(code(context, {1, id}), StatusCode::kOutOfRange);
    expect_equal(score(&*scorer, context, next), first, "behind an error");
  }
  // The last token is not read, so it may stand behind the end of the context.
  EXPECT_EQ(code(context, Tokens(text.begin() + 8, text.begin() + 17)), StatusCode::kOk);
  EXPECT_EQ(code(context, Tokens(text.begin() + 8, text.begin() + 18)), StatusCode::kContextFull);
}

}  // namespace
}  // namespace midge
