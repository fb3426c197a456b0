// softmax(scale * q . K^T) * V for one query head: the specification of attention.
//
// Template parameter: a decoder of decode_block.h, for the type of K and V.
// Scores are sums in f32 as ordered by dot.h. The softmax subtracts the maximum, adds the weights
// in position order and divides once at the end; the output adds weight * V in position order.
#pragma once

#include <cstdint>

#include "kernels/generic/decode_block.h"
#include "kernels/generic/dot.h"
#include "kernels/generic/exp_f32.h"
#include "kernels/kernel_types.h"

namespace midge::generic {

template <typename Decode>
void attn_f32_f32(const AttnArgs* args) {
  constexpr int64_t kPiece = 256;  // elements of a head decoded at a time, on the stack
  float piece[kPiece];
  float maximum = -__builtin_inff();
  for (int64_t t = 0; t < args->length; ++t) {
    const void* k = static_cast<const char*>(args->k) + t * args->k_stride;
    float sums[kLanes] = {};
    for (int64_t d = 0; d < args->head_dim; d += kPiece) {
      const int64_t count = args->head_dim - d < kPiece ? args->head_dim - d : kPiece;
      Decode::run(k, d, count, piece);
      dot_accumulate(args->q + d, piece, count, sums);
    }
    const float score = dot_finish(sums) * args->scale;
    args->scores[t] = score;
    maximum = score > maximum ? score : maximum;
  }
  float total = 0.0f;
  for (int64_t t = 0; t < args->length; ++t) {
    args->scores[t] = exp_f32(args->scores[t] - maximum);
    total += args->scores[t];
  }
  for (int64_t d = 0; d < args->head_dim; d += kPiece) {
    const int64_t count = args->head_dim - d < kPiece ? args->head_dim - d : kPiece;
    float sums[kPiece] = {};
    for (int64_t t = 0; t < args->length; ++t) {
      Decode::run(static_cast<const char*>(args->v) + t * args->v_stride, d, count, piece);
      const float weight = args->scores[t];
      for (int64_t i = 0; i < count; ++i) sums[i] += weight * piece[i];
    }
    for (int64_t i = 0; i < count; ++i) args->out[d + i] = sums[i] / total;
  }
}

}  // namespace midge::generic
