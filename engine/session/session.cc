#include "engine/session/session.h"

#include <algorithm>

#include "engine/decoder/limits.h"

namespace midge {
namespace {

constexpr int64_t kContextDefault = 4096;
constexpr int64_t kBatchRowsMax = 4096;

}  // namespace

Result<std::unique_ptr<Session>> Session::create(Executor& executor,
                                                 const SessionOptions& requested) {
  const ModelConfig& config = executor.model().config();
  const int64_t memory = default_memory(executor.model().storage().file_bytes());
  SessionOptions options = requested;
  if (options.kv_type != Encoding::kF16 && options.kv_type != Encoding::kF32) {
    return make_status(StatusCode::kInvalidArgument, "KV cache of %s, expected f16 or f32",
                       encoding_info(options.kv_type).name);
  }
  if (options.context_length == 0) {
    options.context_length =
        context_within(config, options.kv_type, options.mtp,
                       std::min(kContextDefault, config.context_length), memory);
  }
  if (options.context_length < 1 || options.context_length > config.context_length) {
    return make_status(StatusCode::kInvalidArgument,
                       "context of %lld tokens, expected 1..%lld for this model",
                       static_cast<long long>(options.context_length),
                       static_cast<long long>(config.context_length));
  }
  if (options.batch_rows < 1 || options.batch_rows > kBatchRowsMax) {
    return make_status(StatusCode::kInvalidArgument, "%lld batch rows, expected 1..%lld",
                       static_cast<long long>(options.batch_rows),
                       static_cast<long long>(kBatchRowsMax));
  }
  if (options.mtp && config.mtp_layer_count == 0) {
    return make_status(StatusCode::kUnsupported, "the model has no MTP layer");
  }
  options.batch_rows =
      batch_rows_within(config, std::min(options.batch_rows, options.context_length), memory);

  std::unique_ptr<Session> session(new Session(executor, options));
  MIDGE_ASSIGN_OR_RETURN(
      session->kv_, KvCache::create(config, options.kv_type, options.context_length, options.mtp));
  MIDGE_ASSIGN_OR_RETURN(
      session->scratch_,
      DecoderScratch::create(executor.engine(), options.batch_rows, options.context_length));
  session->tokens_.reserve(static_cast<size_t>(options.context_length));
  session->roles_.reserve(static_cast<size_t>(options.context_length));
  session->rows_of_pass_.resize(static_cast<size_t>(options.batch_rows));
  return session;
}

RopeRegime Session::regime_for(int64_t length) const {
  const RopeConfig& rope = model().config().rope;
  if (!rope.has_regimes() || options_.rope == RopeMode::kShort) return RopeRegime::kShort;
  if (options_.rope == RopeMode::kLong) return RopeRegime::kLong;
  return length > rope.original_context ? RopeRegime::kLong : RopeRegime::kShort;
}

Status Session::check_step(std::span<const int32_t> tokens, const StepOutputs& outputs) const {
  if (tokens.empty()) return make_status(StatusCode::kOutOfRange, "a step of no tokens");
  const int64_t vocab_size = model().config().vocab_size;
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return make_status(StatusCode::kOutOfRange, "token id %d, expected 0..%lld", token,
                         static_cast<long long>(vocab_size - 1));
    }
  }
  if (!outputs.logits_rows.empty() && outputs.logits == nullptr) {
    return make_status(StatusCode::kInvalidArgument, "logits are asked for without a place");
  }
  int64_t previous = -1;
  for (const int32_t row : outputs.logits_rows) {
    if (row <= previous || row >= static_cast<int64_t>(tokens.size())) {
      return make_status(StatusCode::kOutOfRange,
                         "logits of row %d, expected ascending rows below %zu", row, tokens.size());
    }
    previous = row;
  }
  return Status();
}

Status Session::step(std::span<const int32_t> tokens, const StepOutputs& outputs, RowRole role) {
  MIDGE_RETURN_IF_ERROR(check_step(tokens, outputs));
  const int64_t first = length();
  const auto count = static_cast<int64_t>(tokens.size());
  if (count > context_length() - first) {
    return make_status(StatusCode::kContextFull,
                       "%lld more tokens after %lld, the context holds %lld",
                       static_cast<long long>(count), static_cast<long long>(first),
                       static_cast<long long>(context_length()));
  }
  const RopeRegime regime = regime_for(first + count);
  if (regime != regime_) {
    regime_ = regime;
    kv_length_ = 0;
    mtp_length_ = 0;
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  roles_.resize(tokens_.size(), role);
  Status status = run_pending(first, outputs);
  if (!status.ok()) {
    // The cache stays valid for what was computed; the tokens are as if never given.
    tokens_.resize(static_cast<size_t>(first));
    roles_.resize(tokens_.size());
    kv_length_ = std::min(kv_length_, first);
  }
  return status;
}

DecoderOutputs Session::outputs_of_pass(const StepOutputs& outputs, int64_t first, int64_t start,
                                        int64_t end, size_t* next_logits) {
  const ModelConfig& config = model().config();
  DecoderOutputs pass;
  const size_t first_logits = *next_logits;
  while (*next_logits < outputs.logits_rows.size() &&
         first + outputs.logits_rows[*next_logits] < end) {
    rows_of_pass_[*next_logits - first_logits] =
        static_cast<int32_t>(first + outputs.logits_rows[*next_logits] - start);
    ++*next_logits;
  }
  pass.logits_rows = {rows_of_pass_.data(), *next_logits - first_logits};
  pass.logits = outputs.logits + static_cast<int64_t>(first_logits) * config.vocab_size;
  // Passes never straddle `first`, so one that starts there or later is all new rows.
  if (start >= first && outputs.hidden != nullptr) {
    pass.hidden = outputs.hidden + (start - first) * config.hidden_size;
  }
  if (start >= first && outputs.hidden_normed != nullptr) {
    pass.hidden_normed = outputs.hidden_normed + (start - first) * config.hidden_size;
  }
  return pass;
}

Status Session::run_pending(int64_t first, const StepOutputs& outputs) {
  size_t next_logits = 0;
  while (kv_length_ < length()) {
    const int64_t start = kv_length_;
    const int64_t limit = std::min(start < first ? first : length(), start + options_.batch_rows);
    const RowRole role = roles_[static_cast<size_t>(start)];
    int64_t end = start + 1;
    while (end < limit && roles_[static_cast<size_t>(end)] == role) ++end;
    const Segment segment = {0, end - start, start, kv_.view()};
    const Batch batch = {{tokens_.data() + start, static_cast<size_t>(end - start)},
                         {&segment, 1},
                         regime_,
                         role,
                         cancel_};
    if (!decoder_forward(executor_.engine(), batch,
                         outputs_of_pass(outputs, first, start, end, &next_logits), scratch_)) {
      return make_status(StatusCode::kCancelled, "cancelled");
    }
    kv_length_ = end;
  }
  return Status();
}

Status Session::truncate(int64_t new_length) {
  if (new_length < 0 || new_length > length()) {
    return make_status(StatusCode::kOutOfRange, "truncation to %lld tokens, expected 0..%lld",
                       static_cast<long long>(new_length), static_cast<long long>(length()));
  }
  if (new_length < length()) {
    // The MTP layer's row of the last token that stays was made with the token after it.
    mtp_length_ = std::min(mtp_length_, std::max<int64_t>(new_length - 1, 0));
  }
  tokens_.resize(static_cast<size_t>(new_length));
  roles_.resize(tokens_.size());
  kv_length_ = std::min(kv_length_, new_length);
  return Status();
}

void Session::project(const float* hidden_normed, int64_t rows, float* logits) {
  project_to_logits(executor_.engine(), hidden_normed, rows, logits, scratch_);
}

Status Session::mtp_step(std::span<const int32_t> next_tokens, const float* hidden, bool mask_first,
                         const StepOutputs& outputs) {
  if (!options_.mtp) {
    return make_status(StatusCode::kUnsupported, "the session was created without MTP");
  }
  MIDGE_RETURN_IF_ERROR(check_step(next_tokens, outputs));
  if (hidden == nullptr) {
    return make_status(StatusCode::kInvalidArgument, "MTP positions without hidden states");
  }
  const int64_t first = mtp_length_;
  const int64_t last = first + static_cast<int64_t>(next_tokens.size());
  if (last > length()) {
    return make_status(StatusCode::kOutOfRange,
                       "MTP positions up to %lld, the sequence has %lld tokens",
                       static_cast<long long>(last), static_cast<long long>(length()));
  }
  size_t next_logits = 0;
  for (int64_t start = first; start < last;) {
    const int64_t end = std::min(last, start + options_.batch_rows);
    const Segment segment = {0, end - start, start, kv_.view()};
    const Batch batch = {
        next_tokens.subspan(static_cast<size_t>(start - first), static_cast<size_t>(end - start)),
        {&segment, 1},
        regime_,
        RowRole::kGenerated,
        cancel_};
    if (!mtp_forward(executor_.engine(), batch,
                     hidden + (start - first) * model().config().hidden_size, mask_first,
                     outputs_of_pass(outputs, first, start, end, &next_logits), scratch_)) {
      return make_status(StatusCode::kCancelled, "cancelled");
    }
    start = end;
  }
  mtp_length_ = last;
  return Status();
}

}  // namespace midge
