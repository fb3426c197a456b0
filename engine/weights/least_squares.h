// Scales and minimums of blocks by least squared error.
//
// An error counts with the weight of its column: what the column's activations are worth (the mean
// of their squares), or one. Sums are taken in eight lanes, in a fixed order, so that every machine
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

/// The best q = 0..highest of x[32] for scale * q + minimum.
void nearest_steps(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q);

/// The best q = lowest..highest, within int8, of x[32] in steps of 1 / inverse.
void nearest_multiples(const float* x, float inverse, int lowest, int highest, int8_t* q);

/// Blocks that are fitted side by side, as each alone waits for its own sums.
inline constexpr int kFitLanes = 8;

/// Eight blocks to fit, as in FitInput; those that are not there are zeros.
struct FitBlocks {
  alignas(64) float x[kFitBlock][kFitLanes];
  float weight[kFitBlock][kFitLanes];

  /// Takes `count` blocks of x and weight [32 * count].
  FitBlocks(const FitInput& from, int count);
};

/// A line for each of eight blocks: scale * q + minimum, q = 0..highest.
struct FitLines {
  float scale[kFitLanes];
  float minimum[kFitLanes];

  ScaleAndMinimum of(int block) const { return {scale[block], minimum[block]}; }
};

/// minimum_max: minimums are at most that, 0 or infinity.
void fit_ranges(const FitBlocks& blocks, int highest, float minimum_max, FitLines* out);

/// Whole numbers 0..63 for each of eight blocks.
struct WholeLines {
  int scale[kFitLanes];
  int minimum[kFitLanes];
};

/// The lines in units: scale_unit * scale * q - minimum_unit * minimum. Both of a line are rounded
/// together: of the whole numbers next to them, the pair with the least error is taken.
void round_lines(const FitBlocks& blocks, const FitLines& lines, float scale_unit,
                 float minimum_unit, int highest, WholeLines* out);

}  // namespace midge
