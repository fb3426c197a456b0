// Keys and values of one sequence.
#pragma once

#include "engine/core/aligned_buffer.h"
#include "engine/ops/ops.h"
#include "models/model.h"

namespace midge {

/// K and V as [layer, kv_head, token, head_dim], one block each, so that a head's keys are
/// contiguous over tokens. Layers are the model's, then its MTP layers if they are asked for.
class KvCache {
 public:
  /// type: kF16 or kF32. capacity: tokens. Errors: out_of_memory.
  static Result<KvCache> create(const ModelConfig& config, Encoding type, int64_t capacity,
                                bool with_mtp);

  KvView view() const { return view_; }
  int64_t bytes() const { return buffer_.bytes(); }

 private:
  AlignedBuffer buffer_;
  KvView view_;
};

}  // namespace midge
