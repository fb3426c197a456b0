#include "engine/scheduler/memory_plan.h"

#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr int64_t kSequencesMax = 4096;  // rows of a pass

double megabytes(int64_t bytes) { return static_cast<double>(bytes) * 1e-6; }

}  // namespace

Result<MemoryPlan> plan_memory(const Model& model, const MemoryRequest& request) {
  if (request.sequences < 1 || request.sequences > kSequencesMax) {
    return make_status(StatusCode::kInvalidArgument, "%lld sequences, expected 1..%lld",
                       static_cast<long long>(request.sequences),
                       static_cast<long long>(kSequencesMax));
  }
  MemoryPlan plan;
  plan.sequences = request.sequences;
  MIDGE_ASSIGN_OR_RETURN(plan.context,
                         resolve_context_length(model.config(), request.sequence.context_length));
  ExecutorOptions executor = request.executor;
  executor.context_max = plan.context;
  MIDGE_ASSIGN_OR_RETURN(plan.executor, plan_executor(model, executor));
  if (request.copies_files) {
    plan.files_copied = static_cast<int64_t>(model.storage().file_bytes());
  }
  SequenceOptions sequence = request.sequence;
  if (Speculation::uses_mtp(request.drafts, model.config())) {
    sequence.mtp = true;
    sequence.kv_page_tokens = kDraftPageTokens;
  }
  MIDGE_ASSIGN_OR_RETURN(const KvPoolOptions pages, own_pages(model.config(), sequence));
  MIDGE_ASSIGN_OR_RETURN(plan.kv_per_sequence, KvPool::bytes_for(model.config(), pages));
  plan.tokens_per_sequence =
      plan.context * static_cast<int64_t>(sizeof(int32_t) + sizeof(RowRole)) +
      DraftState::bytes_for(request.drafts, plan.context);
  plan.drafts =
      Speculation::bytes_for(model, request.drafts, plan.executor.rows_max, request.sequences);
  return plan;
}

Result<int64_t> context_within_budget(const Model& model, MemoryRequest request, int64_t budget) {
  // Memory grows with the context.
  int64_t fits = 0;
  int64_t too_long = model.config().context_length + 1;
  while (too_long - fits > 1) {
    const int64_t middle = fits + (too_long - fits) / 2;
    request.sequence.context_length = middle;
    MIDGE_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_memory(model, request));
    (plan.total() <= budget ? fits : too_long) = middle;
  }
  return fits;
}

Status check_budget(const Model& model, const MemoryRequest& request, int64_t budget) {
  MIDGE_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_memory(model, request));
  if (plan.total() <= budget) return Status();
  MIDGE_ASSIGN_OR_RETURN(const int64_t fits, context_within_budget(model, request, budget));
  const std::string what =
      format_string("%s: needs %.1f MB with a context of %lld tokens, the budget is %.1f MB",
                    shown_path(model.storage().path()).c_str(), megabytes(plan.total()),
                    static_cast<long long>(plan.context), megabytes(budget));
  if (fits > 0) {
    return make_status(StatusCode::kOutOfMemory, "%s; a context of %lld tokens fits", what.c_str(),
                       static_cast<long long>(fits));
  }
  const int64_t least = plan.total() - plan.sequences * plan.kv_per_sequence;
  return make_status(StatusCode::kOutOfMemory,
                     "%s; without any context it is %.1f MB (weights %.1f, scratch %.1f)",
                     what.c_str(), megabytes(least),
                     megabytes(plan.mapped() + plan.files_copied + plan.executor.weights_copied),
                     megabytes(plan.executor.scratch));
}

}  // namespace midge
