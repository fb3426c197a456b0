// The order of f32 sums, which is part of the specification: 16 running sums, sum l taking the
// elements i with i % 16 == l in ascending order, one rounding for the product and one for the sum;
// then sum l takes sum l + 8, l + 4, l + 2, l + 1. Sixteen lanes fit every vector width.
#pragma once

#include <cstdint>

namespace midge::generic {

inline constexpr int64_t kLanes = 16;

/// sums[l] += a[i] * b[i] for i = 0..count-1; element 0 belongs to lane 0.
inline void dot_accumulate(const float* a, const float* b, int64_t count, float* sums) {
  // Apart from what a and b point to: clang does not vectorise the loop otherwise.
  float lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = sums[l];
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (int64_t l = 0; l < kLanes; ++l) sums[l] = lanes[l];
  for (int64_t l = 0; i + l < count; ++l) sums[l] += a[i + l] * b[i + l];
}

/// The total of the lanes. Overwrites them.
inline float dot_finish(float* sums) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) sums[l] += sums[l + half];
  }
  return sums[0];
}

}  // namespace midge::generic
