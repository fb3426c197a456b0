// Where the keys and values of a sequence lie: a table of pages.
#pragma once

#include <cstdint>

#include "engine/core/checked_math.h"
#include "kernels/kernel_types.h"

namespace midge {

/// How a cache stores keys and values. Not an encoding of weights: types to come keep scales beside
/// the elements.
enum class KvType : uint8_t { kF16, kF32 };

/// The encoding of the elements, by which kernels are chosen.
inline constexpr Encoding kv_elements(KvType type) {
  return type == KvType::kF16 ? Encoding::kF16 : Encoding::kF32;
}

/// "f16", "f32".
inline constexpr const char* kv_type_name(KvType type) {
  return encoding_info(kv_elements(type)).name;
}

/// What a page holds: page_tokens consecutive tokens of one sequence, all layers and KV heads of
/// them, as [layers][kv_heads]{ keys [page_tokens / kKeyBlock][head_dim][kKeyBlock],
/// values [page_tokens][head_dim] }. What belongs to a head lies together, so that a decoded token
/// reads a page of a head as one stream.
struct KvLayout {
  KvType type = KvType::kF16;
  int64_t page_tokens = 0;  ///< a multiple of kAttnStep
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;

  int64_t element_bytes() const { return encoding_info(kv_elements(type)).block_bytes; }
  /// Bytes of a token's key or value of one head.
  int64_t row_bytes() const { return head_dim * element_bytes(); }
  /// Bytes of the keys, or of the values, of a head: a multiple of 64.
  int64_t half_bytes() const { return page_tokens * row_bytes(); }
  int64_t page_bytes() const { return layers * kv_heads * 2 * half_bytes(); }
  int64_t keys_offset(int64_t layer, int64_t kv_head) const {
    return (layer * kv_heads + kv_head) * 2 * half_bytes();
  }
  int64_t values_offset(int64_t layer, int64_t kv_head) const {
    return keys_offset(layer, kv_head) + half_bytes();
  }

  /// visit(offset, used, bytes) for each part of a page: its offset, its bytes, and how many of
  /// these, from its beginning, the page's first `tokens` tokens use.
  template <typename Visit>
  void visit_used(int64_t tokens, const Visit& visit) const {
    for (int64_t layer = 0; layer < layers; ++layer) {
      for (int64_t head = 0; head < kv_heads; ++head) {
        visit(keys_offset(layer, head), round_up(tokens, kKeyBlock) * row_bytes(), half_bytes());
        visit(values_offset(layer, head), tokens * row_bytes(), half_bytes());
      }
    }
  }
};

/// The pages of one sequence. Token t lies in page t / page_tokens. Pages are aligned to 64.
struct KvTable {
  const KvLayout* layout = nullptr;
  uint8_t* const* pages = nullptr;  ///< [page_count]
  int64_t page_count = 0;
};

}  // namespace midge
