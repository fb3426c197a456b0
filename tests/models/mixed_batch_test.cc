// Passes that several sequences share give, bit for bit, what each of them gives alone.
#include <algorithm>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "engine/platform/cpu_features.h"
#include "engine/session/generator.h"
#include "engine/tokenizer_files/tokenizer_directory.h"
#include "tests/harness/amx_emulation.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/temp_dir.h"
#include "tests/models/readers.h"

namespace midge {
namespace {

using test::expect_same;
using test::golden_model;
using test::packed_setup;
using test::Reader;
using test::Running;
using test::RunSetup;

class MixedBatch : public test::ReadersTest {
 protected:
  // Three sequences that have read a prompt and go on, and a fourth that reads one; in passes of
  // their own, or together. Returns the logits of all.
  std::vector<float> read_four(bool together) {
    constexpr int64_t kPrompts[] = {5, 9, 33};
    constexpr int64_t kLong = 100;
    std::vector<Reader> readers;
    for (uint64_t i = 0; i < 3; ++i) readers.push_back(reader(i + 1, kPrompts[i] + 3));
    readers.push_back(reader(9, kLong));
    for (size_t i = 0; i < 3; ++i) {
      run_steps({step_of(readers[i], 0, kPrompts[i], RowRole::kPrompt)});
    }
    std::vector<SequenceStep> steps;
    // In no order of roles.
    steps.push_back(step_of(readers[3], 0, kLong, RowRole::kPrompt));
    for (size_t i = 0; i < 3; ++i) {
      steps.push_back(step_of(readers[i], kPrompts[i], i == 1 ? 3 : 1, RowRole::kGenerated));
    }
    if (together) {
      run_steps(steps);
    } else {
      for (const SequenceStep& step : steps) run_steps({step});
    }
    std::vector<float> all;
    for (const Reader& reader : readers) {
      all.insert(all.end(), reader.logits.begin(), reader.logits.end());
    }
    return all;
  }
};

TEST_F(MixedBatch, GivesWhatSeparatePassesGive) {
  const CpuFeatures available = test::features_with_emulation();
  std::vector<IsaLevel> levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    if (has_level(available, level)) levels.push_back(level);
  }
  for (const Encoding weights : {Encoding::kF16, Encoding::kQ4B32, Encoding::kQ8B32}) {
    std::vector<float> expected;
    for (const IsaLevel level : levels) {
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(std::string(encoding_info(weights).name) + " " + isa_level_name(level) + " " +
                     std::to_string(threads));
        RunSetup setup = packed_setup(golden_model("mimo"), weights);
        setup.threads = threads;
        setup.isa = up_to_level(available, level);
        open(setup);
        if (HasFatalFailure()) return;
        const std::vector<float> apart = read_four(false);
        if (expected.empty()) expected = apart;
        expect_same(apart, expected);
        expect_same(read_four(true), expected);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(MixedBatch, GivesWhatSeparatePassesGiveInFloatArithmetic) {
  open({golden_model("phi4-mini")});
  if (HasFatalFailure()) return;
  expect_same(read_four(true), read_four(false));
}

// More rows than a pass takes: prompts share what the generated rows leave.
TEST_F(MixedBatch, RowsBeyondAPass) {
  RunSetup setup = packed_setup(golden_model("mimo"), Encoding::kQ4B32);
  open(setup);
  if (HasFatalFailure()) return;
  const std::vector<float> expected = read_four(false);
  setup.session.batch_rows = 7;
  open(setup);
  if (HasFatalFailure()) return;
  expect_same(read_four(true), expected);
}

// One sequence beyond the original context, with the long factors, beside one with the short ones.
TEST_F(MixedBatch, RopeRegimesBesideEachOther) {
  RunSetup setup = packed_setup(golden_model("phi4-mini"), Encoding::kQ8B32);
  open(setup);
  if (HasFatalFailure()) return;
  const int64_t border = run_.model->config().rope.original_context;
  std::vector<std::vector<float>> logits;
  for (const bool together : {false, true}) {
    Reader crossing = reader(1, border + 2);
    Reader below = reader(2, 20);
    run_steps({step_of(crossing, 0, border - 1, RowRole::kPrompt)});
    run_steps({step_of(below, 0, 10, RowRole::kPrompt)});
    for (int64_t i = 0; i < 3; ++i) {
      const SequenceStep first = step_of(crossing, border - 1 + i, 1, RowRole::kGenerated);
      const SequenceStep second = step_of(below, 10 + i, 1, RowRole::kGenerated);
      if (together) {
        run_steps({first, second});
      } else {
        run_steps({first});
        run_steps({second});
      }
    }
    logits.push_back(crossing.logits);
    logits.push_back(below.logits);
  }
  expect_same(logits[2], logits[0]);
  expect_same(logits[3], logits[1]);
}

// A pass may read pages of one size for one sequence and of another for the next.
TEST_F(MixedBatch, AnyPagesGiveTheSameBits) {
  open(packed_setup(golden_model("mimo"), Encoding::kQ4B32));
  if (HasFatalFailure()) return;
  const int64_t count = std::min<int64_t>(200, run_.executor->context_max());
  std::vector<float> expected;
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
    expected.clear();
    for (const int64_t page_tokens : {0, 64, 128}) {
      SequenceOptions options;
      options.kv_page_tokens = page_tokens;
      options.kv_type = type;
      Reader paged = reader(3, count, options);
      Reader beside = reader(4, 30);
      run_steps({step_of(paged, 0, count - 20, RowRole::kPrompt),
                 step_of(beside, 0, 30, RowRole::kPrompt)});
      for (int64_t i = count - 20; i < count; ++i) {
        run_steps({step_of(paged, i, 1, RowRole::kGenerated)});
      }
      if (expected.empty()) expected = paged.logits;
      expect_same(paged.logits, expected);
    }
  }
}

// A cancelled step ends alone; so does one with a mistake.
TEST_F(MixedBatch, StepsFailAlone) {
  open(packed_setup(golden_model("mimo"), Encoding::kQ4B32));
  if (HasFatalFailure()) return;
  Reader alone = reader(1, 20);
  run_steps({step_of(alone, 0, 20, RowRole::kPrompt)});
  Reader good = reader(1, 20);
  Reader cancelled = reader(2, 30);
  Reader twice = reader(3, 10);
  SequenceOptions small;
  small.context_length = 8;
  Reader full = reader(4, 9, small);
  const std::atomic<bool> cancel = true;
  std::vector<SequenceStep> steps = {
      step_of(cancelled, 0, 30, RowRole::kPrompt), step_of(good, 0, 20, RowRole::kPrompt),
      step_of(twice, 0, 5, RowRole::kPrompt), step_of(twice, 5, 5, RowRole::kPrompt),
      step_of(full, 0, 9, RowRole::kPrompt)};
  steps[0].cancel = &cancel;
  run_step(*run_.executor, steps);
  EXPECT_EQ(steps[0].status.code(), StatusCode::kCancelled);
  EXPECT_EQ(steps[1].status.code(), StatusCode::kOk);
  EXPECT_EQ(steps[2].status.code(), StatusCode::kOk);
  EXPECT_EQ(steps[3].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(steps[4].status.code(), StatusCode::kContextFull);
  EXPECT_EQ(cancelled.sequence->length(), 0);
  EXPECT_EQ(twice.sequence->length(), 5);
  EXPECT_EQ(full.sequence->length(), 0);
  expect_same(good.logits, alone.logits);
}

// Set while the pass runs: the others go on, and the sequence is as if the step had never been.
TEST_F(MixedBatch, CancelledInAPass) {
  open(packed_setup(golden_model("mimo"), Encoding::kQ4B32));
  if (HasFatalFailure()) return;
  Reader alone = reader(1, 200);
  run_steps({step_of(alone, 0, 200, RowRole::kPrompt)});
  for (int round = 0; round < 20; ++round) {
    Reader good = reader(1, 200);
    Reader other = reader(2, 210);
    run_steps({step_of(other, 0, 10, RowRole::kPrompt)});
    std::atomic<bool> cancel = false;
    std::vector<SequenceStep> steps = {step_of(other, 10, 200, RowRole::kPrompt),
                                       step_of(good, 0, 200, RowRole::kPrompt)};
    steps[0].cancel = &cancel;
    std::thread later([&] { cancel = true; });
    run_step(*run_.executor, steps);
    later.join();
    MIDGE_ASSERT_OK(steps[1].status);
    expect_same(good.logits, alone.logits);
    const bool done = steps[0].status.ok();
    if (!done) {
      EXPECT_EQ(steps[0].status.code(), StatusCode::kCancelled);
    }
    EXPECT_EQ(other.sequence->length(), done ? 210 : 10);
  }
}

// Two passes at once are a mistake of the caller, and refused.
TEST_F(MixedBatch, ASecondPassIsRefused) {
  open({golden_model("mimo")});
  if (HasFatalFailure()) return;
  Reader one = reader(1, 4);
  {
    const ExecutorUse use(*run_.executor);
    MIDGE_ASSERT_OK(use.status());
    std::vector<SequenceStep> steps = {step_of(one, 0, 4, RowRole::kPrompt)};
    run_step(*run_.executor, steps);
    EXPECT_EQ(steps[0].status.code(), StatusCode::kBusy);
    EXPECT_EQ(one.sequence->length(), 0);
    const std::vector<float> hidden(static_cast<size_t>(run_.model->config().hidden_size));
    EXPECT_EQ(run_.session->project(hidden.data(), 1, one.logits.data()).code(), StatusCode::kBusy);
  }
  run_steps({step_of(one, 0, 4, RowRole::kPrompt)});
}

// The head is read once for logits that lie beside each other, in whatever order they were asked
// for; elsewhere they are the same.
TEST_F(MixedBatch, LogitsGoWhereTheyAreWanted) {
  open(packed_setup(golden_model("mimo"), Encoding::kQ4B32));
  if (HasFatalFailure()) return;
  std::vector<Reader> readers;
  for (uint64_t i = 0; i < 3; ++i) readers.push_back(reader(i, 6));
  std::vector<SequenceStep> steps;
  const int32_t last = 5;
  constexpr int64_t kPlaces[] = {2, 0, 1};
  for (size_t i = 0; i < 3; ++i) {
    run_steps({step_of(readers[i], 0, 6, RowRole::kPrompt)});
    MIDGE_ASSERT_OK(readers[i].sequence->truncate(0));
    steps.push_back(step_of(readers[i], 0, 6, RowRole::kPrompt));
    steps.back().outputs.logits_rows = {&last, 1};
    steps.back().outputs.logits = run_.executor->logits(kPlaces[i]);
  }
  run_steps(steps);
  for (size_t i = 0; i < 3; ++i) {
    const std::span<const float> expected =
        std::span(readers[i].logits).last(static_cast<size_t>(vocab_size_));
    EXPECT_EQ(std::memcmp(run_.executor->logits(kPlaces[i]), expected.data(), expected.size() * 4),
              0)
        << i;
  }
}

// Requests that share passes, sampled in parallel: each gets the tokens that it gets alone, at
// temperature 0.8 with penalties.
TEST(MixedGenerations, TheSameTokensInCompany) {
  const std::string path = std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-mimo";
  RunSetup setup = {path};
  setup.arithmetic = Arithmetic::kPacked;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const auto tokenizer = load_tokenizer_directory(path);
  MIDGE_ASSERT_OK(tokenizer);
  const std::vector<uint8_t> allowed = allowed_tokens(*tokenizer, run.model->config().vocab_size);
  constexpr size_t kCount = 5;
  std::vector<std::vector<int32_t>> prompts(kCount);
  const char* texts[kCount] = {"Once upon a time", "One day", "The", "A dog and a cat", "Tom said"};
  for (size_t i = 0; i < kCount; ++i) {
    MIDGE_ASSERT_OK(tokenizer->encode(texts[i], SpecialTokens::kAsText, &prompts[i]));
  }
  std::vector<std::vector<int32_t>> expected;
  for (const bool together : {false, true}) {
    std::vector<std::unique_ptr<Sequence>> sequences;
    std::vector<std::unique_ptr<Generation>> all;
    for (size_t i = 0; i < kCount; ++i) {
      GenerateOptions options;
      options.tokens_max = 10 + static_cast<int64_t>(7 * i);  // they end one after the other
      options.sampler.temperature = 0.8f;
      options.sampler.seed = i;
      options.sampler.repetition_penalty = 1.1f;
      options.sampler.frequency_penalty = 0.1f;
      auto sequence = Sequence::create(run.model->config(), {});
      MIDGE_ASSERT_OK(sequence);
      sequences.push_back(std::move(*sequence));
      auto generation =
          Generation::create(*sequences[i], *tokenizer, allowed, prompts[i], options, nullptr);
      MIDGE_ASSERT_OK(generation);
      all.push_back(std::move(*generation));
    }
    const auto run_some = [&](std::vector<Generation*> running) {
      while (!running.empty()) {
        std::vector<SequenceStep> steps;
        for (size_t i = 0; i < running.size(); ++i) {
          steps.push_back(running[i]->next_step(run.executor->logits(static_cast<int64_t>(i))));
        }
        run_step(*run.executor, steps);
        std::vector<Draw> draws;
        for (size_t i = 0; i < running.size(); ++i) {
          running[i]->stepped(steps[i].status);
          draws.push_back({running[i], steps[i].outputs.logits});
        }
        MIDGE_ASSERT_OK(sample_together(*run.executor, draws));
        for (Generation* generation : running) MIDGE_ASSERT_OK(generation->accept());
        std::erase_if(running, [](const Generation* generation) { return generation->done(); });
      }
    };
    std::vector<Generation*> running;
    for (const auto& generation : all) {
      running.push_back(generation.get());
      if (!together) run_some({generation.get()});
      if (HasFatalFailure()) return;
    }
    if (together) run_some(running);
    for (size_t i = 0; i < kCount; ++i) {
      std::vector<int32_t> tokens;
      for (const GeneratedToken& token : all[i]->result().tokens) tokens.push_back(token.token);
      EXPECT_EQ(tokens.size(), 10 + 7 * i);
      if (together) {
        EXPECT_EQ(tokens, expected[i]) << i;
      } else {
        expected.push_back(tokens);
      }
    }
  }
}

}  // namespace
}  // namespace midge
