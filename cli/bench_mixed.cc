#include "cli/bench_mixed.h"

#include <chrono>

#include "bench/model/statistics.h"
#include "engine/session/random.h"
#include "engine/session/step.h"

namespace midge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMixedTokenSeed = 20250102;
constexpr int64_t kMixedContext = 512;
constexpr int64_t kDepth = 32;  // tokens that a sequence has read before it goes on

/// Sequences of random tokens.
class Sequences {
 public:
  Sequences(const LoadedModel& model, KvType kv_type) : model_(model), kv_type_(kv_type) {}

  Status add(int64_t count) {
    SequenceOptions options;
    options.context_length = kMixedContext;
    options.kv_type = kv_type_;
    for (int64_t i = 0; i < count; ++i) {
      MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Sequence> sequence,
                             Sequence::create(model_.model().config(), options));
      sequences_.push_back(std::move(sequence));
    }
    return Status();
  }

  Sequence& operator[](size_t i) { return *sequences_[i]; }

  // The step of a sequence that reads `count` new tokens; logits of the last one go to a row.
  SequenceStep step(size_t i, int64_t count, RowRole role, int64_t logits_row) {
    std::vector<int32_t>& tokens = tokens_[i];
    tokens.resize(static_cast<size_t>(count));
    const auto vocab_size = static_cast<double>(model_.model().config().vocab_size);
    for (int32_t& token : tokens) {
      token = static_cast<int32_t>(uniform_at(kMixedTokenSeed, drawn_++) * vocab_size);
    }
    last_rows_[i] = static_cast<int32_t>(count - 1);
    SequenceStep step;
    step.sequence = sequences_[i].get();
    step.tokens = tokens;
    step.role = role;
    step.outputs.logits_rows = {&last_rows_[i], 1};
    step.outputs.logits = model_.executor().logits(logits_row);
    return step;
  }

  // Seconds that the steps take together.
  Result<double> run(std::vector<SequenceStep> steps) {
    const Clock::time_point start = Clock::now();
    run_step(model_.executor(), steps);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (const SequenceStep& step : steps) MIDGE_RETURN_IF_ERROR(step.status);
    return seconds;
  }

 private:
  static constexpr size_t kMost = 16;

  const LoadedModel& model_;
  const KvType kv_type_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::vector<int32_t> tokens_[kMost];
  int32_t last_rows_[kMost] = {};
  uint64_t drawn_ = 0;
};

// Draws a token from every row of logits; seconds.
Result<double> sample_rows(const LoadedModel& model, int64_t rows) {
  SamplerOptions options;
  options.temperature = 0.8f;
  const std::vector<uint8_t> allowed(static_cast<size_t>(model.model().config().vocab_size), 1);
  MIDGE_ASSIGN_OR_RETURN(const Sampler sampler, Sampler::create(options, allowed, kMixedContext));
  Executor& executor = model.executor();
  const Clock::time_point start = Clock::now();
  executor.team().run([&](const Worker& worker) {
    worker.for_each(rows, [&](int64_t row) {
      sampler.sample(executor.logits(row), static_cast<uint64_t>(row),
                     executor.sampler_workspace(worker.index()));
    });
  });
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void make_room_for_mixed(RunOptions* options) {
  options->context_length = kMixedContext;
  options->logit_rows = 8;
}

Result<MixedReport> measure_mixed(const LoadedModel& model, KvType kv_type, int64_t rounds) {
  MixedReport report;
  Sequences sequences(model, kv_type);
  // 0: the prompt; then those that go on.
  MIDGE_RETURN_IF_ERROR(sequences.add(1 + report.sampled));
  const auto sampled = static_cast<size_t>(report.sampled);
  for (size_t i = 1; i <= sampled; ++i) {
    MIDGE_RETURN_IF_ERROR(sequences.run({sequences.step(i, kDepth, RowRole::kPrompt, 0)}).status());
  }
  std::vector<double> alone;
  std::vector<double> mixed;
  std::vector<double> steps;
  std::vector<double> samplings;
  for (int64_t round = 0; round <= rounds; ++round) {
    // All rounds are alike, and any number of them has room.
    MIDGE_RETURN_IF_ERROR(sequences[0].truncate(0));
    for (size_t i = 1; i <= sampled; ++i) MIDGE_RETURN_IF_ERROR(sequences[i].truncate(kDepth));
    MIDGE_ASSIGN_OR_RETURN(
        const double alone_seconds,
        sequences.run({sequences.step(0, report.prompt_tokens, RowRole::kPrompt, 0)}));
    MIDGE_RETURN_IF_ERROR(sequences[0].truncate(0));
    std::vector<SequenceStep> together = {
        sequences.step(0, report.prompt_tokens, RowRole::kPrompt, 0)};
    for (int64_t i = 1; i <= report.beside; ++i) {
      together.push_back(sequences.step(static_cast<size_t>(i), 1, RowRole::kGenerated, i));
    }
    MIDGE_ASSIGN_OR_RETURN(const double mixed_seconds, sequences.run(std::move(together)));
    std::vector<SequenceStep> generated;
    for (size_t i = 1; i <= sampled; ++i) {
      generated.push_back(sequences.step(i, 1, RowRole::kGenerated, static_cast<int64_t>(i) - 1));
    }
    MIDGE_ASSIGN_OR_RETURN(const double step_seconds, sequences.run(std::move(generated)));
    MIDGE_ASSIGN_OR_RETURN(const double sampling_seconds, sample_rows(model, report.sampled));
    if (round == 0) continue;  // pages and caches settle
    alone.push_back(alone_seconds);
    mixed.push_back(mixed_seconds);
    steps.push_back(step_seconds);
    samplings.push_back(sampling_seconds);
  }
  report.prompt_seconds = bench::median(alone);
  report.mixed_seconds = bench::median(mixed);
  report.step_seconds = bench::median(steps);
  report.sampling_seconds = bench::median(samplings);
  return report;
}

void print_mixed(const MixedReport& report) {
  print(stdout, "prompt   %8.1f ms   %lld tokens alone\n", report.prompt_seconds * 1e3,
        static_cast<long long>(report.prompt_tokens));
  print(stdout, "mixed    %8.1f ms   with a generated row of %lld other sequences: %.3f of it\n",
        report.mixed_seconds * 1e3, static_cast<long long>(report.beside),
        report.mixed_seconds / report.prompt_seconds);
  print(stdout, "step     %8.2f ms   a generated row of %lld sequences each\n",
        report.step_seconds * 1e3, static_cast<long long>(report.sampled));
  print(stdout, "sampling %8.3f ms   their tokens at temperature 0.8: %.2f %% of the step\n",
        report.sampling_seconds * 1e3, 100 * report.sampling_seconds / report.step_seconds);
}

void write_mixed(JsonWriter& json, const MixedReport& report) {
  json.begin_object("mixed").member("prompt_tokens", report.prompt_tokens);
  json.member("beside", report.beside).member("prompt_seconds", report.prompt_seconds);
  json.member("mixed_seconds", report.mixed_seconds).member("sampled", report.sampled);
  json.member("step_seconds", report.step_seconds);
  json.member("sampling_seconds", report.sampling_seconds).end_object();
}

}  // namespace midge
