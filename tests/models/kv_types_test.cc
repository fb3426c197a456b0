// Every type of KV pages keeps what f16 pages promise: the same bits on every level, with any
// threads, pieces and pages, alone or in company, read once or again.
#include <cmath>

#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "engine/scheduler/generate.h"
#include "tests/harness/expected_levels.h"
#include "tests/models/readers.h"

namespace midge {
namespace {

class KvTypes : public ::testing::TestWithParam<KvType> {};

// Logits of a prompt in pieces, then of single tokens.
std::vector<float> conversation(Session& session, std::span<const int32_t> tokens, size_t piece) {
  constexpr size_t kGenerated = 12;
  std::vector<float> logits =
      test::step_logits_in_pieces(session, tokens.first(tokens.size() - kGenerated), piece);
  const std::vector<float> rest =
      test::step_logits_in_pieces(session, tokens.last(kGenerated), 1, RowRole::kGenerated);
  logits.insert(logits.end(), rest.begin(), rest.end());
  return logits;
}

test::RunSetup setup_of(const char* model, KvType type) {
  test::RunSetup setup = test::packed_setup(test::golden_model(model), Encoding::kQ4B32);
  setup.session.kv_type = type;
  return setup;
}

TEST_P(KvTypes, SameBitsOnEveryLevelWithAnyThreadsPiecesAndPages) {
  const CpuFeatures available = detect_cpu_features();
  for (const char* model : {"mimo", "phi4"}) {
    std::vector<float> expected;
    std::vector<int32_t> tokens;
    for (int i = 0; i < kIsaLevelCount; ++i) {
      const auto level = static_cast<IsaLevel>(i);
      if (!has_level(available, level)) continue;
      for (const int threads : {1, 2}) {
        for (const int64_t page_tokens : {0, 64}) {
          SCOPED_TRACE(std::string(model) + " " + isa_level_name(level));
          test::RunSetup setup = setup_of(model, GetParam());
          setup.isa = up_to_level(available, level);
          setup.threads = threads;
          setup.session.kv_page_tokens = page_tokens;
          test::Running run;
          test::open(setup, &run);
          if (HasFatalFailure()) return;
          tokens = test::random_tokens(100, run.model->config().vocab_size);
          const std::vector<float> found =
              conversation(*run.session, tokens, page_tokens == 0 ? 88 : 9);
          if (expected.empty()) expected = found;
          ASSERT_EQ(found, expected);
        }
      }
    }
    for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
  }
}

// Pages cost accuracy alone. Bounds are three times what was measured, of trained models.
TEST_P(KvTypes, LogitsAreCloseToThoseOfF32) {
  for (const char* model : {"tiny-mimo", "tiny-phi"}) {
    std::vector<float> logits[2];
    for (const KvType type : {KvType::kF32, GetParam()}) {
      test::RunSetup setup = {std::string(MIDGE_SOURCE_DIR "/assets/models/") + model};
      setup.session.kv_type = type;
      test::Running run;
      test::open(setup, &run);
      if (HasFatalFailure()) return;
      const std::vector<int32_t> tokens = test::random_tokens(100, 500);
      logits[type == KvType::kF32 ? 0 : 1] = conversation(*run.session, tokens, 88);
    }
    const float error = test::relative_error(logits[0], logits[1]);
    RecordProperty(model, std::to_string(error));
    const float bound = GetParam() == KvType::kInt8   ? 5e-2f
                        : GetParam() == KvType::kK8V4 ? 0.2f
                                                      : 1.5e-3f;
    EXPECT_LE(error, bound) << model;
    EXPECT_GT(error, bound / 30) << model << ": nothing was rounded";
  }
}

// Requests that share pages, give them back and are read again get the tokens of a session alone.
TEST_P(KvTypes, SchedulingChangesNoToken) {
  LoadOptions options;
  options.executor.threads = 2;
  options.executor.context_max = 256;
  options.executor.weights = *recipe_from_name("fast");
  const auto loaded = LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", options);
  MIDGE_ASSERT_OK(loaded);
  SchedulerOptions scheduling;
  scheduling.context_length = 256;
  scheduling.kv_type = GetParam();
  scheduling.pages = 5;
  scheduling.prompt_rows = 32;
  const auto scheduler = (*loaded)->new_scheduler(scheduling);
  MIDGE_ASSERT_OK(scheduler);
  std::vector<std::vector<int32_t>> answers(4);
  std::vector<Request> requests;
  int64_t preemptions = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    Request request;
    request.prompt = test::random_tokens(60, 500, i / 2);  // two begin alike
    request.generate.tokens_max = 40;
    request.generate.sampler.temperature = i % 2 == 0 ? 0.0f : 0.8f;
    request.generate.sampler.repetition_penalty = 1.1f;
    request.generate.sampler.seed = i;
    requests.push_back(request);
    request.on_end = [&, i](const RequestResult& result) {
      EXPECT_EQ(result.end, RequestEnd::kDone);
      preemptions += result.preemptions;
      for (const GeneratedToken& token : result.generated.tokens) {
        answers[i].push_back(token.token);
      }
    };
    MIDGE_ASSERT_OK((*scheduler)->submit(request));
  }
  MIDGE_ASSERT_OK((*scheduler)->run());
  EXPECT_GT(preemptions, 0);
  SequenceOptions sequence;
  sequence.context_length = 256;
  sequence.kv_type = GetParam();
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto session = (*loaded)->new_session(sequence);
    MIDGE_ASSERT_OK(session);
    const auto alone = generate(**session, (*loaded)->tokenizer(), (*loaded)->allowed_tokens(),
                                requests[i].prompt, requests[i].generate, nullptr);
    MIDGE_ASSERT_OK(alone);
    std::vector<int32_t> expected;
    for (const GeneratedToken& token : alone->tokens) expected.push_back(token.token);
    EXPECT_EQ(answers[i], expected) << i;
  }
}

std::string name_of(const ::testing::TestParamInfo<KvType>& info) {
  return kv_type_name(info.param);
}
INSTANTIATE_TEST_SUITE_P(Types, KvTypes,
                         ::testing::Values(KvType::kF16, KvType::kInt8, KvType::kK8V4), name_of);

}  // namespace
}  // namespace midge
