// With drafts the tokens are those without: for every drafter, every way to sample, alone and
// beside others, and whatever comes between a draft and its draw.
#include "engine/speculation/speculation.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "api/engine.h"
#include "api/loaded_model.h"
#include "engine/scheduler/generate.h"
#include "engine/scheduler/scheduler.h"
#include "tests/harness/golden.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

constexpr const char* kModels[] = {"tiny-mimo", "tiny-phi"};

std::string held_out_text() {
  std::ifstream file(MIDGE_SOURCE_DIR "/assets/text/held_out.txt");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<int32_t> tokens_of(const GenerateResult& result) {
  std::vector<int32_t> tokens;
  for (const GeneratedToken& token : result.tokens) tokens.push_back(token.token);
  return tokens;
}

DraftOptions drafts_of(Drafter drafter) {
  DraftOptions options;
  options.drafter = drafter;
  options.match_min = 3;
  options.always = true;
  return options;
}

/// Greedy; or drawn, with everything that looks at what was written before.
SamplerOptions sampling(bool draws, uint64_t seed) {
  SamplerOptions sampler;
  sampler.seed = seed;
  if (!draws) return sampler;
  sampler.temperature = 0.7f;
  sampler.top_p = 0.9f;
  sampler.repetition_penalty = 1.05f;
  sampler.presence_penalty = 0.1f;
  sampler.frequency_penalty = 0.1f;
  sampler.logit_bias = {{5, 0.5f}};
  return sampler;
}

class SpeculationTest : public ::testing::Test {
 protected:
  void load(const char* name) {
    LoadOptions options;
    options.executor.threads = 2;
    options.executor.context_max = 512;
    options.executor.rows_max = 64;
    options.executor.weights = *recipe_from_name("fast");
    auto loaded =
        LoadedModel::open(std::string(MIDGE_SOURCE_DIR "/assets/models/") + name, options);
    MIDGE_ASSERT_OK(loaded);
    loaded_ = std::move(*loaded);
    text_ = *loaded_->encode_prompt(held_out_text());
  }

  void create(const DraftOptions& drafts, int64_t running = 4, int64_t pages = 64) {
    SchedulerOptions options;
    options.context_length = 512;
    options.pages = pages;
    options.running_max = running;
    options.prompt_rows = 24;
    options.drafts = drafts;
    auto scheduler = loaded_->new_scheduler(options);
    MIDGE_ASSERT_OK(scheduler);
    scheduler_ = std::move(*scheduler);
    results_.clear();
  }

  // Some text of the model's kind, half of them with a part of it twice.
  Request request(uint64_t i, bool draws, int64_t tokens = 24) {
    Request request;
    const size_t begin = i * 37 % (text_.size() - 80);
    const auto part = std::span(text_).subspan(begin, 12 + i % 40);
    request.prompt.assign(part.begin(), part.end());
    if (i % 2 == 0) request.prompt.insert(request.prompt.end(), part.begin(), part.begin() + 8);
    request.generate.tokens_max = tokens;
    request.generate.sampler = sampling(draws, i);
    return request;
  }

  void submit(uint64_t i, Request request) {
    request.on_end = [this, i](const RequestResult& result) {
      results_[{i, result.sample}] = result;
    };
    MIDGE_ASSERT_OK(scheduler_->submit(std::move(request)));
  }

  void run() { MIDGE_ASSERT_OK(scheduler_->run()); }

  std::vector<int32_t> written(uint64_t i, int32_t sample = 0) {
    EXPECT_TRUE(results_.contains({i, sample}));
    return tokens_of(results_[{i, sample}].generated);
  }

  // Without drafts, one after the other.
  std::map<uint64_t, std::vector<int32_t>> plain(std::span<const Request> requests) {
    create({}, 1);
    for (size_t i = 0; i < requests.size(); ++i) submit(i, requests[i]);
    run();
    std::map<uint64_t, std::vector<int32_t>> tokens;
    for (size_t i = 0; i < requests.size(); ++i) tokens[i] = written(i);
    return tokens;
  }

  const DraftTotals& totals() const { return scheduler_->speculation()->totals(); }

  std::unique_ptr<LoadedModel> loaded_;
  std::vector<int32_t> text_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<std::pair<uint64_t, int32_t>, RequestResult> results_;
};

// MIDGE_SPECULATION_PROMPTS: as many prompts.
uint64_t prompt_count() {
  const char* count = std::getenv("MIDGE_SPECULATION_PROMPTS");
#ifdef MIDGE_EMULATED
  return count == nullptr ? 8 : std::strtoull(count, nullptr, 10);
#else
  return count == nullptr ? 24 : std::strtoull(count, nullptr, 10);
#endif
}

TEST_F(SpeculationTest, SameTokensForEveryDrafter) {
  struct Way {
    const char* name;
    DraftOptions drafts;
  };
  std::vector<Way> ways;
  for (const Drafter drafter : {Drafter::kLookup, Drafter::kMtp, Drafter::kAuto}) {
    ways.push_back({drafter_name(drafter), drafts_of(drafter)});
  }
  ways.push_back({"auto by rates", drafts_of(Drafter::kAuto)});
  ways.back().drafts.always = false;
  ways.push_back({"chained mtp", drafts_of(Drafter::kMtp)});
  ways.back().drafts.mtp_drafts_max = 3;
  for (const char* model : kModels) {
    load(model);
    const bool has_mtp = loaded_->model().config().mtp_layer_count > 0;
    for (const bool draws : {false, true}) {
      std::vector<Request> requests;
      for (uint64_t i = 0; i < prompt_count(); ++i) requests.push_back(request(i, draws));
      const auto expected = plain(requests);
      for (const Way& way : ways) {
        if (way.drafts.drafter == Drafter::kMtp && !has_mtp) continue;
        for (const int64_t running : {1, 4}) {
          SCOPED_TRACE(format_string("%s, %s, %s, %lld at a time", model,
                                     draws ? "drawn" : "greedy", way.name,
                                     static_cast<long long>(running)));
          create(way.drafts, running);
          for (size_t i = 0; i < requests.size(); ++i) submit(i, requests[i]);
          run();
          int64_t different = 0;
          for (size_t i = 0; i < requests.size(); ++i) different += written(i) != expected.at(i);
          EXPECT_EQ(different, 0);
          const DraftTotals& drafts = totals();
          if (!way.drafts.always) continue;
          EXPECT_GT(drafts.lookup_drafts + drafts.mtp_drafts, 0);
          EXPECT_GT(drafts.lookup_drawn + drafts.mtp_drawn, 0);
          EXPECT_EQ(drafts.mtp_drafts > 0, has_mtp && way.drafts.drafter != Drafter::kLookup);
        }
      }
    }
  }
}

// generate() has a loop of its own.
TEST_F(SpeculationTest, SameTokensAlone) {
  load("tiny-mimo");
  const auto speculation = Speculation::create(loaded_->executor(), drafts_of(Drafter::kAuto), 1);
  MIDGE_ASSERT_OK(speculation);
  SequenceOptions options;
  options.context_length = 128;
  options.mtp = true;
  for (uint64_t i = 0; i < 6; ++i) {
    SCOPED_TRACE(i);
    // The last ones end with the context.
    const Request made = request(i, i % 2 == 1, i < 3 ? 30 : 200);
    std::vector<std::vector<int32_t>> tokens;
    std::vector<std::string> texts;
    for (Speculation* drafts : {static_cast<Speculation*>(nullptr), speculation->get()}) {
      const auto session = loaded_->new_session(options);
      MIDGE_ASSERT_OK(session);
      const auto result = generate(**session, loaded_->tokenizer(), loaded_->allowed_tokens(),
                                   made.prompt, made.generate, nullptr, drafts);
      MIDGE_ASSERT_OK(result);
      tokens.push_back(tokens_of(*result));
      texts.push_back(result->text);
      // The prompt, and the answer but for its last token.
      EXPECT_EQ((*session)->length(),
                static_cast<int64_t>(made.prompt.size() + result->tokens.size()) - 1);
    }
    EXPECT_EQ(tokens[0], tokens[1]);
    EXPECT_EQ(texts[0], texts[1]);
  }
  EXPECT_GT((*speculation)->totals().mtp_drawn, 0);
}

// No step reads across the length at which longrope changes its factors (256 for tiny-phi); behind
// it, all is read again.
TEST_F(SpeculationTest, LongropeBorder) {
  load("tiny-phi");
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    Request made = request(i, i % 2 == 1, 60);
    // Repetitive, so that lookup finds something.
    const std::vector<int32_t> part(made.prompt.begin(), made.prompt.begin() + 10);
    made.prompt.clear();
    while (made.prompt.size() < 220 + i * 3) {
      made.prompt.insert(made.prompt.end(), part.begin(), part.end());
    }
    requests.push_back(std::move(made));
  }
  const auto expected = plain(requests);
  DraftOptions drafts = drafts_of(Drafter::kLookup);
  drafts.match_min = 1;
  create(drafts);
  std::vector<std::vector<int32_t>> texts;
  texts.reserve(requests.size());
  std::vector<FakedDrafts> faked(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    texts.push_back(requests[i].prompt);
    texts.back().insert(texts.back().end(), expected.at(i).begin(), expected.at(i).end());
    faked[i] = {texts.back(), 0.7};
    Request made = requests[i];
    made.faked = &faked[i];
    submit(i, std::move(made));
  }
  run();
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(written(i), expected.at(i)) << i;
  EXPECT_GT(totals().lookup_drawn, 20);
}

TEST_F(SpeculationTest, PreemptionDropsDrafts) {
  load("tiny-mimo");
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 5; ++i) requests.push_back(request(i, i % 2 == 1, 120));
  const auto expected = plain(requests);
  create(drafts_of(Drafter::kAuto), 5, 9);
  for (size_t i = 0; i < requests.size(); ++i) submit(i, requests[i]);
  run();
  int64_t preemptions = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(written(i), expected.at(i)) << i;
    preemptions += results_[std::pair(i, 0)].preemptions;
  }
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(totals().mtp_drawn, 0);
  EXPECT_EQ(scheduler_->pool().free_count() + scheduler_->cached_pages(),
            scheduler_->pool().page_count());
}

// Cancelled between any two tokens, others go on as ever, and all pages come back.
TEST_F(SpeculationTest, CancelAtAnyToken) {
  load("tiny-mimo");
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 4; ++i) requests.push_back(request(i, i % 2 == 1, 30));
  const auto expected = plain(requests);
  for (size_t stop = 1; stop < 12; ++stop) {
    SCOPED_TRACE(stop);
    create(drafts_of(Drafter::kAuto));
    size_t told = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      Request made = requests[i];
      if (i == 0) made.on_token = [&](const TokenOutput&) { return ++told < stop; };
      submit(i, std::move(made));
    }
    run();
    EXPECT_EQ(results_[std::pair(0, 0)].end, RequestEnd::kCancelled);
    const std::vector<int32_t> cut(expected.at(0).begin(),
                                   expected.at(0).begin() + static_cast<ptrdiff_t>(stop));
    EXPECT_EQ(written(0), cut);
    for (size_t i = 1; i < requests.size(); ++i) EXPECT_EQ(written(i), expected.at(i)) << i;
    EXPECT_EQ(scheduler_->pool().free_count() + scheduler_->cached_pages(),
              scheduler_->pool().page_count());
  }
}

// What ends between drafts and their draw is saved as far as it was written. Another engine goes on
// from the file, with drafts, as if nothing had come between.
TEST_F(SpeculationTest, SavedAndRestoredBetweenDrafts) {
  const test::TempDir dir;
  load("tiny-mimo");
  const Request whole = request(2, true, 30);
  const std::vector<int32_t> expected = plain({&whole, 1}).at(0);
  ServedModel served;
  served.model = loaded_.get();
  served.executor.context_max = 512;
  served.executor.rows_max = 64;
  served.executor.weights = *recipe_from_name("fast");
  served.scheduling.context_length = 512;
  served.scheduling.drafts = drafts_of(Drafter::kAuto);
  EngineOptions options;
  options.threads = 2;
  options.has_driver = false;
  const auto answer = [&](Engine& engine, Request made) {
    RequestResult result;
    made.on_end = [&](const RequestResult& ended) { result = ended; };
    const auto id = engine.submit(0, std::move(made));
    EXPECT_TRUE(id.ok() && engine.wait(*id, -1).ok());
    return result;
  };
  for (const size_t stop : {1, 2, 3, 6, 11, 17}) {
    SCOPED_TRACE(stop);
    const auto first = Engine::create({&served, 1}, options);
    const auto second = Engine::create({&served, 1}, options);
    MIDGE_ASSERT_OK(first);
    MIDGE_ASSERT_OK(second);
    Request cut = whole;
    size_t told = 0;
    cut.on_token = [&](const TokenOutput&) { return ++told < stop; };
    EXPECT_EQ(answer(**first, cut).end, RequestEnd::kCancelled);

    Request rest = whole;
    rest.roles.assign(rest.prompt.size(), RowRole::kPrompt);
    rest.prompt.insert(rest.prompt.end(), expected.begin(),
                       expected.begin() + static_cast<ptrdiff_t>(stop));
    rest.roles.resize(rest.prompt.size(), RowRole::kGenerated);
    rest.generate.tokens_max -= static_cast<int64_t>(stop);
    const std::string path = dir.file("a.midge-kv");
    const auto saved = (*first)->save_prefix(0, rest.prompt, rest.roles, path);
    MIDGE_ASSERT_OK(saved);
    // The last token was read if it was a draft.
    const auto length = static_cast<int64_t>(rest.prompt.size());
    EXPECT_GE(*saved, length - 1);
    const auto restored = (*second)->load_prefix(0, path);
    MIDGE_ASSERT_OK(restored);
    EXPECT_EQ(*restored, *saved);
    const RequestResult result = answer(**second, rest);
    EXPECT_EQ(result.cached_tokens, length - 1);
    EXPECT_EQ(
        tokens_of(result.generated),
        std::vector<int32_t>(expected.begin() + static_cast<ptrdiff_t>(stop), expected.end()));
    // The MTP layer goes on where it was, if it has begun.
    if (stop > 1) {
      EXPECT_GT(result.generated.drafts.all_drawn(), 0);
    }
  }
}

// The answers of one prompt share its pages and go their own ways.
TEST_F(SpeculationTest, SeveralAnswers) {
  load("tiny-mimo");
  std::vector<std::map<std::pair<uint64_t, int32_t>, std::vector<int32_t>>> tokens(2);
  for (const bool drafts : {false, true}) {
    create(drafts ? drafts_of(Drafter::kAuto) : DraftOptions());
    for (uint64_t i = 0; i < 3; ++i) {
      Request made = request(i, true);
      made.samples = 3;
      submit(i, std::move(made));
    }
    run();
    for (const auto& [key, result] : results_) {
      tokens[drafts ? 1 : 0][key] = tokens_of(result.generated);
    }
  }
  EXPECT_EQ(tokens[0].size(), 9u);
  EXPECT_EQ(tokens[0], tokens[1]);
}

// Stop strings, logprobs and text come token by token as ever.
TEST_F(SpeculationTest, WhatATokenComesWith) {
  load("tiny-mimo");
  struct Told {
    std::string text;
    std::vector<float> logprobs;
    FinishReason reason;
  };
  std::vector<Told> told;
  for (const bool drafts : {false, true}) {
    create(drafts ? drafts_of(Drafter::kAuto) : DraftOptions());
    Told now;
    Request made = request(4, false, 60);
    made.generate.stop_strings = {". "};
    made.generate.sampler.logprobs = 3;
    made.on_token = [&](const TokenOutput& output) {
      now.text += output.text;
      now.logprobs.push_back(output.token->logprob);
      for (const TokenLogprob& other : output.alternatives) now.logprobs.push_back(other.logprob);
      return true;
    };
    submit(0, std::move(made));
    run();
    now.reason = results_[std::pair(0, 0)].generated.reason;
    told.push_back(std::move(now));
  }
  EXPECT_EQ(told[0].text, told[1].text);
  EXPECT_EQ(told[0].logprobs, told[1].logprobs);
  EXPECT_EQ(told[0].reason, told[1].reason);
  EXPECT_EQ(told[0].reason, FinishReason::kStopString);
}

// Every other token may not come: the mask is asked for each position with what came before it.
class EveryOther final : public TokenMask {
 public:
  void restrict(std::span<uint8_t> allowed) override {
    for (size_t i = accepted_ % 2; i < allowed.size(); i += 2) allowed[i] = 0;
  }
  void accept(int32_t) override { ++accepted_; }
  void rollback(int64_t) override { ADD_FAILURE() << "a token was taken back"; }

 private:
  size_t accepted_ = 0;
};

TEST_F(SpeculationTest, Masks) {
  load("tiny-mimo");
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 4; ++i) {
    requests.push_back(request(i, i % 2 == 1));
    requests.back().make_mask = [](int32_t) { return std::make_unique<EveryOther>(); };
  }
  const auto expected = plain(requests);
  create(drafts_of(Drafter::kAuto));
  for (size_t i = 0; i < requests.size(); ++i) submit(i, requests[i]);
  run();
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(written(i), expected.at(i)) << i;
}

// The tokens stay the model's own, whatever share of the drafts is made right.
TEST_F(SpeculationTest, FakedAcceptance) {
  load("tiny-mimo");
  const std::vector<Request> requests = {request(1, false, 200)};
  const auto expected = plain(requests);
  std::vector<int32_t> all = requests[0].prompt;
  all.insert(all.end(), expected.at(0).begin(), expected.at(0).end());
  for (const double acceptance : {0.0, 0.5, 1.0}) {
    SCOPED_TRACE(acceptance);
    create(drafts_of(Drafter::kMtp), 1);
    const FakedDrafts faked = {all, acceptance};
    Request made = requests[0];
    made.faked = &faked;
    submit(0, std::move(made));
    run();
    EXPECT_EQ(written(0), expected.at(0));
    const double share =
        static_cast<double>(totals().mtp_drawn) / static_cast<double>(totals().mtp_drafts);
    EXPECT_NEAR(share, acceptance, acceptance == 0.5 ? 0.02 : 0.0);
  }
}

// The layer was trained to guess. Over a part of the head, or the most frequent tiles of it, too.
TEST_F(SpeculationTest, MtpGuessesWell) {
  load("tiny-mimo");
  std::vector<uint32_t> counts(2048);
  for (const int32_t token : text_) ++counts[static_cast<size_t>(token)];
  const auto acceptance = [&](int64_t rows, bool frequent, bool normed = false) {
    DraftOptions drafts = drafts_of(Drafter::kMtp);
    drafts.head_rows = rows;
    drafts.takes_normed = normed;
    if (frequent) drafts.token_counts = counts;
    create(drafts, 1);
    for (uint64_t i = 0; i < 10; ++i) submit(i, request(i, false, 60));
    run();
    const double share =
        static_cast<double>(totals().mtp_drawn) / static_cast<double>(totals().mtp_drafts);
    std::printf("[ mtp ] %lld rows of the head%s%s: %.3f of drafts are drawn\n",
                static_cast<long long>(rows), frequent ? ", by frequency" : "",
                normed ? ", behind the final norm" : "", share);
    return share;
  };
  const double whole = acceptance(0, false);
  EXPECT_GT(whole, 0.5);
  // The weights of this model's final norm differ by 4 %: states behind it serve as well. Without
  // any they would not.
  EXPECT_NEAR(acceptance(0, false, true), whole, 0.05);
  EXPECT_GT(acceptance(1024, false), whole - 0.2);
  // What comes seldom at the front is left out, so that a small part is enough.
  EXPECT_GT(acceptance(512, true), acceptance(512, false));
}

// Where a request begins as an earlier one did, the MTP layer goes on from what it read then.
TEST_F(SpeculationTest, MtpGoesOnBehindAKnownPrefix) {
  load("tiny-mimo");
  Request made = request(3, false, 60);
  made.prompt.assign(text_.begin(), text_.begin() + 150);
  const std::vector<Request> requests = {made};
  const auto expected = plain(requests);
  create(drafts_of(Drafter::kMtp), 1);
  int64_t drawn_before = 0;
  std::vector<int64_t> drawn;
  for (uint64_t i = 0; i < 3; ++i) {
    submit(i, made);
    run();
    EXPECT_EQ(written(i), expected.at(0));
    EXPECT_EQ(results_[std::pair(i, 0)].cached_tokens, i == 0 ? 0 : 149);
    drawn.push_back(totals().mtp_drawn - drawn_before);
    drawn_before = totals().mtp_drawn;
  }
  EXPECT_GT(drawn[0], 10);
  // All but one of its positions are the same.
  EXPECT_GE(drawn[1], drawn[0] - 3);
  EXPECT_EQ(drawn[2], drawn[1]);
}

// What one request wrote is found by the next one, if it is to be remembered.
TEST_F(SpeculationTest, LooksUpInEndedSequences) {
  load("tiny-phi");
  const Request made = request(1, false, 40);
  for (const bool remembers : {false, true}) {
    SCOPED_TRACE(remembers);
    DraftOptions drafts = drafts_of(Drafter::kLookup);
    drafts.match_min = 8;
    drafts.remembered_tokens = remembers ? 500 : 0;
    create(drafts, 1);
    submit(0, made);
    run();
    const int64_t before = totals().lookup_drawn;
    submit(1, made);
    run();
    EXPECT_EQ(written(0), written(1));
    if (remembers) {
      EXPECT_GT(totals().lookup_drawn - before, 20);
    } else {
      EXPECT_EQ(totals().lookup_drawn, 2 * before);
    }
  }
}

TEST_F(SpeculationTest, RefusesWhatItCannot) {
  load("tiny-phi");
  DraftOptions options = drafts_of(Drafter::kMtp);
  EXPECT_EQ(Speculation::create(loaded_->executor(), options, 1).status().code(),
            StatusCode::kUnsupported);
  options.drafter = Drafter::kLookup;
  options.drafts_max = 8;
  EXPECT_EQ(Speculation::create(loaded_->executor(), options, 1).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(drafter_from_name("ngram").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace midge
