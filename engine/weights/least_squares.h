// Scales and minimums of blocks by least squared error.
//
// An error counts with the weight of its column: what the column's activations are worth (the mean
// of their squares), or one. Sums are taken in eight lanes in a fixed order, so that every machine
// finds the same scales.
#pragma once

#include <cstdint>

namespace midge {

/// Weights in a block that has scales of its own.
inline constexpr int kFitBlock = 32;

/// 1 / scale; 0 for a scale of zero.
inline float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

/// Adding it and taking it away again rounds a small number, with vectors of any machine: 1.5 *
/// 2^23.
inline constexpr float kRoundsFloat = 12582912.0f;

/// The whole number next to v within lowest..highest, which are small; halves go to the even one. A
/// NaN becomes lowest.
inline float round_within(float v, float lowest, float highest) {
  v = v > lowest ? v : lowest;
  v = v < highest ? v : highest;
  return (v + kRoundsFloat) - kRoundsFloat;
}

/// The weight of x[32] with the largest magnitude, with its sign; NaN if there is one.
float extreme(const float* x);

/// A block to fit. Where nothing can be fitted (no weight counts, numbers out of range) the scale
/// is the one that takes the largest magnitude into the range.
struct FitInput {
  const float* x;       // [32]
  const float* weight;  // [32], >= 0
};

/// scale * q, q = lowest..highest; lowest < 0 < highest. Returns the scale, of either sign.
float fit_scale(const FitInput& block, int lowest, int highest);

struct ScaleAndMinimum {
  float scale = 0;    ///< >= 0
  float minimum = 0;  ///< of scale * q + minimum
};

/// scale * q + minimum, q = 0..highest. minimum_max: the minimum is at most that, 0 or infinity.
ScaleAndMinimum fit_range(const FitInput& block, int highest, float minimum_max);

/// The best q = 0..highest of x[32] for scale * q + minimum.
void nearest_steps(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q);

/// The sum of weight * (x - (scale * q + minimum))^2 with the best q = 0..highest of each.
float range_error(const FitInput& block, ScaleAndMinimum fit, int highest);
/// The same of several, which takes hardly longer than of one.
inline constexpr int kErrorsAtOnce = 3;
void range_errors(const FitInput& block, const ScaleAndMinimum (&fits)[kErrorsAtOnce], int highest,
                  float (&errors)[kErrorsAtOnce]);

}  // namespace midge
