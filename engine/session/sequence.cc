#include "engine/session/sequence.h"

#include <algorithm>

#include "engine/core/check.h"

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

Result<KvPoolOptions> own_pages(const ModelConfig& config, const SequenceOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const int64_t context,
                         resolve_context_length(config, options.context_length));
  KvPoolOptions pool;
  pool.type = options.kv_type;
  pool.page_tokens =
      options.kv_page_tokens == 0 ? round_up(context, kAttnStep) : options.kv_page_tokens;
  pool.pages = pool.page_tokens > 0 ? ceil_div(context, pool.page_tokens) : 1;
  pool.with_mtp = options.mtp;
  return pool;
}

Result<std::unique_ptr<Sequence>> Sequence::create(const ModelConfig& config,
                                                   const SequenceOptions& options) {
  if (options.mtp && config.mtp_layer_count == 0) {
    return make_status(StatusCode::kUnsupported, "the model has no MTP layer");
  }
  MIDGE_ASSIGN_OR_RETURN(const KvPoolOptions pages, own_pages(config, options));
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<KvPool> pool, KvPool::create(config, pages));
  MIDGE_RETURN_IF_ERROR(pool->settle(options.residency));
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Sequence> sequence, create(config, options, *pool));
  sequence->own_pool_ = std::move(pool);
  return sequence;
}

Result<std::unique_ptr<Sequence>> Sequence::create(const ModelConfig& config,
                                                   const SequenceOptions& requested, KvPool& pool) {
  SequenceOptions options = requested;
  MIDGE_ASSIGN_OR_RETURN(options.context_length,
                         resolve_context_length(config, requested.context_length));
  if (options.batch_rows < 1 || options.batch_rows > kBatchRowsMax) {
    return make_status(StatusCode::kInvalidArgument, "%lld batch rows, expected 1..%lld",
                       static_cast<long long>(options.batch_rows),
                       static_cast<long long>(kBatchRowsMax));
  }
  std::unique_ptr<Sequence> sequence(new Sequence(config, options));
  sequence->pool_ = &pool;
  sequence->tokens_.reserve(static_cast<size_t>(options.context_length));
  sequence->roles_.reserve(static_cast<size_t>(options.context_length));
  const int64_t pages = ceil_div(options.context_length, pool.layout().page_tokens);
  sequence->page_ids_.reserve(static_cast<size_t>(pages));
  sequence->pages_.reserve(static_cast<size_t>(pages));
  return sequence;
}

Sequence::~Sequence() { drop_pages(0); }

Status Sequence::copy_from(const Sequence& other) {
  if (length() > 0 || pool_ != other.pool_ || options_.rope != other.options_.rope) {
    return make_status(StatusCode::kInvalidArgument,
                       "a copy into a sequence of %lld tokens, expected an empty one of the same "
                       "pool and rope mode",
                       static_cast<long long>(length()));
  }
  MIDGE_RETURN_IF_ERROR(check_room(other.tokens_));
  for (const int32_t id : other.page_ids_) {
    pool_->share(id);
    put_page(id);
  }
  tokens_.insert(tokens_.end(), other.tokens_.begin(), other.tokens_.end());
  roles_.insert(roles_.end(), other.roles_.begin(), other.roles_.end());
  kv_length_ = other.kv_length_;
  regime_ = other.regime_;
  mtp_ = other.mtp_;
  expected_ = other.expected_;
  return Status();
}

int64_t Sequence::kv_bytes() const {
  if (own_pool_ != nullptr) return own_pool_->bytes();
  return static_cast<int64_t>(page_ids_.size()) * pool_->layout().page_bytes();
}

void Sequence::put_page(int32_t id) {
  page_ids_.push_back(id);
  pages_.push_back(pool_->page(id));
}

// Gives the pages back that tokens from `length` on would be in.
void Sequence::drop_pages(int64_t length) {
  const auto keep = static_cast<size_t>(ceil_div(length, pool_->layout().page_tokens));
  while (page_ids_.size() > keep) {
    pool_->give_back(page_ids_.back());
    page_ids_.pop_back();
    pages_.pop_back();
  }
}

Status Sequence::no_pages(int64_t missing) const {
  return make_status(StatusCode::kNoPages, "%lld more KV pages, %lld of %lld are free",
                     static_cast<long long>(missing), static_cast<long long>(pool_->free_count()),
                     static_cast<long long>(pool_->page_count()));
}

int64_t Sequence::missing_pages(int64_t begin, int64_t end) const {
  const int64_t page_tokens = pool_->layout().page_tokens;
  const auto count = static_cast<size_t>(ceil_div(end, page_tokens));
  int64_t missing = 0;
  for (auto i = static_cast<size_t>(begin / page_tokens); i < count; ++i) {
    if (i >= page_ids_.size() || pool_->holders(page_ids_[i]) > 1) ++missing;
  }
  return missing;
}

Status Sequence::hold_alone(int64_t begin, int64_t end, int64_t used) {
  const int64_t page_tokens = pool_->layout().page_tokens;
  const auto first = static_cast<size_t>(begin / page_tokens);
  const auto count = static_cast<size_t>(ceil_div(end, page_tokens));
  const int64_t missing = missing_pages(begin, end);
  if (missing > pool_->free_count()) return no_pages(missing);
  for (size_t i = first; i < count; ++i) {
    if (i >= page_ids_.size()) {
      put_page(pool_->take());
    } else if (pool_->holders(page_ids_[i]) > 1) {
      const int32_t id = pool_->take();
      const int64_t kept = used - static_cast<int64_t>(i) * page_tokens;
      pool_->copy(page_ids_[i], id, std::clamp<int64_t>(kept, 0, page_tokens));
      pool_->give_back(page_ids_[i]);
      page_ids_[i] = id;
      pages_[i] = pool_->page(id);
    }
  }
  return Status();
}

void Sequence::trim() const {
  const int64_t used = std::max(kv_length_, mtp_.length);
  const int64_t page_tokens = pool_->layout().page_tokens;
  for (size_t i = 0; i < page_ids_.size(); ++i) {
    if (pool_->holders(page_ids_[i]) > 1) continue;
    pool_->release_from(
        page_ids_[i],
        std::clamp<int64_t>(used - static_cast<int64_t>(i) * page_tokens, 0, page_tokens));
  }
  if (own_pool_ != nullptr) own_pool_->release_free();
}

RopeRegime Sequence::regime_for(int64_t length) const {
  const RopeConfig& rope = config_.rope;
  if (!rope.has_regimes() || options_.rope == RopeMode::kShort) return RopeRegime::kShort;
  if (options_.rope == RopeMode::kLong) return RopeRegime::kLong;
  return std::max(length, expected_) > rope.original_context ? RopeRegime::kLong
                                                             : RopeRegime::kShort;
}

int64_t Sequence::room_after(int64_t length) const {
  const int64_t border = config_.rope.original_context;
  const bool may_change = regime_for(length) != regime_for(context_length());
  return (may_change ? std::min(border, context_length()) : context_length()) - length;
}

void Sequence::expect_length(int64_t length) {
  MIDGE_DCHECK(tokens_.empty(), "a sequence of %zu tokens", tokens_.size());
  expected_ = length;
  regime_ = regime_for(0);
}

void Sequence::take_over(int32_t page, std::span<const int32_t> tokens,
                         std::span<const RowRole> roles, int64_t mtp_begin) {
  MIDGE_DCHECK(kv_length_ == length() && length() % pool_->layout().page_tokens == 0,
               "a page after %lld tokens", static_cast<long long>(length()));
  put_page(page);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  roles_.insert(roles_.end(), roles.begin(), roles.end());
  mtp_.take_over(mtp_begin, kv_length_, length());
  kv_length_ = length();
}

void Sequence::forget() {
  drop_pages(0);
  kv_length_ = 0;
  mtp_ = {};
}

Status Sequence::check_room(std::span<const int32_t> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  if (count > context_length() - length()) {
    return make_status(StatusCode::kContextFull,
                       "%lld more tokens after %lld, the context holds %lld",
                       static_cast<long long>(count), static_cast<long long>(length()),
                       static_cast<long long>(context_length()));
  }
  return Status();
}

Status Sequence::append(std::span<const int32_t> tokens, RowRole role) {
  MIDGE_RETURN_IF_ERROR(check_room(tokens));
  const int64_t end = length() + static_cast<int64_t>(tokens.size());
  if (regime_for(end) == regime_) {
    MIDGE_RETURN_IF_ERROR(hold_alone(kv_length_, end, kv_length_));
    return give(tokens, role);
  }
  // Its pages go, those that nobody shares to the free ones.
  const int64_t missing = ceil_div(end, pool_->layout().page_tokens) -
                          std::count_if(page_ids_.begin(), page_ids_.end(),
                                        [this](int32_t id) { return pool_->holders(id) == 1; });
  if (missing > pool_->free_count()) return no_pages(missing);
  MIDGE_RETURN_IF_ERROR(give(tokens, role));
  return hold_alone(0, end, 0);
}

Status Sequence::give(std::span<const int32_t> tokens, RowRole role) {
  MIDGE_RETURN_IF_ERROR(check_room(tokens));
  const RopeRegime regime = regime_for(length() + static_cast<int64_t>(tokens.size()));
  if (regime != regime_) {  // with the other factors all of it is read again
    regime_ = regime;
    forget();
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
  drop_pages(first);
  // The MTP layer's row of the last token that stays was made with the token after it.
  if (mtp_.length > std::max<int64_t>(first - 1, 0)) {
    mtp_.length = std::max<int64_t>(first - 1, 0);
    if (mtp_.length < mtp_.begin) restart_mtp(first);
  }
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
          .kv = {&pool_->layout(), pages_.data(), static_cast<int64_t>(pages_.size())},
          .role = role,
          .regime = regime_};
}

// Rope knows distances alone, so positions may count from the layer's beginning.
Segment Sequence::mtp_segment(int64_t first_row, int64_t begin, int64_t rows, RowRole role) const {
  MIDGE_DCHECK(begin >= mtp_.begin, "position %lld", static_cast<long long>(begin));
  Segment segment = this->segment(first_row, begin, rows, role);
  const int64_t skipped = mtp_.begin / pool_->layout().page_tokens;
  segment.position -= mtp_.begin;
  segment.kv.pages += skipped;
  segment.kv.page_count -= skipped;
  return segment;
}

void Sequence::restart_mtp(int64_t position) {
  mtp_.begin = round_up(position, pool_->layout().page_tokens);
  mtp_.length = mtp_.begin;
}

Status Sequence::truncate(int64_t new_length) {
  if (new_length < 0 || new_length > length()) {
    return make_status(StatusCode::kOutOfRange, "truncation to %lld tokens, expected 0..%lld",
                       static_cast<long long>(new_length), static_cast<long long>(length()));
  }
  if (new_length < length()) {
    expected_ = 0;
    take_back(new_length);
  }
  return Status();
}

}  // namespace midge
