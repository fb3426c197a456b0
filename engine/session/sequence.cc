#include "engine/session/sequence.h"

#include <algorithm>

namespace midge {
namespace {

constexpr int64_t kContextDefault = 4096;
constexpr int64_t kBatchRowsMax = 4096;

}  // namespace

Result<int64_t> resolve_context_length(const ModelConfig& config, int64_t context_length) {
  if (context_length == 0) return std::min(kContextDefault, config.context_length);
  if (context_length < 1 || context_length > config.context_length) {
    return make_status(
        StatusCode::kInvalidArgument, "context of %lld tokens, expected 1..%lld for this model",
        static_cast<long long>(context_length), static_cast<long long>(config.context_length));
  }
  return context_length;
}

Result<std::unique_ptr<Sequence>> Sequence::create(const ModelConfig& config,
                                                   const SequenceOptions& requested) {
  SequenceOptions options = requested;
  MIDGE_ASSIGN_OR_RETURN(options.context_length,
                         resolve_context_length(config, requested.context_length));
  if (options.batch_rows < 1 || options.batch_rows > kBatchRowsMax) {
    return make_status(StatusCode::kInvalidArgument, "%lld batch rows, expected 1..%lld",
                       static_cast<long long>(options.batch_rows),
                       static_cast<long long>(kBatchRowsMax));
  }
  if (options.mtp && config.mtp_layer_count == 0) {
    return make_status(StatusCode::kUnsupported, "the model has no MTP layer");
  }
  std::unique_ptr<Sequence> sequence(new Sequence(config, options));
  MIDGE_ASSIGN_OR_RETURN(sequence->kv_,
                         KvCache::create(config, options.kv_type, options.context_length,
                                         options.kv_page_tokens, options.mtp));
  MIDGE_RETURN_IF_ERROR(sequence->kv_.settle(options.residency));
  sequence->tokens_.reserve(static_cast<size_t>(options.context_length));
  sequence->roles_.reserve(static_cast<size_t>(options.context_length));
  return sequence;
}

void Sequence::trim() const { kv_.release_from(std::max(kv_length_, mtp_length_)); }

RopeRegime Sequence::regime_for(int64_t length) const {
  const RopeConfig& rope = config_.rope;
  if (!rope.has_regimes() || options_.rope == RopeMode::kShort) return RopeRegime::kShort;
  if (options_.rope == RopeMode::kLong) return RopeRegime::kLong;
  return length > rope.original_context ? RopeRegime::kLong : RopeRegime::kShort;
}

Status Sequence::append(std::span<const int32_t> tokens, RowRole role) {
  const auto count = static_cast<int64_t>(tokens.size());
  if (count > context_length() - length()) {
    return make_status(StatusCode::kContextFull,
                       "%lld more tokens after %lld, the context holds %lld",
                       static_cast<long long>(count), static_cast<long long>(length()),
                       static_cast<long long>(context_length()));
  }
  const RopeRegime regime = regime_for(length() + count);
  if (regime != regime_) {
    regime_ = regime;
    kv_length_ = 0;
    mtp_length_ = 0;
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  roles_.resize(tokens_.size(), role);
  return Status();
}

void Sequence::take_back(int64_t first) {
  tokens_.resize(static_cast<size_t>(first));
  roles_.resize(tokens_.size());
  // The cache stays valid for what was computed before.
  kv_length_ = std::min(kv_length_, first);
}

Sequence::Run Sequence::next_run(int64_t border) const {
  Run run = {kv_length_, kv_length_, RowRole::kPrompt};
  if (run.begin == length()) return run;
  run.role = roles_[static_cast<size_t>(run.begin)];
  const int64_t limit =
      std::min(run.begin < border ? border : length(), run.begin + options_.batch_rows);
  while (run.end < limit && roles_[static_cast<size_t>(run.end)] == run.role) ++run.end;
  return run;
}

Segment Sequence::segment(int64_t first_row, int64_t begin, int64_t rows, RowRole role) const {
  return {.first_row = first_row,
          .rows = rows,
          .position = begin,
          .kv = kv_.table(),
          .role = role,
          .regime = regime_};
}

Status Sequence::truncate(int64_t new_length) {
  if (new_length < 0 || new_length > length()) {
    return make_status(StatusCode::kOutOfRange, "truncation to %lld tokens, expected 0..%lld",
                       static_cast<long long>(new_length), static_cast<long long>(length()));
  }
  if (new_length < length()) {
    // The MTP layer's row of the last token that stays was made with the token after it.
    mtp_length_ = std::min(mtp_length_, std::max<int64_t>(new_length - 1, 0));
  }
  take_back(new_length);
  return Status();
}

}  // namespace midge
