#include "engine/weights/least_squares.h"

#include <cmath>
#include <initializer_list>

namespace midge {
namespace {

constexpr int kLanes = 8;

// Eight running sums, joined in a fixed tree.
struct Sum {
  float lane[kLanes] = {};

  float total() const {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }
};

// The whole number next to v within lowest..highest, which are small; halves go to the even one. A
// NaN becomes lowest. Adding the constant rounds, with vectors of any machine.
float rounded(float v, float lowest, float highest) {
  constexpr float kRounds = 12582912.0f;  // 1.5 * 2^23
  v = v > lowest ? v : lowest;
  v = v < highest ? v : highest;
  return (v + kRounds) - kRounds;
}

// Of the range that takes in all weights, these are tried: narrower ones cut the farthest weights
// off and are finer for the others.
constexpr float kRanges[] = {1.10f, 1.05f, 1.00f, 0.95f, 0.90f, 0.85f, 0.80f, 0.75f, 0.70f};

}  // namespace

float extreme(const float* x) {
  float found = 0.0f;
  for (int i = 0; i < kFitBlock && !std::isnan(found); ++i) {
    if (!(std::fabs(x[i]) <= std::fabs(found))) found = x[i];
  }
  return found;
}

float fit_scale(const FitInput& block, int lowest, int highest) {
  const auto low = static_cast<float>(lowest);
  const auto high = static_cast<float>(highest);
  const float far = extreme(block.x);
  float best = far / low;
  float best_score = 0;  // by how much the error is less than with a scale of zero
  for (const float end : {low, high}) {
    for (const float range : kRanges) {
      const float inverse = inverse_of(far * range / end);
      Sum products;
      Sum squares;
      for (int i = 0; i < kFitBlock; i += kLanes) {
        for (int j = 0; j < kLanes; ++j) {
          const float x = block.x[i + j];
          const float q = rounded(x * inverse, low, high);
          const float weighted = block.weight[i + j] * q;
          products.lane[j] += weighted * x;
          squares.lane[j] += weighted * q;
        }
      }
      const float scale = products.total() / squares.total();
      const float score = products.total() * scale;
      if (score > best_score && std::isfinite(score)) {
        best_score = score;
        best = scale;
      }
    }
  }
  return best;
}

ScaleAndMinimum fit_range(const FitInput& block, int highest, float minimum_max) {
  const auto high = static_cast<float>(highest);
  float least = block.x[0];
  float most = block.x[0];
  for (int i = 1; i < kFitBlock && !std::isnan(least); ++i) {
    if (!(block.x[i] >= least)) least = block.x[i];
    if (!(block.x[i] <= most)) most = block.x[i];
  }
  if (least > minimum_max) least = minimum_max;
  if (most < least) most = least;
  ScaleAndMinimum best = {(most - least) / high, least};
  float best_score = -INFINITY;  // by how much the error is less than with nothing
  for (const float range : kRanges) {
    const float middle = 0.5f * (least + most);
    float scale = (most - least) * range / high;
    float minimum = middle - 0.5f * high * scale;
    if (minimum > minimum_max) minimum = minimum_max;
    for (int round = 0; round < 2; ++round) {
      const float inverse = inverse_of(scale);
      Sum w;
      Sum wq;
      Sum wqq;
      Sum wx;
      Sum wqx;
      for (int i = 0; i < kFitBlock; i += kLanes) {
        for (int j = 0; j < kLanes; ++j) {
          const float x = block.x[i + j];
          const float weight = block.weight[i + j];
          const float q = rounded((x - minimum) * inverse, 0.0f, high);
          w.lane[j] += weight;
          wx.lane[j] += weight * x;
          wq.lane[j] += weight * q;
          wqq.lane[j] += weight * q * q;
          wqx.lane[j] += weight * q * x;
        }
      }
      // The line through (q, x) with the least error, in f64: the differences are small.
      const double sw = static_cast<double>(w.total());
      const double sq = static_cast<double>(wq.total());
      const double sqq = static_cast<double>(wqq.total());
      const double sx = static_cast<double>(wx.total());
      const double sqx = static_cast<double>(wqx.total());
      const double determinant = sw * sqq - sq * sq;
      if (!(determinant > 0)) break;
      double line_scale = (sw * sqx - sq * sx) / determinant;
      double line_minimum = (sqq * sx - sq * sqx) / determinant;
      if (line_minimum > static_cast<double>(minimum_max)) {
        line_minimum = static_cast<double>(minimum_max);
        line_scale = (sqx - line_minimum * sq) / sqq;
      }
      if (!(line_scale > 0)) break;
      scale = static_cast<float>(line_scale);
      minimum = static_cast<float>(line_minimum);
      const double score = 2 * (line_scale * sqx + line_minimum * sx) -
                           line_scale * line_scale * sqq - line_minimum * line_minimum * sw -
                           2 * line_scale * line_minimum * sq;
      if (static_cast<float>(score) > best_score && std::isfinite(score)) {
        best_score = static_cast<float>(score);
        best = {scale, minimum};
      }
    }
  }
  return best;
}

float range_error(const FitInput& block, ScaleAndMinimum fit, int highest) {
  const auto high = static_cast<float>(highest);
  const float inverse = inverse_of(fit.scale);
  Sum errors;
  for (int i = 0; i < kFitBlock; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      const float x = block.x[i + j];
      const float q = rounded((x - fit.minimum) * inverse, 0.0f, high);
      const float error = x - (fit.scale * q + fit.minimum);
      errors.lane[j] += block.weight[i + j] * error * error;
    }
  }
  return errors.total();
}

}  // namespace midge
