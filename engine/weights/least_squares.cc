#include "engine/weights/least_squares.h"

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <iterator>

namespace midge {
namespace {

// Functions with vectors as arguments are all inlined: how they would be passed does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

// The body of a function that is compiled for several instruction sets.
#define MIDGE_BODY [[gnu::always_inline]] inline

constexpr int kLanes = 8;

// Eight numbers: two vectors of 128 bits, or one of 256.
using Lanes [[gnu::vector_size(4 * kLanes)]] = float;
using HalfLanes [[gnu::vector_size(2 * kLanes)]] = float;

MIDGE_BODY Lanes load(const float* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof(lanes));
  return lanes;
}

// Joined in a fixed tree.
MIDGE_BODY float total(const Lanes& lanes) {
  const HalfLanes low = {lanes[0], lanes[1], lanes[2], lanes[3]};
  const HalfLanes high = {lanes[4], lanes[5], lanes[6], lanes[7]};
  const HalfLanes sum = low + high;
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

// round_within for each.
MIDGE_BODY Lanes rounded(Lanes v, float lowest, float highest) {
  const Lanes least = Lanes{} + lowest;
  const Lanes most = Lanes{} + highest;
  v = v > least ? v : least;
  v = v < most ? v : most;
  return (v + kRoundsFloat) - kRoundsFloat;
}

// Of the range that takes in all weights, these are tried: narrower ones cut the farthest weights
// off and are finer for the others.
constexpr float kScaleRanges[] = {1.10f, 1.05f, 1.00f, 0.95f, 0.90f, 0.85f, 0.80f, 0.75f, 0.70f};
// With a minimum four are enough, as the steps are then chosen anew for the line that was found, as
// long as that helps and so often: nine ranges have 0.2 % less error and take twice as long.
constexpr float kLineRanges[] = {1.05f, 1.00f, 0.95f, 0.85f};
constexpr int kRefinements = 3;

MIDGE_BODY float fit_scale_body(const FitInput& block, int lowest, int highest) {
  const auto low = static_cast<float>(lowest);
  const auto high = static_cast<float>(highest);
  const float far = extreme(block.x);
  float best = far / low;
  float best_score = 0;  // by how much the error is less than with a scale of zero
  for (const float end : {low, high}) {
    for (const float range : kScaleRanges) {
      const float inverse = inverse_of(far * range / end);
      Lanes products = {};
      Lanes squares = {};
      for (int i = 0; i < kFitBlock; i += kLanes) {
        const Lanes x = load(block.x + i);
        const Lanes q = rounded(x * inverse, low, high);
        const Lanes weighted = load(block.weight + i) * q;
        products += weighted * x;
        squares += weighted * q;
      }
      const float scale = total(products) / total(squares);
      const float score = total(products) * scale;
      if (score > best_score && std::isfinite(score)) {
        best_score = score;
        best = scale;
      }
    }
  }
  return best;
}

// What does not depend on the steps q.
struct BlockSums {
  double w = 0;
  double wx = 0;
};

// A line through (q, x), and by how much its error is less than with nothing; -infinity: no line.
struct ScoredLine {
  ScaleAndMinimum line;
  float score = -INFINITY;
};

MIDGE_BODY BlockSums sums_of(const FitInput& block) {
  Lanes w = {};
  Lanes wx = {};
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes weight = load(block.weight + i);
    w += weight;
    wx += weight * load(block.x + i);
  }
  return {static_cast<double>(total(w)), static_cast<double>(total(wx))};
}

struct Range {
  float least;
  float most;
};

MIDGE_BODY Range range_of(const FitInput& block) {
  Lanes least = load(block.x);
  Lanes most = least;
  for (int i = kLanes; i < kFitBlock; i += kLanes) {
    const Lanes x = load(block.x + i);
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  Range range = {least[0], most[0]};
  for (int j = 1; j < kLanes; ++j) {
    range.least = least[j] < range.least ? least[j] : range.least;
    range.most = most[j] > range.most ? most[j] : range.most;
  }
  return range;
}

// Sums over the steps q of a block.
struct StepSums {
  Lanes wq = {};
  Lanes wqq = {};
  Lanes wqx = {};
};

// The sums for the steps that suit each of `count` lines; side by side, as each alone waits for its
// own additions.
template <int count>
MIDGE_BODY void add_steps(const FitInput& block, const ScaleAndMinimum (&from)[count], float high,
                          StepSums (&sums)[count]) {
  float inverse[count];
  for (int j = 0; j < count; ++j) inverse[j] = inverse_of(from[j].scale);
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes x = load(block.x + i);
    const Lanes weight = load(block.weight + i);
    for (int j = 0; j < count; ++j) {
      const Lanes q = rounded((x - from[j].minimum) * inverse[j], 0.0f, high);
      const Lanes weighted = weight * q;
      sums[j].wq += weighted;
      sums[j].wqq += weighted * q;
      sums[j].wqx += weighted * x;
    }
  }
}

// The line of the least error for these steps, in f64: the differences are small.
MIDGE_BODY ScoredLine line_of(const BlockSums& sums, const StepSums& steps, float minimum_max) {
  const auto sq = static_cast<double>(total(steps.wq));
  const auto sqq = static_cast<double>(total(steps.wqq));
  const auto sqx = static_cast<double>(total(steps.wqx));
  const auto limit = static_cast<double>(minimum_max);
  const double determinant = sums.w * sqq - sq * sq;
  if (!(determinant > 0)) return {};
  const double inverse_determinant = 1 / determinant;
  double scale = (sums.w * sqx - sq * sums.wx) * inverse_determinant;
  double minimum = (sqq * sums.wx - sq * sqx) * inverse_determinant;
  if (minimum > limit) {
    minimum = limit;
    scale = (sqx - minimum * sq) / sqq;
  }
  if (!(scale > 0)) return {};
  const double score = 2 * (scale * sqx + minimum * sums.wx) - scale * scale * sqq -
                       minimum * minimum * sums.w - 2 * scale * minimum * sq;
  if (!std::isfinite(score)) return {};
  return {{static_cast<float>(scale), static_cast<float>(minimum)}, static_cast<float>(score)};
}

MIDGE_BODY ScaleAndMinimum fit_range_body(const FitInput& block, int highest, float minimum_max) {
  const auto high = static_cast<float>(highest);
  const BlockSums sums = sums_of(block);
  auto [least, most] = range_of(block);
  // A product with what is not finite is no number, and so is a sum with it.
  if (!std::isfinite(sums.wx)) least = most = static_cast<float>(sums.wx);
  if (least > minimum_max) least = minimum_max;
  if (most < least) most = least;
  ScoredLine best;
  static_assert(std::size(kLineRanges) % 2 == 0);
  for (size_t r = 0; r < std::size(kLineRanges); r += 2) {
    ScaleAndMinimum from[2];
    for (size_t j = 0; j < 2; ++j) {
      const float scale = (most - least) * kLineRanges[r + j] / high;
      const float centred = 0.5f * (least + most) - 0.5f * high * scale;
      from[j] = {scale, centred > minimum_max ? minimum_max : centred};
    }
    StepSums steps[2];
    add_steps(block, from, high, steps);
    for (const StepSums& step : steps) {
      const ScoredLine line = line_of(sums, step, minimum_max);
      if (line.score > best.score) best = line;
    }
  }
  if (best.score == -INFINITY) return {(most - least) / high, least};
  for (int i = 0; i < kRefinements; ++i) {
    const ScaleAndMinimum from[1] = {best.line};
    StepSums steps[1];
    add_steps(block, from, high, steps);
    const ScoredLine line = line_of(sums, steps[0], minimum_max);
    if (!(line.score > best.score)) break;
    best = line;
  }
  return best.line;
}

template <int count>
MIDGE_BODY void range_errors_body(const FitInput& block, const ScaleAndMinimum (&fits)[count],
                                  int highest, float (&errors)[count]) {
  const auto high = static_cast<float>(highest);
  float inverse[count];
  for (int j = 0; j < count; ++j) inverse[j] = inverse_of(fits[j].scale);
  Lanes sums[count] = {};
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes x = load(block.x + i);
    const Lanes weight = load(block.weight + i);
    for (int j = 0; j < count; ++j) {
      const Lanes q = rounded((x - fits[j].minimum) * inverse[j], 0.0f, high);
      const Lanes error = x - (fits[j].scale * q + fits[j].minimum);
      sums[j] += weight * error * error;
    }
  }
  for (int j = 0; j < count; ++j) errors[j] = total(sums[j]);
}

MIDGE_BODY void nearest_steps_body(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q) {
  const float inverse = inverse_of(fit.scale);
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes steps =
        rounded((load(x + i) - fit.minimum) * inverse, 0.0f, static_cast<float>(highest));
    for (int j = 0; j < kLanes; ++j) q[i + j] = static_cast<uint8_t>(steps[j]);
  }
}

}  // namespace

float extreme(const float* x) {
  float found = 0.0f;
  for (int i = 0; i < kFitBlock && !std::isnan(found); ++i) {
    if (!(std::fabs(x[i]) <= std::fabs(found))) found = x[i];
  }
  return found;
}

// The same bodies for other vectors. Lanes and their order are written out: the bits are the same.
#ifdef __x86_64__
namespace {

#define MIDGE_FOR_AVX2 [[gnu::target("avx2")]]
MIDGE_FOR_AVX2 float fit_scale_avx2(const FitInput& block, int lowest, int highest) {
  return fit_scale_body(block, lowest, highest);
}
MIDGE_FOR_AVX2 ScaleAndMinimum fit_range_avx2(const FitInput& block, int highest,
                                              float minimum_max) {
  return fit_range_body(block, highest, minimum_max);
}
MIDGE_FOR_AVX2 void range_errors_avx2(const FitInput& block,
                                      const ScaleAndMinimum (&fits)[kErrorsAtOnce], int highest,
                                      float (&errors)[kErrorsAtOnce]) {
  range_errors_body(block, fits, highest, errors);
}
MIDGE_FOR_AVX2 void nearest_steps_avx2(const float* x, ScaleAndMinimum fit, int highest,
                                       uint8_t* q) {
  nearest_steps_body(x, fit, highest, q);
}

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;

}  // namespace
#define MIDGE_CHOOSE(function, ...) \
  return kHasAvx2 ? function##_avx2(__VA_ARGS__) : function##_body(__VA_ARGS__)
#else
#define MIDGE_CHOOSE(function, ...) return function##_body(__VA_ARGS__)
#endif

float fit_scale(const FitInput& block, int lowest, int highest) {
  MIDGE_CHOOSE(fit_scale, block, lowest, highest);
}

ScaleAndMinimum fit_range(const FitInput& block, int highest, float minimum_max) {
  MIDGE_CHOOSE(fit_range, block, highest, minimum_max);
}

void nearest_steps(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q) {
  MIDGE_CHOOSE(nearest_steps, x, fit, highest, q);
}

float range_error(const FitInput& block, ScaleAndMinimum fit, int highest) {
  const ScaleAndMinimum fits[1] = {fit};
  float errors[1];
  range_errors_body(block, fits, highest, errors);
  return errors[0];
}

void range_errors(const FitInput& block, const ScaleAndMinimum (&fits)[kErrorsAtOnce], int highest,
                  float (&errors)[kErrorsAtOnce]) {
  MIDGE_CHOOSE(range_errors, block, fits, highest, errors);
}

}  // namespace midge
