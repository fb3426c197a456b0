#include "engine/ops/hadamard.h"

#include <cmath>

namespace midge {

void hadamard(float* x, int64_t count) {
  const int64_t n = count & -count;
  for (int64_t half = 1; half < n; half *= 2) {
    for (int64_t first = 0; first < count; first += 2 * half) {
      float* low = x + first;
      float* high = low + half;
      for (int64_t i = 0; i < half; ++i) {
        const float sum = low[i] + high[i];
        high[i] = low[i] - high[i];
        low[i] = sum;
      }
    }
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  for (int64_t i = 0; i < count; ++i) x[i] *= scale;
}

}  // namespace midge
