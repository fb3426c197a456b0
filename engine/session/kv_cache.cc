#include "engine/session/kv_cache.h"

#include <algorithm>

namespace midge {

namespace {

Result<KvLayout> layout_of(const ModelConfig& config, KvType type, int64_t capacity,
                           int64_t page_tokens, bool with_mtp) {
  if (page_tokens < 0 || page_tokens % kAttnStep != 0) {
    return make_status(StatusCode::kInvalidArgument,
                       "KV pages of %lld tokens, expected a multiple of %lld",
                       static_cast<long long>(page_tokens), static_cast<long long>(kAttnStep));
  }
  KvLayout layout;
  layout.type = type;
  layout.page_tokens = page_tokens > 0 ? page_tokens : round_up(capacity, kAttnStep);
  layout.layers = config.layer_count + (with_mtp ? config.mtp_layer_count : 0);
  layout.kv_heads = config.kv_head_count;
  layout.head_dim = config.head_dim;
  return layout;
}

}  // namespace

Result<int64_t> KvCache::bytes_for(const ModelConfig& config, KvType type, int64_t capacity,
                                   int64_t page_tokens, bool with_mtp) {
  MIDGE_ASSIGN_OR_RETURN(const KvLayout layout,
                         layout_of(config, type, capacity, page_tokens, with_mtp));
  return ceil_div(capacity, layout.page_tokens) * layout.page_bytes();
}

Result<KvCache> KvCache::create(const ModelConfig& config, KvType type, int64_t capacity,
                                int64_t page_tokens, bool with_mtp) {
  KvCache cache;
  MIDGE_ASSIGN_OR_RETURN(cache.layout_, layout_of(config, type, capacity, page_tokens, with_mtp));
  const KvLayout& layout = cache.layout_;
  const int64_t pages = ceil_div(capacity, layout.page_tokens);
  MIDGE_ASSIGN_OR_RETURN(cache.buffer_,
                         AlignedBuffer::create(pages * layout.page_bytes(), "the KV cache"));
  for (int64_t i = 0; i < pages; ++i) {
    cache.pages_.push_back(cache.buffer_.data() + i * layout.page_bytes());
  }
  return cache;
}

void KvCache::release_from(int64_t first) const {
  for (size_t i = 0; i < pages_.size(); ++i) {
    const int64_t page = pages_[i] - buffer_.data();
    const int64_t used = std::clamp<int64_t>(first - static_cast<int64_t>(i) * layout_.page_tokens,
                                             0, layout_.page_tokens);
    if (used == 0) {
      buffer_.release(page, page + layout_.page_bytes());
      continue;
    }
    const int64_t keys = round_up(used, kKeyBlock) * layout_.row_bytes();
    const int64_t values = used * layout_.row_bytes();
    for (int64_t layer = 0; layer < layout_.layers; ++layer) {
      for (int64_t head = 0; head < layout_.kv_heads; ++head) {
        const int64_t key_half = page + layout_.keys_offset(layer, head);
        const int64_t value_half = page + layout_.values_offset(layer, head);
        buffer_.release(key_half + keys, key_half + layout_.half_bytes());
        buffer_.release(value_half + values, value_half + layout_.half_bytes());
      }
    }
  }
}

}  // namespace midge
