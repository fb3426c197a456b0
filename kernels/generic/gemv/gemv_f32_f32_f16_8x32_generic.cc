#include <cmath>

#include "kernels/half.h"
#include "kernels/kernel_types.h"

// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend): every sum takes its products in order of k, one
// fused multiply-add each.
namespace midge {

extern "C" void gemv_f32_f32_f16_8x32_generic(const GemvArgs* args) {
  for (int64_t i = 0; i < args->m; ++i) {
    const auto* lhs =
        reinterpret_cast<const float*>(static_cast<const char*>(args->lhs) + i * args->lhs_stride);
    auto* out = reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + i * args->out_stride);
    const auto* addend = reinterpret_cast<const float*>(
        reinterpret_cast<const char*>(args->addend) + i * args->addend_stride);
    for (int64_t j = 0; j < args->n; ++j) {
      const auto* tile = static_cast<const UnitF16*>(args->rhs) + j / kTileRows * args->k;
      float sum = 0.0f;
      for (int64_t c = 0; c < args->k; ++c) {
        sum = std::fmaf(f16_to_f32(tile[c].values[j % kTileRows]), lhs[c], sum);
      }
      out[j] = args->addend == nullptr ? sum : sum + addend[j];
    }
  }
}

}  // namespace midge
