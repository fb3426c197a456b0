#include "bench/model/gate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "bench/model/fingerprints.h"
#include "engine/core/fnv.h"
#include "engine/core/seconds.h"
#include "engine/scheduler/model_identity.h"
#include "engine/session/step.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The generic kernels take seconds for a token of a large model, so the tokens are few.
constexpr int32_t kPrompt[] = {1, 4};
constexpr int32_t kGenerated[] = {9, 16, 25, 36, 49, 64, 81, 100};
constexpr int64_t kPromptRows = std::size(kPrompt);
constexpr int64_t kRows = std::size(kGenerated);
static_assert(kRows == kGemvRowsMax, "each number of rows has kernels of its own");
constexpr int64_t kRowsMax = 32;  // of a longer prompt, which must not change the first rows

/// Logits of the fixed tokens.
class FixedRun {
 public:
  FixedRun(const LoadedModel& model, KvType kv_type)
      : model_(model), vocab_size_(model.model().config().vocab_size) {
    options_.context_length =
        std::min<int64_t>(kRowsMax + kRows, model.model().config().context_length);
    options_.kv_type = kv_type;
  }

  /// Of the last token of the prompt, which `prompt_rows` begin with; then of the first `rows`
  /// generated ones, read one by one.
  Result<std::vector<float>> run(int64_t prompt_rows, int64_t rows) {
    MIDGE_ASSIGN_OR_RETURN(sequence_, Sequence::create(model_.model().config(), options_));
    std::vector<int32_t> prompt(kPrompt, kPrompt + kPromptRows);
    while (static_cast<int64_t>(prompt.size()) < prompt_rows) prompt.push_back(7);
    std::vector<float> logits;
    MIDGE_RETURN_IF_ERROR(step(prompt, RowRole::kPrompt, {kPromptRows - 1}, &logits));
    MIDGE_RETURN_IF_ERROR(sequence_->truncate(kPromptRows));
    for (int64_t row = 0; row < rows; ++row) {
      MIDGE_RETURN_IF_ERROR(step(std::span(kGenerated).subspan(static_cast<size_t>(row), 1),
                                 RowRole::kGenerated, {0}, &logits));
    }
    return logits;
  }

  /// Of the first `rows` generated tokens, in one step behind the prompt of the last run().
  Result<std::vector<float>> run_at_once(int64_t rows) {
    MIDGE_RETURN_IF_ERROR(sequence_->truncate(kPromptRows));
    std::vector<int32_t> all(static_cast<size_t>(rows));
    std::iota(all.begin(), all.end(), 0);
    std::vector<float> logits;
    MIDGE_RETURN_IF_ERROR(
        step(std::span(kGenerated).first(all.size()), RowRole::kGenerated, all, &logits));
    return logits;
  }

 private:
  Status step(std::span<const int32_t> tokens, RowRole role, const std::vector<int32_t>& rows,
              std::vector<float>* logits) {
    SequenceStep step;
    step.sequence = sequence_.get();
    step.tokens = tokens;
    step.role = role;
    step.outputs.logits_rows = rows;
    step.outputs.logits = model_.executor().logits(0);
    run_step(model_.executor(), {&step, 1});
    MIDGE_RETURN_IF_ERROR(step.status);
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* of_row = model_.executor().logits(static_cast<int64_t>(i));
      logits->insert(logits->end(), of_row, of_row + vocab_size_);
    }
    return Status();
  }

  const LoadedModel& model_;
  const int64_t vocab_size_;
  SequenceOptions options_;
  std::unique_ptr<Sequence> sequence_;
};

std::string hexadecimal(const ContentHash& hash) {
  return format_string("%016llx%016llx", static_cast<unsigned long long>(hash[1]),
                       static_cast<unsigned long long>(hash[0]));
}

Status refusal(const std::string& what) {
  return make_status(StatusCode::kInternal,
                     "the check of the output failed: %s. No speed is printed", what.c_str());
}

// Where two runs differ first, if they do, as far as both go. first: 0 if the prompt's last token
// comes first, 1 if a generated one does.
Status same_bits(std::span<const float> a, std::span<const float> b, int64_t vocab_size,
                 size_t first, const std::string& between) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0) continue;
    const auto width = static_cast<size_t>(vocab_size);
    const size_t token = first + i / width;
    const std::string which =
        token == 0 ? "the prompt's last token" : format_string("generated token %zu", token);
    return refusal(format_string("logit %zu of %s is %.9g and %.9g between %s", i % width,
                                 which.c_str(), static_cast<double>(a[i]),
                                 static_cast<double>(b[i]), between.c_str()));
  }
  return Status();
}

// Each number of rows has kernels of its own, and the kind of a pass may have others again.
Status check_rows(FixedRun& fixed, std::span<const float> fast, int64_t vocab_size) {
  MIDGE_ASSIGN_OR_RETURN(const std::vector<float> singly, fixed.run(kRowsMax, kRows));
  MIDGE_RETURN_IF_ERROR(same_bits(fast, singly, vocab_size, 0, "a prompt of 2 tokens and of 32"));
  const std::span<const float> generated =
      std::span(singly).subspan(static_cast<size_t>(vocab_size));
  for (int64_t rows = 2; rows <= kRows; ++rows) {
    MIDGE_ASSIGN_OR_RETURN(const std::vector<float> at_once, fixed.run_at_once(rows));
    MIDGE_RETURN_IF_ERROR(
        same_bits(generated, at_once, vocab_size, 1,
                  format_string("one row at a time and %lld", static_cast<long long>(rows))));
  }
  return Status();
}

// The kernels that specify what the others compute.
KernelTables generic_kernels() { return KernelTables(make_kernel_table({cpu::kNone})); }

void wrong_rmsnorm(const RmsnormArgs* args) {
  static const RmsnormFunction right = make_kernel_table({cpu::kNone}).rmsnorm;
  right(args);
  args->out[args->n / 2] *= 1.125f;
}

bool is_packed(const Executor& executor) {
  bool all = true;
  visit_linear_matrices(*executor.engine().weights,
                        [&](const std::string&, const PreparedMatrix& w) {
                          all = all && w.form == PreparedMatrix::Form::kTiles;
                        });
  return all;
}

}  // namespace

Result<GateReport> check_output(const LoadedModel& model, KvType kv_type) {
  const Clock::time_point start = Clock::now();
  const int64_t vocab_size = model.model().config().vocab_size;
  GateReport report;
  report.content_id = hexadecimal(model_identity(model.executor()));
  FixedRun fixed(model, kv_type);
  MIDGE_ASSIGN_OR_RETURN(const std::vector<float> fast, fixed.run(kPromptRows, 1));
  for (const float logit : fast) {
    if (!std::isfinite(logit)) return refusal("a logit is not a finite number");
  }
  report.fingerprint = fnv1a({reinterpret_cast<const char*>(fast.data()), fast.size() * 4});
  if (is_packed(model.executor())) {
    MIDGE_RETURN_IF_ERROR(check_rows(fixed, fast, vocab_size));
    std::vector<float> generic;
    MIDGE_RETURN_IF_ERROR(
        model.executor().with_kernels(generic_kernels(), kRowsMax, [&]() -> Status {
          MIDGE_ASSIGN_OR_RETURN(generic, fixed.run(kPromptRows, 1));
          return Status();
        }));
    MIDGE_RETURN_IF_ERROR(
        same_bits(fast, generic, vocab_size, 0, "the chosen kernels and the generic ones"));
  }
  report.has_generic = is_packed(model.executor());
  const std::optional<uint64_t> known = known_fingerprint(report.content_id, kv_type);
  if (known.has_value() && *known != report.fingerprint) {
    return refusal(format_string("the logits' fingerprint is %016llx, and %016llx is on record",
                                 static_cast<unsigned long long>(report.fingerprint),
                                 static_cast<unsigned long long>(*known)));
  }
  report.is_known = known.has_value();
  report.seconds = seconds_between(start, Clock::now());
  return report;
}

Status with_wrong_kernel(const LoadedModel& model, const std::function<Status()>& body) {
  std::vector<KernelTable> tables(model.executor().engine().kernels->tables().begin(),
                                  model.executor().engine().kernels->tables().end());
  for (KernelTable& table : tables) table.rmsnorm = wrong_rmsnorm;
  return model.executor().with_kernels(KernelTables(std::move(tables)), kRowsMax, body);
}

}  // namespace midge::bench
