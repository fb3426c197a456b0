#include "engine/session/kv_pool.h"

#include <cstring>

#include "engine/core/check.h"

namespace midge {
namespace {

Result<KvLayout> layout_of(const ModelConfig& config, const KvPoolOptions& options) {
  if (options.page_tokens < 1 || options.page_tokens % kAttnStep != 0) {
    return make_status(
        StatusCode::kInvalidArgument, "KV pages of %lld tokens, expected a multiple of %lld",
        static_cast<long long>(options.page_tokens), static_cast<long long>(kAttnStep));
  }
  KvLayout layout;
  layout.type = options.type;
  layout.page_tokens = options.page_tokens;
  layout.layers = config.layer_count + (options.with_mtp ? config.mtp_layer_count : 0);
  layout.kv_heads = config.kv_head_count;
  layout.head_dim = config.head_dim;
  return layout;
}

// visit(keys, key_bytes, values, value_bytes) for each layer and head: offsets in a page, and what
// the first `tokens` tokens have there. Keys lie in blocks of kKeyBlock tokens.
template <typename Visit>
void visit_used(const KvLayout& layout, int64_t tokens, const Visit& visit) {
  const int64_t key_bytes = round_up(tokens, kKeyBlock) * layout.row_bytes();
  const int64_t value_bytes = tokens * layout.row_bytes();
  for (int64_t layer = 0; layer < layout.layers; ++layer) {
    for (int64_t head = 0; head < layout.kv_heads; ++head) {
      visit(layout.keys_offset(layer, head), key_bytes, layout.values_offset(layer, head),
            value_bytes);
    }
  }
}

}  // namespace

Result<int64_t> KvPool::bytes_for(const ModelConfig& config, const KvPoolOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const KvLayout layout, layout_of(config, options));
  return options.pages * layout.page_bytes();
}

Result<std::unique_ptr<KvPool>> KvPool::create(const ModelConfig& config,
                                               const KvPoolOptions& options) {
  std::unique_ptr<KvPool> pool(new KvPool());
  MIDGE_ASSIGN_OR_RETURN(pool->layout_, layout_of(config, options));
  MIDGE_ASSIGN_OR_RETURN(
      pool->buffer_,
      AlignedBuffer::create(options.pages * pool->layout_.page_bytes(), "the KV cache"));
  pool->holders_.resize(static_cast<size_t>(options.pages));
  // The first page is taken first.
  for (int64_t id = options.pages; id-- > 0;) pool->free_.push_back(static_cast<int32_t>(id));
  return pool;
}

int32_t KvPool::take() {
  MIDGE_DCHECK(!free_.empty(), "no free page");
  const int32_t id = free_.back();
  free_.pop_back();
  holders_[static_cast<size_t>(id)] = 1;
  return id;
}

void KvPool::give_back(int32_t id) {
  int32_t& holders = holders_[static_cast<size_t>(id)];
  MIDGE_DCHECK(holders > 0, "page %d is free already", id);
  if (--holders == 0) free_.push_back(id);  // there is room: it was there before
}

void KvPool::copy(int32_t from, int32_t to, int64_t tokens) const {
  visit_used(layout_, tokens, [&](int64_t keys, int64_t key_bytes, int64_t values, int64_t bytes) {
    std::memcpy(page(to) + keys, page(from) + keys, static_cast<size_t>(key_bytes));
    std::memcpy(page(to) + values, page(from) + values, static_cast<size_t>(bytes));
  });
}

void KvPool::release_from(int32_t id, int64_t tokens) const {
  const int64_t begin = id * layout_.page_bytes();
  if (tokens == 0) return buffer_.release(begin, begin + layout_.page_bytes());
  const int64_t half = layout_.half_bytes();
  visit_used(layout_, tokens, [&](int64_t keys, int64_t key_bytes, int64_t values, int64_t bytes) {
    buffer_.release(begin + keys + key_bytes, begin + keys + half);
    buffer_.release(begin + values + bytes, begin + values + half);
  });
}

void KvPool::release_free() const {
  for (const int32_t id : free_) release_from(id, 0);
}

}  // namespace midge
