#include "engine/session/session.h"

#include "engine/decoder/limits.h"

namespace midge {

Result<std::unique_ptr<Session>> Session::create(Executor& executor,
                                                 const SequenceOptions& options) {
  const ModelConfig& config = executor.model().config();
  SequenceOptions resolved = options;
  if (options.context_length == 0) {
    // What nobody asked for is in proportion to the files.
    resolved.context_length =
        context_within(config, options.kv_type, options.mtp, executor.context_max(),
                       default_memory(executor.model().storage().file_bytes()));
  }
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Sequence> sequence, Sequence::create(config, resolved));
  if (sequence->context_length() > executor.context_max()) {
    return make_status(StatusCode::kInvalidArgument,
                       "context of %lld tokens, the executor was made for %lld",
                       static_cast<long long>(sequence->context_length()),
                       static_cast<long long>(executor.context_max()));
  }
  return std::unique_ptr<Session>(new Session(executor, std::move(sequence)));
}

Status Session::step(std::span<const int32_t> tokens, const RowOutputs& outputs, RowRole role) {
  SequenceStep step;
  step.sequence = sequence_.get();
  step.tokens = tokens;
  step.role = role;
  step.outputs = outputs;
  step.cancel = cancel_;
  run_step(executor_, {&step, 1});
  return std::move(step.status);
}

Status Session::mtp_step(std::span<const int32_t> next_tokens, const float* hidden, bool mask_first,
                         const RowOutputs& outputs) {
  return run_mtp_step(executor_, *sequence_, next_tokens, hidden, mask_first, outputs, cancel_);
}

Status Session::project(const float* hidden_normed, int64_t rows, float* logits) {
  const ExecutorUse use(executor_);
  MIDGE_RETURN_IF_ERROR(use.status());
  project_to_logits(executor_.engine(), hidden_normed, rows, logits, executor_.scratch());
  return Status();
}

}  // namespace midge
