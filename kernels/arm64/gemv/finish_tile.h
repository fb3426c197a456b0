// How the gemv kernels of this architecture end a tile. Static inline: objects of an ISA level
// define no shared symbols.
#pragma once

#include <arm_neon.h>

#include "kernels/kernel_types.h"

namespace midge::arm64 {

/// Rows of `args` that lie `bytes` apart.
template <typename T>
static inline T* row_of(T* first, int64_t index, int64_t stride) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(first) +
                              static_cast<uintptr_t>(index * stride));
}

/// out[row, column..] = sums[32] (+ addend), as far as the matrix has columns.
static inline void finish_tile(const GemvArgs* args, int64_t row, int64_t column,
                               const float* sums) {
  float* out = row_of(args->out, row, args->out_stride) + column;
  const float* addend =
      args->addend == nullptr ? nullptr : row_of(args->addend, row, args->addend_stride) + column;
  const int64_t count = args->n - column < kTileRows ? args->n - column : kTileRows;
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    float32x4_t sum = vld1q_f32(sums + j);
    if (addend != nullptr) sum = vaddq_f32(sum, vld1q_f32(addend + j));
    vst1q_f32(out + j, sum);
  }
  for (; j < count; ++j) out[j] = addend == nullptr ? sums[j] : sums[j] + addend[j];
}

}  // namespace midge::arm64
