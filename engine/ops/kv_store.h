// Writes keys and values of tokens into pages, and queries as a cache wants them.
#pragma once

#include "engine/ops/ops.h"

namespace midge {

/// Stores key and value [head_dim] of a token of a page, for one layer and KV head. May change
/// both.
void store_key_value(const OpContext& context, const KvLayout& kv, uint8_t* page, int64_t layer,
                     int64_t kv_head, int64_t token, float* key, float* value);

/// Makes of q[head_dim] what attention over this cache reads: itself, or a QuantizedQuery in its
/// place.
void prepare_query(const KvLayout& kv, float* q);

}  // namespace midge
