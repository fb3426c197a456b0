// Which activations of a super-block are taken out of it, and zeros in their place.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/kernel_types.h"

namespace midge {
namespace {

// Normal numbers reach 8 times their mean magnitude (6.4 deviations) once in 6e9.
constexpr float kOutlierRatio = 8.0f;

struct Magnitudes {
  float sum;
  float largest;
};

// Vectors that every machine has. Compilers do not make them of a loop over floats here.
using Floats = float __attribute__((vector_size(16)));
using Bits = int32_t __attribute__((vector_size(16)));
constexpr int kLanes = 4;
constexpr int kVectors = 4;  // running sums that do not wait for each other

// `largest` is only right if the sum is not NaN.
Magnitudes magnitudes(const float* x, int64_t count) {
  Floats sums[kVectors] = {};
  Floats largest[kVectors] = {};
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Bits bits;
      std::memcpy(&bits, x + i + v * kLanes, sizeof(bits));
      const auto magnitude = reinterpret_cast<Floats>(bits & 0x7fffffff);
      sums[v] += magnitude;
      largest[v] = largest[v] > magnitude ? largest[v] : magnitude;
    }
  }
  Magnitudes all = {0, 0};
  for (int v = 0; v < kVectors; ++v) {
    for (int l = 0; l < kLanes; ++l) {
      all.sum += sums[v][l];
      all.largest = std::max(all.largest, largest[v][l]);
    }
  }
  for (; i < count; ++i) {
    all.sum += std::fabs(x[i]);
    all.largest = std::max(all.largest, std::fabs(x[i]));
  }
  return all;
}

}  // namespace

extern "C" void take_outliers_f32_f32_generic(const TakeOutliersArgs* args) {
  float* x = args->x;
  const int64_t count = args->k;
  *args->count = 0;

  const Magnitudes all = magnitudes(x, count);
  const float threshold = all.sum / static_cast<float>(count) * kOutlierRatio;
  if (!(all.largest > threshold)) return;
  int32_t columns[kPanelColumns];
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::fabs(x[i]) > threshold) columns[found++] = static_cast<int32_t>(i);
  }
  if (found > kOutliersMax) {
    std::nth_element(columns, columns + kOutliersMax, columns + found, [x](int32_t i, int32_t j) {
      const float a = std::fabs(x[i]);
      const float b = std::fabs(x[j]);
      return a != b ? a > b : i < j;
    });
    found = kOutliersMax;
    std::sort(columns, columns + found);
  }
  for (int64_t i = 0; i < found; ++i) {
    args->items[i] = {columns[i], x[columns[i]]};
    x[columns[i]] = 0;
  }
  *args->count = static_cast<uint8_t>(found);
}

}  // namespace midge
