#include "engine/session/likelihood.h"

#include <algorithm>

namespace midge {
namespace {

// Rows whose logits are held at once.
constexpr size_t kRowsPerPiece = 16;
constexpr size_t kNoRow = std::numeric_limits<size_t>::max();

}  // namespace

Result<LikelihoodScorer> LikelihoodScorer::create(Session& session, RowRole role) {
  LikelihoodScorer scorer(session, role);
  const int64_t row_bytes =
      session.model().config().vocab_size * static_cast<int64_t>(sizeof(float));
  MIDGE_ASSIGN_OR_RETURN(
      scorer.logits_,
      AlignedBuffer::create(static_cast<int64_t>(kRowsPerPiece) * row_bytes, "logits"));
  scorer.all_allowed_.assign(static_cast<size_t>(session.model().config().vocab_size), 1);
  MIDGE_ASSIGN_OR_RETURN(scorer.sampler_,
                         Sampler::create(SamplerOptions(), scorer.all_allowed_, 1));
  MIDGE_RETURN_IF_ERROR(session.truncate(0));
  return scorer;
}

// Makes the session's tokens those of input_, and hidden_ reach back to the context's last token.
Status LikelihoodScorer::read(size_t context_length) {
  const std::span<const int32_t> known = session_->tokens();
  const auto common = static_cast<size_t>(
      std::mismatch(known.begin(), known.end(), input_.begin(), input_.end()).first -
      known.begin());
  const size_t first = context_length - 1;  // the row that predicts the continuation's first token
  if (common == input_.size() && common == known.size() && hidden_begin_ <= first) return Status();
  // The row is read in the same step as the continuation: where that is longer than the model's
  // first context, all of it has the rope factors of long texts.
  const size_t begin = std::min(common, first);
  hidden_begin_ = kNoRow;
  MIDGE_RETURN_IF_ERROR(session_->truncate(static_cast<int64_t>(begin)));
  const auto hidden_size = static_cast<size_t>(session_->model().config().hidden_size);
  hidden_.resize((input_.size() - begin) * hidden_size);
  RowOutputs outputs;
  outputs.hidden_normed = hidden_.data();
  MIDGE_RETURN_IF_ERROR(session_->step(std::span(input_).subspan(begin), outputs, role_));
  hidden_begin_ = begin;
  return Status();
}

Result<Likelihood> LikelihoodScorer::score(std::span<const int32_t> context,
                                           std::span<const int32_t> continuation) {
  if (context.empty() || continuation.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "context of %zu tokens, continuation of %zu, expected at least 1 of each",
                       context.size(), continuation.size());
  }
  // Nothing is predicted from the last token.
  input_.assign(context.begin(), context.end());
  input_.insert(input_.end(), continuation.begin(), continuation.end() - 1);
  MIDGE_RETURN_IF_ERROR(read(context.size()));
  const ModelConfig& config = session_->model().config();
  const auto vocab_size = static_cast<size_t>(config.vocab_size);
  auto* const logits = reinterpret_cast<float*>(logits_.data());
  const float* hidden = hidden_.data() + (context.size() - 1 - hidden_begin_) *
                                             static_cast<size_t>(config.hidden_size);
  Likelihood likelihood;
  for (size_t done = 0; done < continuation.size(); done += kRowsPerPiece) {
    const size_t rows = std::min(kRowsPerPiece, continuation.size() - done);
    MIDGE_RETURN_IF_ERROR(session_->project(hidden + done * static_cast<size_t>(config.hidden_size),
                                            static_cast<int64_t>(rows), logits));
    for (size_t i = 0; i < rows; ++i) {
      const auto token = static_cast<size_t>(continuation[done + i]);
      if (token >= vocab_size) {
        return make_status(StatusCode::kOutOfRange, "token id %d, expected one below %zu",
                           continuation[done + i], vocab_size);
      }
      const float* row = logits + i * vocab_size;
      TokenLogprob chosen = {static_cast<int32_t>(token), 0};
      sampler_->logprobs(row, &chosen, {}, session_->executor().sampler_workspace(0));
      likelihood.log_sum += chosen.logprob;
      likelihood.is_greedy &= row[token] == *std::max_element(row, row + vocab_size);
    }
  }
  return likelihood;
}

}  // namespace midge
