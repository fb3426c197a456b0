#include "bench/model/gate.h"

#include <cmath>
#include <cstring>

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
constexpr int32_t kGenerated[] = {9, 16, 25, 36};
constexpr int64_t kPromptRows = std::size(kPrompt);
constexpr int64_t kRows = std::size(kGenerated);
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

  /// Of the last token of the prompt, then of the first generated one, in a step of `rows`.
  Result<std::vector<float>> run(int64_t prompt_rows, int64_t rows) {
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Sequence> sequence,
                           Sequence::create(model_.model().config(), options_));
    std::vector<int32_t> prompt(kPrompt, kPrompt + kPromptRows);
    while (static_cast<int64_t>(prompt.size()) < prompt_rows) prompt.push_back(7);
    std::vector<float> logits;
    MIDGE_RETURN_IF_ERROR(step(*sequence, prompt, RowRole::kPrompt, kPromptRows - 1, &logits));
    MIDGE_RETURN_IF_ERROR(sequence->truncate(kPromptRows));
    MIDGE_RETURN_IF_ERROR(step(*sequence, std::span(kGenerated).first(static_cast<size_t>(rows)),
                               RowRole::kGenerated, 0, &logits));
    return logits;
  }

 private:
  Status step(Sequence& sequence, std::span<const int32_t> tokens, RowRole role, int64_t row,
              std::vector<float>* logits) {
    const auto wanted = static_cast<int32_t>(row);
    SequenceStep step;
    step.sequence = &sequence;
    step.tokens = tokens;
    step.role = role;
    step.outputs.logits_rows = {&wanted, 1};
    step.outputs.logits = model_.executor().logits(0);
    run_step(model_.executor(), {&step, 1});
    MIDGE_RETURN_IF_ERROR(step.status);
    logits->insert(logits->end(), step.outputs.logits, step.outputs.logits + vocab_size_);
    return Status();
  }

  const LoadedModel& model_;
  const int64_t vocab_size_;
  SequenceOptions options_;
};

std::string hexadecimal(const ContentHash& hash) {
  return format_string("%016llx%016llx", static_cast<unsigned long long>(hash[1]),
                       static_cast<unsigned long long>(hash[0]));
}

Status refusal(const std::string& what) {
  return make_status(StatusCode::kInternal,
                     "the check of the output failed: %s. No speed is printed", what.c_str());
}

// Where two runs differ first, if they do.
Status same_bits(const std::vector<float>& a, const std::vector<float>& b, int64_t vocab_size,
                 const char* between) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0) continue;
    const auto width = static_cast<size_t>(vocab_size);
    return refusal(format_string("logit %zu of the %s token is %.9g and %.9g between %s", i % width,
                                 i < width ? "prompt's last" : "generated",
                                 static_cast<double>(a[i]), static_cast<double>(b[i]), between));
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
    MIDGE_ASSIGN_OR_RETURN(const std::vector<float> rows, fixed.run(kRowsMax, kRows));
    MIDGE_RETURN_IF_ERROR(same_bits(fast, rows, vocab_size, "one row and several"));
    std::vector<float> generic;
    MIDGE_RETURN_IF_ERROR(
        model.executor().with_kernels(generic_kernels(), kRowsMax, [&]() -> Status {
          MIDGE_ASSIGN_OR_RETURN(generic, fixed.run(kPromptRows, 1));
          return Status();
        }));
    MIDGE_RETURN_IF_ERROR(
        same_bits(fast, generic, vocab_size, "the chosen kernels and the generic ones"));
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
