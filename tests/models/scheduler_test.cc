// Requests that share passes get the tokens they would get alone, whatever comes between. Long,
// because each case is one more thing that comes between.
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/generate.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "tests/harness/golden.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using Clock = std::chrono::steady_clock;

// The tokens of an answer.
std::vector<int32_t> tokens_of(const GenerateResult& result) {
  std::vector<int32_t> tokens;
  for (const GeneratedToken& token : result.tokens) tokens.push_back(token.token);
  return tokens;
}

class SchedulerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    LoadOptions options;
    options.executor.threads = 2;
    options.executor.context_max = 512;
    options.executor.weights = *recipe_from_name("fast");
    auto loaded = LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", options);
    MIDGE_ASSERT_OK(loaded);
    loaded_ = std::move(*loaded);
  }

  void create(SchedulerOptions options) {
    options.context_length = 512;
    auto scheduler = loaded_->new_scheduler(options);
    MIDGE_ASSERT_OK(scheduler);
    scheduler_ = std::move(*scheduler);
    told_.clear();  // its ids begin anew
  }

  // A request with a prompt of random tokens that draws its answer.
  Request request(uint64_t seed, int64_t prompt, int64_t tokens) {
    Request request;
    request.prompt = test::random_tokens(static_cast<size_t>(prompt), 500, seed);
    request.generate.tokens_max = tokens;
    request.generate.sampler.temperature = 0.8f;
    request.generate.sampler.seed = seed;
    request.generate.sampler.repetition_penalty = seed % 2 == 0 ? 1.1f : 1.0f;
    return request;
  }

  uint64_t submit(Request request) {
    request.on_end = [this](const RequestResult& result) {
      EXPECT_TRUE(told_.emplace(result.id, result.sample).second) << "told twice";
      results_[result.id + 1000000 * static_cast<uint64_t>(result.sample)] = result;
      order_.push_back(result.id);
    };
    auto id = scheduler_->submit(std::move(request));
    EXPECT_TRUE(id.ok()) << id.status().message();
    return id.ok() ? *id : 0;
  }

  void expect_all_pages_free_or_cached() {
    EXPECT_EQ(scheduler_->pool().free_count() + scheduler_->cached_pages(),
              scheduler_->pool().page_count());
  }

  std::vector<int32_t> alone(const Request& request) {
    SequenceOptions options;
    options.context_length = 512;
    const auto session = loaded_->new_session(options);
    EXPECT_TRUE(session.ok());
    const auto result = generate(**session, loaded_->tokenizer(), loaded_->allowed_tokens(),
                                 request.prompt, request.generate, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return tokens_of(*result);
  }

  std::unique_ptr<LoadedModel> loaded_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<uint64_t, RequestResult> results_;  // sample i: by id + 1000000 i
  std::set<std::pair<uint64_t, int32_t>> told_;
  std::vector<uint64_t> order_;  // in which they ended
};

TEST_F(SchedulerTest, TokensAreThoseOfARequestAlone) {
  SchedulerOptions options;
  options.pages = 32;
  options.prompt_rows = 16;
  create(options);
  std::map<uint64_t, Request> requests;
  for (uint64_t i = 0; i < 6; ++i) {
    const Request made = request(i, 5 + 30 * static_cast<int64_t>(i), 20);
    requests.emplace(submit(made), made);
  }
  MIDGE_ASSERT_OK(scheduler_->run());
  ASSERT_EQ(results_.size(), 6u);
  for (const auto& [id, made] : requests) {
    SCOPED_TRACE(id);
    EXPECT_EQ(results_[id].end, RequestEnd::kDone);
    EXPECT_EQ(tokens_of(results_[id].generated), alone(made));
  }
  expect_all_pages_free_or_cached();
}

// Half the pages that all need: some give theirs back and are read again.
TEST_F(SchedulerTest, PreemptionChangesNoToken) {
  SchedulerOptions options;
#ifdef MIDGE_EMULATED
  options.pages = 5;
#else
  options.pages = 9;
#endif
  options.prompt_rows = 32;
  create(options);
  std::map<uint64_t, Request> requests;
#ifdef MIDGE_EMULATED
  constexpr uint64_t kRequests = 3;
  constexpr int64_t kTokens = 70;
#else
  constexpr uint64_t kRequests = 5;
  constexpr int64_t kTokens = 150;
#endif
  for (uint64_t i = 0; i < kRequests; ++i) {
    const Request made = request(i, 60, kTokens);
    requests.emplace(submit(made), made);
  }
  MIDGE_ASSERT_OK(scheduler_->run());
  int64_t preemptions = 0;
  for (const auto& [id, made] : requests) {
    SCOPED_TRACE(id);
    EXPECT_EQ(results_[id].end, RequestEnd::kDone);
    EXPECT_EQ(tokens_of(results_[id].generated), alone(made));
    preemptions += results_[id].preemptions;
  }
  EXPECT_GT(preemptions, 0);
  EXPECT_EQ(results_[1].preemptions, 0) << "the first one gives way to nobody";
  expect_all_pages_free_or_cached();
}

// Who would have to give way at once waits instead.
TEST_F(SchedulerTest, NobodyIsAdmittedWithoutPages) {
  SchedulerOptions options;
  options.pages = 9;
  create(options);
  for (uint64_t i = 0; i < 6; ++i) submit(request(i, 200, 10));
  MIDGE_ASSERT_OK(scheduler_->step());
  EXPECT_EQ(scheduler_->running_count(), 2);
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_.size(), 6u);
  for (const auto& [id, result] : results_) EXPECT_EQ(result.preemptions, 0) << id;
}

TEST_F(SchedulerTest, ARequestLongerThanAllPagesEnds) {
  SchedulerOptions options;
  options.pages = 2;
  create(options);
  Request long_one = request(1, 100, 200);
  long_one.generate.stop_ids.clear();
  const uint64_t id = submit(long_one);
  const uint64_t next = submit(request(2, 20, 10));
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_[id].end, RequestEnd::kDone);
  EXPECT_EQ(results_[id].generated.reason, FinishReason::kContextFull);
  EXPECT_EQ(results_[id].generated.tokens.size(), 29u);  // the last one is not read
  EXPECT_EQ(results_[next].end, RequestEnd::kDone);
}

// An answer gets a token in every pass while a long prompt is read.
TEST_F(SchedulerTest, ALongPromptDelaysNoToken) {
  SchedulerOptions options;
  options.pages = 16;
  options.prompt_rows = 32;
  create(options);
  int64_t seen = 0;
  Request answer = request(1, 10, 60);
  answer.on_token = [&](const TokenOutput&) {
    ++seen;
    return true;
  };
  submit(answer);
  MIDGE_ASSERT_OK(scheduler_->step());
  EXPECT_EQ(seen, 1);
  const uint64_t id = submit(request(2, 320, 5));
  for (int64_t step = 0; step < 10; ++step) {
    MIDGE_ASSERT_OK(scheduler_->step());
    EXPECT_EQ(seen, 2 + step);
    EXPECT_FALSE(results_.contains(id));
  }
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_[id].generated.tokens.size(), 5u);
}

// A sequence that grows past longrope's border is read again in parts, beside answers that get a
// token in every pass; all tokens are those of sequences alone.
TEST_F(SchedulerTest, CrossingTheBorderDelaysNoToken) {
  LoadOptions load;
  load.executor.threads = 2;
  load.executor.context_max = 512;
  load.executor.weights = *recipe_from_name("fast");
  auto loaded = LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-phi", load);
  MIDGE_ASSERT_OK(loaded);
  loaded_ = std::move(*loaded);
  const int64_t border = loaded_->model().config().rope.original_context;
  ASSERT_LT(border, 400);
  SchedulerOptions options;
  options.pages = 24;
  options.prompt_rows = 16;
  create(options);
  int64_t seen = 0;
  Request answer = request(1, 10, 100);
  answer.generate.stop_ids.clear();
  answer.on_token = [&](const TokenOutput&) {
    ++seen;
    return true;
  };
  const uint64_t beside = submit(answer);
  int64_t crossed = 0;
  Request crossing = request(2, border - 5, 12);
  crossing.on_token = [&](const TokenOutput&) {
    ++crossed;
    return true;
  };
  const uint64_t crosses = submit(crossing);
  int64_t most_passes = 0;  // without a token of the one that crosses
  int64_t passes = 0;
  int64_t last = 0;
  while (!results_.contains(crosses)) {
    const int64_t before = seen;
    MIDGE_ASSERT_OK(scheduler_->step());
    ASSERT_FALSE(results_.contains(beside));
    EXPECT_EQ(seen, before + 1);
    passes = crossed > 0 && crossed == last ? passes + 1 : 0;
    last = crossed;
    most_passes = std::max(most_passes, passes);
  }
  EXPECT_GE(most_passes, border / 16 - 1) << "read again in parts";
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(tokens_of(results_[beside].generated), alone(answer));
  EXPECT_EQ(tokens_of(results_[crosses].generated), alone(crossing));
}

TEST_F(SchedulerTest, HigherPrioritiesGoFirst) {
  SchedulerOptions options;
  options.pages = 8;
  options.running_max = 1;
  create(options);
  std::vector<uint64_t> ids;
  for (const int32_t priority : {0, 0, 5, 1, 5}) {
    Request made = request(static_cast<uint64_t>(ids.size()), 20, 8);
    made.priority = priority;
    ids.push_back(submit(made));
    if (ids.size() == 1) MIDGE_ASSERT_OK(scheduler_->step());  // it runs
  }
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(order_, (std::vector<uint64_t>{ids[2], ids[4], ids[3], ids[0], ids[1]}));
  EXPECT_EQ(results_[ids[0]].preemptions, 1);
  EXPECT_EQ(tokens_of(results_[ids[0]].generated), alone(request(0, 20, 8)));
}

TEST_F(SchedulerTest, CancelledAtAnyPoint) {
  SchedulerOptions options;
  options.pages = 16;
  options.prompt_rows = 16;
  create(options);
  const uint64_t stays = submit(request(1, 30, 20));
  MIDGE_ASSERT_OK(scheduler_->step());  // now prompts are read in parts
  const uint64_t in_prompt = submit(request(2, 200, 20));
  Request by_text = request(3, 20, 20);
  int shown = 0;
  by_text.on_token = [&](const TokenOutput&) { return ++shown < 3; };
  const uint64_t in_text = submit(by_text);
  MIDGE_ASSERT_OK(scheduler_->step());
  MIDGE_ASSERT_OK(scheduler_->step());
  const uint64_t waits = submit(request(4, 20, 20));
  EXPECT_TRUE(scheduler_->cancel(waits));
  EXPECT_TRUE(scheduler_->cancel(in_prompt));
  EXPECT_FALSE(scheduler_->cancel(999));
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_[stays].end, RequestEnd::kDone);
  EXPECT_EQ(tokens_of(results_[stays].generated), alone(request(1, 30, 20)));
  EXPECT_EQ(results_[in_prompt].end, RequestEnd::kCancelled);
  EXPECT_TRUE(results_[in_prompt].generated.tokens.empty());
  EXPECT_EQ(results_[in_text].end, RequestEnd::kCancelled);
  EXPECT_EQ(shown, 3);
  EXPECT_EQ(results_[waits].end, RequestEnd::kCancelled);
  EXPECT_FALSE(scheduler_->cancel(stays));
  expect_all_pages_free_or_cached();
}

TEST_F(SchedulerTest, DeadlinesEndWaitingAndRunningRequests) {
  SchedulerOptions options;
  options.pages = 8;
  options.running_max = 1;
  create(options);
  Request late = request(1, 20, 400);
  late.deadline = Clock::now() + std::chrono::milliseconds(50);
  const uint64_t running = submit(late);
  late = request(2, 20, 5);
  late.deadline = Clock::now() - std::chrono::seconds(1);
  const uint64_t waiting = submit(late);
  const uint64_t next = submit(request(3, 20, 5));
  MIDGE_ASSERT_OK(scheduler_->run());
  // A machine that writes 400 tokens within 50 ms is done; the others tell.
  EXPECT_TRUE(results_[running].end == RequestEnd::kDeadline ||
              results_[running].generated.tokens.size() > 100);
  EXPECT_EQ(results_[waiting].end, RequestEnd::kDeadline);
  EXPECT_TRUE(results_[waiting].generated.tokens.empty());
  EXPECT_EQ(results_[next].end, RequestEnd::kDone);
}

TEST_F(SchedulerTest, Refusals) {
  SchedulerOptions options;
  options.pages = 2;
  options.waiting_max = 2;
  create(options);
  const auto code = [&](Request made) {
    return scheduler_->submit(std::move(made)).status().code();
  };
  EXPECT_EQ(code(request(1, 512, 1)), StatusCode::kContextFull);
  EXPECT_EQ(code(request(1, 128, 1)), StatusCode::kNoPages);
  EXPECT_EQ(code(request(1, 0, 1)), StatusCode::kOutOfRange);
  EXPECT_EQ(code(request(1, 5, 0)), StatusCode::kOutOfRange);
  Request wrong = request(1, 5, 1);
  wrong.prompt[2] = -1;
  EXPECT_EQ(code(wrong), StatusCode::kOutOfRange);
  wrong = request(1, 5, 1);
  wrong.generate.sampler.top_p = 7;
  EXPECT_EQ(code(wrong), StatusCode::kInvalidArgument);
  submit(request(1, 5, 1));
  submit(request(2, 5, 1));
  EXPECT_EQ(code(request(3, 5, 1)), StatusCode::kBusy);
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_.size(), 2u);
  submit(request(3, 5, 1));

  const auto create_code = [&](SchedulerOptions wrong_options) {
    return loaded_->new_scheduler(wrong_options).status().code();
  };
  SchedulerOptions bad;
  bad.running_max = 1000;
  EXPECT_EQ(create_code(bad), StatusCode::kInvalidArgument);
  bad = {};
  bad.page_tokens = 63;
  EXPECT_EQ(create_code(bad), StatusCode::kInvalidArgument);
  bad = {};
  bad.context_length = 1024;
  EXPECT_EQ(create_code(bad), StatusCode::kInvalidArgument);
  bad = {};
  bad.prompt_rows = 0;
  EXPECT_EQ(create_code(bad), StatusCode::kInvalidArgument);
}

TEST_F(SchedulerTest, ASharedBeginningIsReadOnce) {
  SchedulerOptions options;
  options.pages = 24;
  create(options);
  Request first = request(1, 300, 4);
  submit(first);
  MIDGE_ASSERT_OK(scheduler_->run());
  Request second = first;
  second.prompt.resize(280);
  second.prompt.push_back(77);
  const uint64_t id = submit(second);
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_[id].cached_tokens, 280);
  EXPECT_EQ(tokens_of(results_[id].generated), alone(second));
}

// A second request that brings the first one's answer along, as a session that goes on.
TEST_F(SchedulerTest, ConversationsGoOn) {
  SequenceOptions alone;
  alone.context_length = 512;
  const auto session = loaded_->new_session(alone);
  MIDGE_ASSERT_OK(session);
  const Request first = request(1, 100, 40);
  const auto answer = generate(**session, loaded_->tokenizer(), loaded_->allowed_tokens(),
                               first.prompt, first.generate, nullptr);
  MIDGE_ASSERT_OK(answer);
  std::vector<int32_t> next = {answer->tokens.back().token, 40, 41, 42};
  Request second = request(2, 1, 30);
  const auto expected = generate(**session, loaded_->tokenizer(), loaded_->allowed_tokens(), next,
                                 second.generate, nullptr);
  MIDGE_ASSERT_OK(expected);

  SchedulerOptions options;
  options.pages = 16;
  create(options);
  const uint64_t first_id = submit(first);
  MIDGE_ASSERT_OK(scheduler_->run());
  const std::vector<int32_t> written = tokens_of(results_[first_id].generated);
  EXPECT_EQ(written, tokens_of(*answer));
  second.prompt = first.prompt;
  second.prompt.insert(second.prompt.end(), written.begin(), written.end());
  second.roles.assign(first.prompt.size(), RowRole::kPrompt);
  second.roles.resize(second.prompt.size() - 1, RowRole::kGenerated);
  second.prompt.insert(second.prompt.end(), next.begin() + 1, next.end());
  second.roles.resize(second.prompt.size(), RowRole::kPrompt);
  for (const bool found : {true, false}) {
    if (!found) {
      options.keeps_prefixes = false;
      create(options);
    }
    const uint64_t id = submit(second);
    MIDGE_ASSERT_OK(scheduler_->run());
    EXPECT_EQ(tokens_of(results_[id].generated), tokens_of(*expected));
    EXPECT_EQ(results_[id].cached_tokens,
              found ? static_cast<int64_t>(first.prompt.size() + written.size() - 1) : 0);
    results_.clear();
  }
  second.roles.pop_back();
  EXPECT_EQ(scheduler_->submit(second).status().code(), StatusCode::kInvalidArgument);
}

// Answers to one prompt share its pages, and are those of requests with that sample number.
TEST_F(SchedulerTest, SeveralAnswersToOnePrompt) {
  SchedulerOptions options;
  options.pages = 20;
  options.running_max = 3;
  create(options);
  Request made = request(3, 130, 20);
  made.samples = 3;
  const uint64_t id = submit(made);
  MIDGE_ASSERT_OK(scheduler_->step());
  EXPECT_EQ(scheduler_->running_count(), 3);
  EXPECT_EQ(scheduler_->pool().free_count(), 20 - 3);  // as for one
  const uint64_t beside = submit(request(4, 20, 5));
  MIDGE_ASSERT_OK(scheduler_->run());
  std::set<std::vector<int32_t>> answers;
  for (uint32_t sample = 0; sample < 3; ++sample) {
    SCOPED_TRACE(sample);
    Request one = request(3, 130, 20);
    one.generate.sampler.sample = sample;
    const std::vector<int32_t> found = tokens_of(results_[id + 1000000 * sample].generated);
    EXPECT_EQ(found, alone(one));
    answers.insert(found);
  }
  EXPECT_EQ(answers.size(), 3u);
  EXPECT_EQ(tokens_of(results_[beside].generated), alone(request(4, 20, 5)));
  expect_all_pages_free_or_cached();

  results_.clear();
  const uint64_t cancelled = submit(made);
  EXPECT_TRUE(scheduler_->cancel(cancelled));
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_.size(), 3u);
  for (const auto& [which, result] : results_) EXPECT_EQ(result.end, RequestEnd::kCancelled);
  made.samples = 4;
  EXPECT_EQ(scheduler_->submit(made).status().code(), StatusCode::kOutOfRange);
}

// What ends with its first token waits for no place among those that run.
TEST_F(SchedulerTest, AnswersOfOneTokenNeedNoPlace) {
  SchedulerOptions options;
  options.pages = 20;
  options.running_max = 2;
  create(options);
  submit(request(1, 20, 100));
  MIDGE_ASSERT_OK(scheduler_->step());
  Request brief = request(3, 30, 1);
  brief.samples = 2;
  submit(brief);
  for (int i = 0; i < 3; ++i) MIDGE_ASSERT_OK(scheduler_->step());
  ASSERT_EQ(results_.size(), 2u);
  for (const auto& [which, result] : results_) {
    EXPECT_EQ(result.end, RequestEnd::kDone);
    EXPECT_EQ(result.generated.tokens.size(), 1u);
  }
  EXPECT_EQ(scheduler_->running_count(), 1);
  EXPECT_EQ(scheduler_->statistics().preemptions, 0);
}

// Answers that are only being made from a prompt are cancelled with the others.
TEST_F(SchedulerTest, CancelledAtTheFirstTokenOfSeveralAnswers) {
  SchedulerOptions options;
  options.running_max = 3;
  create(options);
  Request made = request(3, 30, 50);
  made.samples = 3;
  made.on_token = [this](const TokenOutput& output) {
    EXPECT_TRUE(scheduler_->cancel(output.id));
    return true;
  };
  submit(made);
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_.size(), 3u);
  for (const auto& [which, result] : results_) EXPECT_EQ(result.end, RequestEnd::kCancelled);
}

// Callbacks may submit and cancel.
TEST_F(SchedulerTest, CallbacksSubmitAndCancel) {
  create({});
  uint64_t second = 0;
  const uint64_t victim = submit(request(5, 30, 200));
  Request first = request(1, 10, 5);
  first.on_end = [&](const RequestResult&) {
    second = submit(request(2, 10, 5));
    EXPECT_TRUE(scheduler_->cancel(victim));
  };
  ASSERT_TRUE(scheduler_->submit(first).ok());
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(tokens_of(results_[second].generated), alone(request(2, 10, 5)));
  EXPECT_EQ(results_[victim].end, RequestEnd::kCancelled);
}

// Logprobs of a prompt's tokens are those of its rows' logits, however the prompt is read.
TEST_F(SchedulerTest, ScoresOfThePrompt) {
  SchedulerOptions options;
  options.pages = 16;
  options.prompt_rows = 48;
  create(options);
  Request made = request(9, 150, 8);
  made.generate.sampler.logprobs = 3;
  SequenceOptions sequence;
  sequence.context_length = 512;
  const auto session = loaded_->new_session(sequence);
  MIDGE_ASSERT_OK(session);
  const std::vector<float> logits = test::step_logits(**session, made.prompt);
  auto sampler = Sampler::create(made.generate.sampler, loaded_->allowed_tokens(), 512);
  MIDGE_ASSERT_OK(sampler);
  const int64_t vocab_size = loaded_->model().config().vocab_size;

  submit(request(10, 20, 60));
  for (const int64_t from : {int64_t{1}, int64_t{100}, int64_t{150}}) {
    SCOPED_TRACE(from);
    made.score_from = from;
    const uint64_t id = submit(made);
    MIDGE_ASSERT_OK(scheduler_->run());
    const RequestResult& result = results_[id];
    EXPECT_EQ(tokens_of(result.generated), alone(made));
    EXPECT_EQ(result.cached_tokens, from == 1 ? 0 : from - 1);
    ASSERT_EQ(result.prompt_scores.size(), static_cast<size_t>(150 - from));
    ASSERT_EQ(result.prompt_alternatives.size(), result.prompt_scores.size() * 3);
    for (size_t i = 0; i < result.prompt_scores.size(); ++i) {
      const GeneratedToken& score = result.prompt_scores[i];
      const size_t place = static_cast<size_t>(from) + i;
      TokenLogprob chosen = {made.prompt[place], 0};
      TokenLogprob others[3];
      sampler->logprobs(logits.data() + (static_cast<int64_t>(place) - 1) * vocab_size, &chosen,
                        others, loaded_->executor().sampler_workspace(0));
      EXPECT_EQ(score.token, chosen.token);
      EXPECT_EQ(score.logprob, chosen.logprob);
      EXPECT_EQ(result.prompt_alternatives[score.first_alternative].logprob, others[0].logprob);
    }
  }
  made.score_from = 151;
  EXPECT_EQ(scheduler_->submit(made).status().code(), StatusCode::kOutOfRange);
}

// Further answers have none, also where they find no place to run and read the prompt themselves.
TEST_F(SchedulerTest, ScoresAreThoseOfTheFirstAnswer) {
  SchedulerOptions options;
  options.pages = 32;
  options.running_max = 3;
  create(options);
  submit(request(10, 20, 60));
  submit(request(11, 20, 60));
  Request made = request(9, 150, 8);
  made.generate.sampler.logprobs = 3;
  made.score_from = 1;
  made.samples = 3;
  const uint64_t id = submit(made);
  MIDGE_ASSERT_OK(scheduler_->run());
  for (uint32_t sample = 0; sample < 3; ++sample) {
    SCOPED_TRACE(sample);
    Request one = made;
    one.generate.sampler.sample = sample;
    const RequestResult& result = results_[id + 1000000 * sample];
    EXPECT_EQ(tokens_of(result.generated), alone(one));
    EXPECT_EQ(result.prompt_scores.size(), sample == 0 ? 149u : 0u);
  }
}

// What a mask was told, and which tokens it allows: multiples of `step`, up to `most` of them.
class Multiples : public TokenMask {
 public:
  Multiples(size_t step, size_t most, std::vector<int32_t>* accepted)
      : step_(step), most_(most), accepted_(accepted) {}
  void restrict(std::span<uint8_t> allowed) override {
    for (size_t id = 0; id < allowed.size(); ++id) {
      if (id % step_ != 0 || accepted_->size() >= most_) allowed[id] = 0;
    }
  }
  void accept(int32_t token) override { accepted_->push_back(token); }
  void rollback(int64_t) override {}

 private:
  size_t step_;
  size_t most_;
  std::vector<int32_t>* accepted_;
};

TEST_F(SchedulerTest, MasksSayWhatMayCome) {
  create({});
  std::vector<int32_t> accepted[2];
  Request made = request(4, 20, 12);
  made.samples = 2;
  made.generate.sampler.logprobs = 1;
  made.make_mask = [&](int32_t sample) {
    return std::make_unique<Multiples>(7, 100, &accepted[sample]);
  };
  const uint64_t id = submit(made);
  MIDGE_ASSERT_OK(scheduler_->run());
  bool other_was_likelier = false;
  for (uint64_t sample = 0; sample < 2; ++sample) {
    const GenerateResult& result = results_[id + 1000000 * sample].generated;
    EXPECT_EQ(tokens_of(result), accepted[sample]);
    EXPECT_EQ(result.tokens.size(), 12u);
    for (const GeneratedToken& token : result.tokens) {
      EXPECT_EQ(token.token % 7, 0);
      other_was_likelier |= result.alternatives_of(token)[0].token % 7 != 0;
    }
  }
  EXPECT_TRUE(other_was_likelier) << "logprobs are the model's, not the mask's";

  accepted[0].clear();
  made.samples = 1;
  made.make_mask = [&](int32_t) { return std::make_unique<Multiples>(7, 5, &accepted[0]); };
  const uint64_t stuck = submit(made);
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_EQ(results_[stuck].end, RequestEnd::kFailed);
  EXPECT_EQ(results_[stuck].generated.tokens.size(), 5u);
  EXPECT_NE(results_[stuck].status.message().find("allows no token"), std::string::npos);
}

// Each token says where its text begins in that of the whole answer.
TEST_F(SchedulerTest, OffsetsOfTokensInTheText) {
  create({});
  Request made = request(6, 20, 60);
  made.generate.special_text = true;
  made.generate.stop_strings = {"no answer holds this"};
  std::string text;
  made.on_token = [&](const TokenOutput& output) {
    text += output.text;
    return true;
  };
  made.on_end = [&](const RequestResult& result) {
    text += result.last_text;
    for (size_t i = 0; i < result.generated.tokens.size(); ++i) {
      const GeneratedToken& token = result.generated.tokens[i];
      const std::string_view own = loaded_->tokenizer().token_bytes(token.token);
      EXPECT_EQ(text.substr(token.text_offset, own.size()), own) << i;
    }
  };
  ASSERT_TRUE(scheduler_->submit(made).ok());
  MIDGE_ASSERT_OK(scheduler_->run());
  EXPECT_GT(text.size(), 60u);
}

TEST_F(SchedulerTest, CountsWhatItDid) {
  SchedulerOptions options;
  options.pages = 32;
  create(options);
  for (uint64_t i = 0; i < 4; ++i) submit(request(1, 100, 20));
  const uint64_t cancelled = submit(request(2, 20, 20));
  scheduler_->cancel(cancelled);
  MIDGE_ASSERT_OK(scheduler_->run());
  submit(request(1, 100, 20));  // its beginning is known now
  MIDGE_ASSERT_OK(scheduler_->run());
  const SchedulerStatistics counts = scheduler_->statistics();
  EXPECT_EQ(counts.done, 5);
  EXPECT_EQ(counts.cancelled, 1);
  EXPECT_EQ(counts.prompt_tokens, 500);
  EXPECT_EQ(counts.cached_tokens, 99);
  int64_t tokens = 0;
  int64_t steps = 0;
  for (const auto& [which, result] : results_) {
    tokens += static_cast<int64_t>(result.generated.tokens.size());
    steps += result.generated.drafts.steps;
    EXPECT_EQ(result.first_token_seconds > 0, result.end == RequestEnd::kDone);
  }
  EXPECT_EQ(counts.tokens_written, tokens);
  EXPECT_EQ(counts.steps, steps);
  EXPECT_GT(steps, 0);
  EXPECT_EQ(counts.token_latency.count(), tokens - 5);
  EXPECT_GE(counts.passes_by_sequences[4], 15);
  EXPECT_EQ(counts.pages_free + counts.pages_cached, 32);
  EXPECT_EQ(counts.pages_shared, 0);
  EXPECT_GE(counts.pages_used_max, 8);
}

// Random arrivals, lengths, priorities, cancels and shared beginnings, with half the pages needed.
TEST_F(SchedulerTest, RandomRequests) {
#ifdef MIDGE_EMULATED
  constexpr int kRequests = 12;
#else
  constexpr int kRequests = 80;
#endif
  SchedulerOptions options;
  options.pages = 12;
  options.running_max = 6;
  options.prompt_rows = 40;
  create(options);
  std::mt19937 random(11);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  std::map<uint64_t, Request> requests;
  std::vector<uint64_t> cancelled;
  for (int i = 0; i < kRequests; ++i) {
    Request made = request(static_cast<uint64_t>(100 + i), 1 + below(150), 1 + below(60));
    if (!requests.empty() && below(2) == 0) {
      const auto& other = std::next(requests.begin(), below(int64_t(requests.size())))->second;
      const auto alike = std::min(other.prompt.size(), made.prompt.size());
      std::copy_n(other.prompt.begin(), alike, made.prompt.begin());
    }
    made.priority = static_cast<int32_t>(below(3));
    const uint64_t id = submit(made);
    requests.emplace(id, made);
    if (below(6) == 0) {
      cancelled.push_back(id);
    }
    for (int64_t steps = below(12); steps > 0; --steps) MIDGE_ASSERT_OK(scheduler_->step());
    if (!cancelled.empty() && below(3) == 0) {
      scheduler_->cancel(cancelled.back());
    }
  }
  MIDGE_ASSERT_OK(scheduler_->run());
  ASSERT_EQ(results_.size(), requests.size());
  int64_t preemptions = 0;
  int64_t found = 0;
  for (const auto& [id, made] : requests) {
    SCOPED_TRACE(id);
    const RequestResult& result = results_[id];
    const std::vector<int32_t> expected = alone(made);
    std::vector<int32_t> tokens = tokens_of(result.generated);
    if (result.end == RequestEnd::kDone) {
      EXPECT_EQ(tokens, expected);
    } else {
      EXPECT_EQ(result.end, RequestEnd::kCancelled);
      ASSERT_LE(tokens.size(), expected.size());
      EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), expected.begin()));
    }
    preemptions += result.preemptions;
    found += result.cached_tokens;
  }
#ifdef MIDGE_EMULATED
  constexpr bool kFewRounds = true;
#else
  constexpr bool kFewRounds = false;
#endif
  // Fewer rounds may have had none.
  EXPECT_TRUE(preemptions > 0 || kFewRounds);
  EXPECT_TRUE(found > 0 || kFewRounds);
  expect_all_pages_free_or_cached();
}

}  // namespace
}  // namespace midge
