#include "engine/session/kv_cache.h"

#include "engine/core/checked_math.h"

namespace midge {

Result<KvCache> KvCache::create(const ModelConfig& config, Encoding type, int64_t capacity,
                                bool with_mtp) {
  const int64_t layers = config.layer_count + (with_mtp ? config.mtp_layer_count : 0);
  KvCache cache;
  KvView& view = cache.view_;
  view.type = type;
  view.head_stride =
      round_up(capacity, kKeyBlock) * config.head_dim * encoding_info(type).block_bytes;
  view.layer_stride = config.kv_head_count * view.head_stride;
  const int64_t half = layers * view.layer_stride;
  MIDGE_ASSIGN_OR_RETURN(cache.buffer_, AlignedBuffer::create(2 * half, "the KV cache"));
  view.k = cache.buffer_.data();
  view.v = cache.buffer_.data() + half;
  return cache;
}

}  // namespace midge
