#include "engine/ops/kv_store.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/core/check.h"
#include "engine/ops/hadamard.h"
#include "kernels/call.h"
#include "kernels/generic/quantize.h"

namespace midge {
namespace {

constexpr int64_t kPiece = 64;  // elements converted at a time

// key[i] to block[i * kKeyBlock], i = 0..count-1.
template <typename Element>
void scatter_key(const void* key, int64_t count, void* block) {
  const auto* in = static_cast<const Element*>(key);
  auto* out = static_cast<Element*>(block);
  for (int64_t i = 0; i < count; ++i) out[i * kKeyBlock] = in[i];
}

void store_float_key(const OpContext& context, Encoding type, const float* key, int64_t head_dim,
                     int64_t token, uint8_t* keys) {
  alignas(64) uint8_t piece[kPiece * sizeof(float)];
  const int64_t size = encoding_info(type).block_bytes;
  uint8_t* out = keys + (token / kKeyBlock * head_dim * kKeyBlock + token % kKeyBlock) * size;
  for (int64_t d = 0; d < head_dim; d += kPiece) {
    const int64_t count = std::min(kPiece, head_dim - d);
    const ConvertArgs args = {count, key + d, piece};
    call_kernel(context.kernels->convert[static_cast<int>(type)], args);
    const auto scatter = size == 2 ? scatter_key<uint16_t> : scatter_key<uint32_t>;
    scatter(piece, count, out + d * kKeyBlock * size);
  }
}

// in[count] as int8 with one scale, in pieces of at most kPiece: emit(i, values, n) gets those from
// i on. Numbers of a piece have been read when it is emitted, so that it may go where they were.
template <typename Emit>
float quantize_row(const float* in, int64_t count, const Emit& emit) {
  const generic::QuantizeScale s =
      generic::quantize_scale(generic::largest_magnitude_bits(in, count));
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t n = std::min(kPiece, count - first);
    int8_t values[kPiece];
    if (s.inverse == 0.0f) {
      std::fill_n(values, n, int8_t{0});
    } else {
      for (int64_t i = 0; i < n; ++i) {
        values[i] = generic::quantize_value(in[first + i], s.inverse);
      }
    }
    emit(first, values, n);
  }
  return s.scale;
}

float* scale_at(uint8_t* page, int64_t offset, int64_t token) {
  return reinterpret_cast<float*>(page + offset) + token;
}

void store_quantized_key(const KvLayout& kv, const float* key, int64_t token, uint8_t* page,
                         int64_t layer, int64_t kv_head) {
  uint8_t* block = page + kv.keys_offset(layer, kv_head) +
                   token / kKeyBlock * kv.key_bytes() * kKeyBlock + token % kKeyBlock * kKeyGroup;
  // Zeros behind the last dimension.
  const int64_t last = (kv.key_bytes() - kKeyGroup) * kKeyBlock;
  std::memset(block + last, 0, kKeyGroup);
  const float scale =
      quantize_row(key, kv.head_dim, [&](int64_t first, const int8_t* values, int64_t n) {
        for (int64_t i = 0; i < n; i += kKeyGroup) {
          const auto count = static_cast<size_t>(std::min(kKeyGroup, n - i));
          std::memcpy(block + (first + i) * kKeyBlock, values + i, count);
        }
      });
  *scale_at(page, kv.key_scales_offset(layer, kv_head), token) = scale;
}

// in[count], count <= kValueBlock, as 4 bits: the value of the largest magnitude is -8.
float quantize_block_of_4_bits(const float* in, int64_t count, uint8_t* pairs) {
  constexpr int64_t kHalf = kValueBlock / 2;
  const uint32_t bits = generic::largest_magnitude_bits(in, count);
  const generic::QuantizeScale s = generic::quantize_scale(bits);
  uint8_t nibbles[kValueBlock];
  std::fill_n(nibbles, kValueBlock, uint8_t{8});
  float scale = s.scale;
  if (s.inverse != 0.0f) {
    const float* largest =
        std::find_if(in, in + count, [&](float x) { return generic::magnitude_bits(x) == bits; });
    scale = *largest / -8.0f;
    const float inverse = 1.0f / scale;
    for (int64_t i = 0; i < count; ++i) {
      const float value = std::nearbyint(in[i] * inverse) + 8.0f;
      nibbles[i] = static_cast<uint8_t>(std::clamp(value, 0.0f, 15.0f));
    }
  }
  for (int64_t i = 0; i < kHalf; ++i) {
    pairs[i] = static_cast<uint8_t>(nibbles[i] | nibbles[kHalf + i] << 4);
  }
  return scale;
}

void store_quantized_value(const KvLayout& kv, const float* value, int64_t token, uint8_t* page,
                           int64_t layer, int64_t kv_head) {
  uint8_t* values = page + kv.values_offset(layer, kv_head);
  const int64_t scales = kv.value_scales_offset(layer, kv_head);
  if (kv.type == KvType::kInt8) {
    *scale_at(page, scales, token) =
        quantize_row(value, kv.head_dim, [&](int64_t first, const int8_t* piece, int64_t n) {
          uint8_t* pair = values + token / 2 * 2 * kv.value_bytes() + 2 * first + token % 2;
          for (int64_t i = 0; i < n; ++i) pair[2 * i] = static_cast<uint8_t>(piece[i]);
        });
    return;
  }
  uint8_t* row = values + token * kv.value_bytes();
  for (int64_t block = 0; block < kv.value_scales(); ++block) {
    const int64_t first = block * kValueBlock;
    *scale_at(page, scales + block * kv.scales_stride(), token) = quantize_block_of_4_bits(
        value + first, std::min(kValueBlock, kv.head_dim - first), row + first / 2);
  }
}

}  // namespace

void store_key_value(const OpContext& context, const KvLayout& kv, uint8_t* page, int64_t layer,
                     int64_t kv_head, int64_t token, float* key, float* value) {
  if (kv.type == KvType::kK8V4) {
    hadamard(key, kv.head_dim);
    hadamard(value, kv.head_dim);
  }
  if (is_quantized(kv.type)) {
    store_quantized_key(kv, key, token, page, layer, kv_head);
    store_quantized_value(kv, value, token, page, layer, kv_head);
    return;
  }
  const Encoding type = kv_elements(kv.type);
  store_float_key(context, type, key, kv.head_dim, token, page + kv.keys_offset(layer, kv_head));
  const ConvertArgs args = {kv.head_dim, value,
                            page + kv.values_offset(layer, kv_head) + token * kv.value_bytes()};
  call_kernel(context.kernels->convert[static_cast<int>(type)], args);
}

void prepare_query(const KvLayout& kv, float* q) {
  if (!is_quantized(kv.type)) return;
  MIDGE_DCHECK(kv.head_dim >= kQuantizedHeadMin, "heads of %lld",
               static_cast<long long>(kv.head_dim));
  if (kv.type == KvType::kK8V4) hadamard(q, kv.head_dim);
  // The bytes go where the floats were. What they overwrite has been read: byte 8 + i lies before
  // float i + kPiece, and the head of the struct before the first piece.
  auto* bytes = reinterpret_cast<uint8_t*>(q) + sizeof(QuantizedQuery);
  QuantizedQuery head = {0, 0};
  head.scale = quantize_row(q, kv.head_dim, [&](int64_t first, const int8_t* values, int64_t n) {
    for (int64_t i = 0; i < n; ++i) head.sum += values[i];
    std::memcpy(bytes + first, values, static_cast<size_t>(n));
  });
  std::memset(bytes + kv.head_dim, 0, static_cast<size_t>(kv.key_bytes() - kv.head_dim));
  std::memcpy(q, &head, sizeof(head));
}

}  // namespace midge
