// Keys and values of one sequence.
#pragma once

#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/decoder/model.h"
#include "engine/ops/kv_pages.h"

namespace midge {

/// Pages for a sequence of up to `capacity` tokens, all taken at creation. Tokens may be written in
/// any order and again; beyond the last one that a query sees, nothing is used. Layers are the
/// model's, then its MTP layers if they are asked for. Movable; tables point into it.
class KvCache {
 public:
  /// capacity: tokens, at least 1. page_tokens: a multiple of kAttnStep, or 0: one page holds all.
  /// Errors: out_of_memory, invalid_argument (page_tokens).
  static Result<KvCache> create(const ModelConfig& config, KvType type, int64_t capacity,
                                int64_t page_tokens, bool with_mtp);

  /// What create() takes. Errors: invalid_argument (page_tokens).
  static Result<int64_t> bytes_for(const ModelConfig& config, KvType type, int64_t capacity,
                                   int64_t page_tokens, bool with_mtp);
  /// Errors: those of AlignedBuffer::settle.
  Status settle(Residency residency) const { return buffer_.settle(residency, "the KV cache"); }
  /// Gives the memory of tokens from `first` on back, see AlignedBuffer::release.
  void release_from(int64_t first) const;

  /// Valid as long as the cache is not moved.
  KvTable table() const { return {&layout_, pages_.data(), static_cast<int64_t>(pages_.size())}; }
  int64_t bytes() const { return buffer_.bytes(); }

 private:
  AlignedBuffer buffer_;
  KvLayout layout_;
  std::vector<uint8_t*> pages_;
};

}  // namespace midge
