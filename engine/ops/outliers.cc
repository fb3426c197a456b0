#include "engine/ops/outliers.h"

#include <algorithm>
#include <cmath>

#include "kernels/generic/packed_units.h"

namespace midge {
namespace {

// Normal numbers reach 8 times their mean magnitude (6.4 deviations) once in 6e9.
constexpr float kOutlierRatio = 8.0f;

template <typename Reader>
void decode(const uint8_t* units, int64_t column, float* out) {
  constexpr int64_t kElements = 32 * Reader::kBlocks;
  const auto& unit = reinterpret_cast<const typename Reader::Unit*>(units)[column / kElements];
  const auto block = static_cast<int>(column / 32 % Reader::kBlocks);
  for (int row = 0; row < kTileRows; ++row) {
    out[row] = Reader::scale(unit, block, row) *
               static_cast<float>(Reader::weight(unit, block, row, static_cast<int>(column % 32)));
  }
}

template <typename Reader>
void decode_s256(const uint8_t* units, int64_t column, float* out) {
  const auto& unit = *reinterpret_cast<const typename Reader::Unit*>(units);
  for (int row = 0; row < kTileRows; ++row) {
    out[row] = generic::packed_value<Reader>(unit, row, static_cast<int>(column));
  }
}

}  // namespace

void take_outliers(float* x, int64_t count, Outliers* out) {
  out->count = 0;
  // Sixteen running sums, so that the compiler may use vectors.
  float sums[16] = {};
  float largest[16] = {};
  for (int64_t i = 0; i < count; i += 16) {
    const int64_t lanes = std::min<int64_t>(16, count - i);
    for (int64_t l = 0; l < lanes; ++l) {
      const float magnitude = std::fabs(x[i + l]);
      sums[l] += magnitude;
      largest[l] = magnitude > largest[l] ? magnitude : largest[l];
    }
  }
  float sum = 0;
  for (const float part : sums) sum += part;
  const float threshold = sum / static_cast<float>(count) * kOutlierRatio;
  if (!(*std::max_element(largest, largest + 16) > threshold)) return;
  while (out->count < Outliers::kMax) {
    int64_t at = 0;
    for (int64_t i = 1; i < count; ++i) {
      if (std::fabs(x[i]) > std::fabs(x[at])) at = i;
    }
    if (!(std::fabs(x[at]) > threshold)) return;
    out->items[out->count++] = {static_cast<int32_t>(at), x[at]};
    x[at] = 0;
  }
}

void decode_column(Encoding encoding, const uint8_t* units, int64_t column, float* out) {
  switch (encoding) {
    case Encoding::kQ4B32: return decode<generic::ReadQ4B32>(units, column, out);
    case Encoding::kQ4B32S256: return decode<generic::ReadQ4B32S256>(units, column, out);
    case Encoding::kQ4B32MS256: return decode_s256<generic::ReadQ4B32MS256>(units, column, out);
    case Encoding::kQ5B32MS256: return decode_s256<generic::ReadQ5B32MS256>(units, column, out);
    case Encoding::kQ6B16S256: return decode_s256<generic::ReadQ6B16S256>(units, column, out);
    default: return decode<generic::ReadQ8B32>(units, column, out);
  }
}

}  // namespace midge
