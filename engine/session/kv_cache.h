// Keys and values of one sequence.
#pragma once

#include "engine/core/aligned_buffer.h"
#include "engine/decoder/model.h"
#include "engine/ops/ops.h"

namespace midge {

/// K and V in the layout of KvView, one block of memory each: per layer and KV head, keys as blocks
/// of 16 tokens, values token by token. Tokens may be written in any order and again; beyond the
/// last one that a query sees, nothing is used. Layers are the model's, then its MTP layers if they
/// are asked for.
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
