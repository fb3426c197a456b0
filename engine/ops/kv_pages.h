// Where the keys and values of a sequence lie: a table of pages.
#pragma once

#include <cstdint>

#include "engine/core/checked_math.h"
#include "kernels/kernel_types.h"

namespace midge {

/// How a cache stores keys and values. Not an encoding of weights.
enum class KvType : uint8_t {
  kF16,
  kF32,
  kInt8,  ///< int8, a scale for each token's key and value of a head
  kK8V4,  ///< keys as kInt8; values of 4 bits, a scale for each 32 of them; all turned (hadamard.h)
};

inline constexpr bool is_quantized(KvType type) {
  return type == KvType::kInt8 || type == KvType::kK8V4;
}

/// The encoding of the elements of a type that is not quantised, by which kernels are chosen.
inline constexpr Encoding kv_elements(KvType type) {
  return type == KvType::kF16 ? Encoding::kF16 : Encoding::kF32;
}

/// "f16", "f32", "int8", "k8v4".
inline constexpr const char* kv_type_name(KvType type) {
  switch (type) {
    case KvType::kInt8: return "int8";
    case KvType::kK8V4: return "k8v4";
    default: return encoding_info(kv_elements(type)).name;
  }
}

/// The smallest head of a quantised cache: a query is quantised where its floats were.
inline constexpr int64_t kQuantizedHeadMin = 4;

/// What a page holds: page_tokens consecutive tokens of one sequence, all layers and KV heads of
/// them. What belongs to a head lies together, so that a decoded token reads a page of a head as
/// one stream: keys [page_tokens / kKeyBlock][head_dim][kKeyBlock], values [page_tokens][head_dim].
/// Of a quantised type (kernel_types.h) keys, their scales [page_tokens], values, their scales
/// [blocks of values][page_tokens].
struct KvLayout {
  KvType type = KvType::kF16;
  int64_t page_tokens = 0;  ///< a multiple of kAttnStep
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;

  /// Bytes of a token's key of one head.
  int64_t key_bytes() const {
    return is_quantized(type) ? round_up(head_dim, kKeyGroup) : float_row_bytes();
  }
  /// Of its value.
  int64_t value_bytes() const {
    switch (type) {
      case KvType::kInt8: return head_dim;
      case KvType::kK8V4: return ceil_div(head_dim, kValueBlock) * kValueBlock / 2;
      default: return float_row_bytes();
    }
  }
  /// Scales of a token's key, and of its value, of one head.
  int64_t key_scales() const { return is_quantized(type) ? 1 : 0; }
  int64_t value_scales() const {
    if (type == KvType::kK8V4) return ceil_div(head_dim, kValueBlock);
    return key_scales();
  }
  /// Bytes from a scale of a token to the next one of the same token.
  int64_t scales_stride() const { return page_tokens * kScaleBytes; }
  int64_t token_bytes() const {
    return key_bytes() + value_bytes() + (key_scales() + value_scales()) * kScaleBytes;
  }
  int64_t page_bytes() const { return layers * kv_heads * head_bytes(); }
  // All offsets are multiples of 64, because page_tokens is.
  int64_t keys_offset(int64_t layer, int64_t kv_head) const {
    return (layer * kv_heads + kv_head) * head_bytes();
  }
  int64_t key_scales_offset(int64_t layer, int64_t kv_head) const {
    return keys_offset(layer, kv_head) + page_tokens * key_bytes();
  }
  int64_t values_offset(int64_t layer, int64_t kv_head) const {
    return key_scales_offset(layer, kv_head) + key_scales() * scales_stride();
  }
  int64_t value_scales_offset(int64_t layer, int64_t kv_head) const {
    return values_offset(layer, kv_head) + page_tokens * value_bytes();
  }

  /// visit(offset, used, bytes) for each part of a page: its offset, its bytes, and how many of
  /// these, from its beginning, the page's first `tokens` tokens use.
  template <typename Visit>
  void visit_used(int64_t tokens, const Visit& visit) const {
    const int64_t scales = tokens * kScaleBytes;
    for (int64_t layer = 0; layer < layers; ++layer) {
      for (int64_t head = 0; head < kv_heads; ++head) {
        visit(keys_offset(layer, head), round_up(tokens, kKeyBlock) * key_bytes(),
              page_tokens * key_bytes());
        for (int64_t i = 0; i < key_scales(); ++i) {
          visit(key_scales_offset(layer, head), scales, scales_stride());
        }
        visit(values_offset(layer, head), used_value_bytes(tokens), page_tokens * value_bytes());
        for (int64_t i = 0; i < value_scales(); ++i) {
          visit(value_scales_offset(layer, head) + i * scales_stride(), scales, scales_stride());
        }
      }
    }
  }

 private:
  static constexpr int64_t kScaleBytes = sizeof(float);
  int64_t float_row_bytes() const {
    return head_dim * encoding_info(kv_elements(type)).block_bytes;
  }
  int64_t head_bytes() const { return page_tokens * token_bytes(); }
  // Int8 values lie by pairs of tokens.
  int64_t used_value_bytes(int64_t tokens) const {
    return (type == KvType::kInt8 ? round_up(tokens, int64_t{2}) : tokens) * value_bytes();
  }
};

/// The pages of one sequence. Token t lies in page t / page_tokens. Pages are aligned to 64.
struct KvTable {
  const KvLayout* layout = nullptr;
  uint8_t* const* pages = nullptr;  ///< [page_count]
  int64_t page_count = 0;
};

}  // namespace midge
