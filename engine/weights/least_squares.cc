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

// The least or the largest of all lanes; join(a, b) gives that of each pair.
template <typename Join>
MIDGE_BODY float joined(const Lanes& lanes, const Join& join) {
  const HalfLanes low = {lanes[0], lanes[1], lanes[2], lanes[3]};
  const HalfLanes high = {lanes[4], lanes[5], lanes[6], lanes[7]};
  const HalfLanes four = join(low, high);
  const HalfLanes swapped = {four[2], four[3], four[0], four[1]};
  const HalfLanes two = join(four, swapped);
  const HalfLanes last = {two[1], two[0], two[3], two[2]};
  return join(two, last)[0];
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

// Of the block alone, one number after the other.
float extreme_in_order(const float* x) {
  float found = 0.0f;
  for (int i = 0; i < kFitBlock && !std::isnan(found); ++i) {
    if (!(std::fabs(x[i]) <= std::fabs(found))) found = x[i];
  }
  return found;
}

MIDGE_BODY float extreme_body(const float* x) {
  Lanes least = load(x);
  Lanes most = least;
  Lanes not_finite = least - least;
  for (int i = kLanes; i < kFitBlock; i += kLanes) {
    const Lanes next = load(x + i);
    least = next < least ? next : least;
    most = next > most ? next : most;
    not_finite += next - next;
  }
  const float low =
      joined(least, [](const HalfLanes& a, const HalfLanes& b) { return a < b ? a : b; });
  const float high =
      joined(most, [](const HalfLanes& a, const HalfLanes& b) { return a > b ? a : b; });
  if (total(not_finite) == 0) {
    if (high > -low) return high;
    if (-low > high) return low;
  }
  return extreme_in_order(x);
}

MIDGE_BODY float fit_scale_body(const FitInput& block, int lowest, int highest) {
  const auto low = static_cast<float>(lowest);
  const auto high = static_cast<float>(highest);
  const float far = extreme_body(block.x);
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

// Lines of eight blocks.
struct Lines {
  Lanes scale;
  Lanes minimum;
};

// Four numbers in f64: as many as a vector holds, where all eight would be taken apart.
using Doubles [[gnu::vector_size(8 * kLanes / 2)]] = double;

// Lanes 4 * half .. 4 * half + 3.
MIDGE_BODY Doubles doubles(const Lanes& lanes, int half) {
  HalfLanes four;
  std::memcpy(&four, reinterpret_cast<const char*>(&lanes) + half * sizeof(four), sizeof(four));
  return __builtin_convertvector(four, Doubles);
}

MIDGE_BODY void put_half(const Doubles& values, int half, Lanes& lanes) {
  const HalfLanes four = __builtin_convertvector(values, HalfLanes);
  std::memcpy(reinterpret_cast<char*>(&lanes) + half * sizeof(four), &four, sizeof(four));
}

// inverse_of for each.
MIDGE_BODY Lanes inverses_of(const Lanes& scale) {
  return scale == Lanes{} ? Lanes{} : 1.0f / scale;
}

// What does not depend on the steps q.
struct BlockSums {
  Lanes w = {};
  Lanes wx = {};
};

// Lines through (q, x), and by how much their errors are less than with nothing; -infinity: no
// line.
struct ScoredLines {
  Lines lines;
  Lanes score;
};

MIDGE_BODY BlockSums sums_of(const FitBlocks& blocks) {
  BlockSums sums;
  for (int i = 0; i < kFitBlock; ++i) {
    const Lanes weight = load(blocks.weight[i]);
    sums.w += weight;
    sums.wx += weight * load(blocks.x[i]);
  }
  return sums;
}

struct Ranges {
  Lanes least;
  Lanes most;
};

MIDGE_BODY Ranges ranges_of(const FitBlocks& blocks) {
  Ranges ranges = {load(blocks.x[0]), load(blocks.x[0])};
  for (int i = 1; i < kFitBlock; ++i) {
    const Lanes x = load(blocks.x[i]);
    ranges.least = x < ranges.least ? x : ranges.least;
    ranges.most = x > ranges.most ? x : ranges.most;
  }
  return ranges;
}

// Sums over the steps q of the blocks.
struct StepSums {
  Lanes wq = {};
  Lanes wqq = {};
  Lanes wqx = {};
};

// The sums for the steps that suit each of `count` lines of each block.
template <int count>
MIDGE_BODY void add_steps(const FitBlocks& blocks, const Lines (&from)[count], float high,
                          StepSums (&sums)[count]) {
  Lanes inverse[count];
  for (int j = 0; j < count; ++j) inverse[j] = inverses_of(from[j].scale);
  for (int i = 0; i < kFitBlock; ++i) {
    const Lanes x = load(blocks.x[i]);
    const Lanes weight = load(blocks.weight[i]);
    for (int j = 0; j < count; ++j) {
      const Lanes q = rounded((x - from[j].minimum) * inverse[j], 0.0f, high);
      const Lanes weighted = weight * q;
      sums[j].wq += weighted;
      sums[j].wqq += weighted * q;
      sums[j].wqx += weighted * x;
    }
  }
}

// The lines of the least error for these steps, in f64: the differences are small.
MIDGE_BODY ScoredLines lines_of(const BlockSums& sums, const StepSums& steps, float minimum_max) {
  const Doubles limit = Doubles{} + static_cast<double>(minimum_max);
  const Doubles none = Doubles{} - INFINITY;
  ScoredLines lines;
  for (int half = 0; half < 2; ++half) {
    const Doubles sw = doubles(sums.w, half);
    const Doubles swx = doubles(sums.wx, half);
    const Doubles sq = doubles(steps.wq, half);
    const Doubles sqq = doubles(steps.wqq, half);
    const Doubles sqx = doubles(steps.wqx, half);
    const Doubles determinant = sw * sqq - sq * sq;
    const Doubles inverse_determinant = 1 / determinant;
    Doubles scale = (sw * sqx - sq * swx) * inverse_determinant;
    Doubles minimum = (sqq * swx - sq * sqx) * inverse_determinant;
    const auto too_high = minimum > limit;
    minimum = too_high ? limit : minimum;
    scale = too_high ? (sqx - minimum * sq) / sqq : scale;
    const Doubles score = 2 * (scale * sqx + minimum * swx) - scale * scale * sqq -
                          minimum * minimum * sw - 2 * scale * minimum * sq;
    const auto is_line = (determinant > 0) & (scale > 0) & (score - score == 0);
    put_half(scale, half, lines.lines.scale);
    put_half(minimum, half, lines.lines.minimum);
    put_half(is_line ? score : none, half, lines.score);
  }
  return lines;
}

MIDGE_BODY void keep_better(const ScoredLines& lines, ScoredLines& best) {
  const auto better = lines.score > best.score;
  best.lines.scale = better ? lines.lines.scale : best.lines.scale;
  best.lines.minimum = better ? lines.lines.minimum : best.lines.minimum;
  best.score = better ? lines.score : best.score;
}

MIDGE_BODY void fit_ranges_body(const FitBlocks& blocks, int highest, float minimum_max,
                                FitLines* out) {
  const auto high = static_cast<float>(highest);
  const Lanes limit = Lanes{} + minimum_max;
  const BlockSums sums = sums_of(blocks);
  auto [least, most] = ranges_of(blocks);
  // A product with what is not finite is no number, and so is a sum with it.
  const auto is_finite = sums.wx - sums.wx == Lanes{};
  least = is_finite ? least : sums.wx;
  most = is_finite ? most : sums.wx;
  least = least > limit ? limit : least;
  most = most < least ? least : most;
  ScoredLines best = {{}, Lanes{} - INFINITY};
  static_assert(std::size(kLineRanges) % 2 == 0);
  for (size_t r = 0; r < std::size(kLineRanges); r += 2) {
    Lines from[2];
    for (size_t j = 0; j < 2; ++j) {
      const Lanes scale = (most - least) * kLineRanges[r + j] / high;
      const Lanes centred = 0.5f * (least + most) - 0.5f * high * scale;
      from[j] = {scale, centred > limit ? limit : centred};
    }
    StepSums steps[2];
    add_steps(blocks, from, high, steps);
    for (const StepSums& step : steps) keep_better(lines_of(sums, step, minimum_max), best);
  }
  const Lanes none = Lanes{} - INFINITY;
  const auto no_line = best.score == none;
  best.lines.scale = no_line ? (most - least) / high : best.lines.scale;
  best.lines.minimum = no_line ? least : best.lines.minimum;
  for (int i = 0; i < kRefinements; ++i) {
    const Lines from[1] = {best.lines};
    StepSums steps[1];
    add_steps(blocks, from, high, steps);
    ScoredLines lines = lines_of(sums, steps[0], minimum_max);
    lines.score = no_line ? none : lines.score;
    keep_better(lines, best);
  }
  std::memcpy(out->scale, &best.lines.scale, sizeof(out->scale));
  std::memcpy(out->minimum, &best.lines.minimum, sizeof(out->minimum));
}

// The sums of weight * (x - (scale * q + minimum))^2 with the best q of each, for `count` lines of
// each block.
template <int count>
MIDGE_BODY void range_errors(const FitBlocks& blocks, const Lines (&lines)[count], int highest,
                             Lanes (&errors)[count]) {
  const auto high = static_cast<float>(highest);
  Lanes inverse[count];
  for (int j = 0; j < count; ++j) inverse[j] = inverses_of(lines[j].scale);
  for (int j = 0; j < count; ++j) errors[j] = Lanes{};
  for (int i = 0; i < kFitBlock; ++i) {
    const Lanes x = load(blocks.x[i]);
    const Lanes weight = load(blocks.weight[i]);
    for (int j = 0; j < count; ++j) {
      const Lanes q = rounded((x - lines[j].minimum) * inverse[j], 0.0f, high);
      const Lanes error = x - (lines[j].scale * q + lines[j].minimum);
      errors[j] += weight * error * error;
    }
  }
}

MIDGE_BODY void round_lines_body(const FitBlocks& blocks, const FitLines& lines, float scale_unit,
                                 float minimum_unit, int highest, WholeLines* out) {
  const Lanes scale = rounded(load(lines.scale) * inverse_of(scale_unit), 0.0f, 63.0f);
  const Lanes minimum = rounded(-load(lines.minimum) * inverse_of(minimum_unit), 0.0f, 63.0f);
  Lines best = {};
  Lanes least = Lanes{} + INFINITY;
  for (const float up : {-1.0f, 0.0f, 1.0f}) {
    const Lanes s = rounded(scale + up, 0.0f, 63.0f);
    Lanes minimums[3];
    Lines tried[3];
    for (int j = 0; j < 3; ++j) {
      minimums[j] = rounded(minimum + static_cast<float>(j - 1), 0.0f, 63.0f);
      tried[j] = {scale_unit * s, -minimum_unit * minimums[j]};
    }
    Lanes errors[3];
    range_errors(blocks, tried, highest, errors);
    for (int j = 0; j < 3; ++j) {
      const auto better = errors[j] < least;
      least = better ? errors[j] : least;
      best.scale = better ? s : best.scale;
      best.minimum = better ? minimums[j] : best.minimum;
    }
  }
  for (int b = 0; b < kFitLanes; ++b) {
    out->scale[b] = static_cast<int>(best.scale[b]);
    out->minimum[b] = static_cast<int>(best.minimum[b]);
  }
}

MIDGE_BODY void nearest_steps_body(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q) {
  const float inverse = inverse_of(fit.scale);
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes steps =
        rounded((load(x + i) - fit.minimum) * inverse, 0.0f, static_cast<float>(highest));
    for (int j = 0; j < kLanes; ++j) q[i + j] = static_cast<uint8_t>(steps[j]);
  }
}

MIDGE_BODY void nearest_multiples_body(const float* x, float inverse, int lowest, int highest,
                                       int8_t* q) {
  for (int i = 0; i < kFitBlock; i += kLanes) {
    const Lanes steps =
        rounded(load(x + i) * inverse, static_cast<float>(lowest), static_cast<float>(highest));
    for (int j = 0; j < kLanes; ++j) q[i + j] = static_cast<int8_t>(steps[j]);
  }
}

}  // namespace

// The same bodies for other vectors. Lanes and their order are written out: the bits are the same.
#ifdef __x86_64__
namespace {

#define MIDGE_FOR_AVX2 [[gnu::target("avx2")]]
MIDGE_FOR_AVX2 float fit_scale_avx2(const FitInput& block, int lowest, int highest) {
  return fit_scale_body(block, lowest, highest);
}
MIDGE_FOR_AVX2 float extreme_avx2(const float* x) { return extreme_body(x); }
MIDGE_FOR_AVX2 void fit_ranges_avx2(const FitBlocks& blocks, int highest, float minimum_max,
                                    FitLines* out) {
  fit_ranges_body(blocks, highest, minimum_max, out);
}
MIDGE_FOR_AVX2 void round_lines_avx2(const FitBlocks& blocks, const FitLines& lines,
                                     float scale_unit, float minimum_unit, int highest,
                                     WholeLines* out) {
  round_lines_body(blocks, lines, scale_unit, minimum_unit, highest, out);
}
MIDGE_FOR_AVX2 void nearest_multiples_avx2(const float* x, float inverse, int lowest, int highest,
                                           int8_t* q) {
  nearest_multiples_body(x, inverse, lowest, highest, q);
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

float extreme(const float* x) { MIDGE_CHOOSE(extreme, x); }

FitBlocks::FitBlocks(const FitInput& from, int count) {
  for (int b = 0; b < kFitLanes; ++b) {
    for (int i = 0; i < kFitBlock; ++i) {
      x[i][b] = b < count ? from.x[kFitBlock * b + i] : 0.0f;
      weight[i][b] = b < count ? from.weight[kFitBlock * b + i] : 0.0f;
    }
  }
}

void fit_ranges(const FitBlocks& blocks, int highest, float minimum_max, FitLines* out) {
  MIDGE_CHOOSE(fit_ranges, blocks, highest, minimum_max, out);
}

void round_lines(const FitBlocks& blocks, const FitLines& lines, float scale_unit,
                 float minimum_unit, int highest, WholeLines* out) {
  MIDGE_CHOOSE(round_lines, blocks, lines, scale_unit, minimum_unit, highest, out);
}

void nearest_multiples(const float* x, float inverse, int lowest, int highest, int8_t* q) {
  MIDGE_CHOOSE(nearest_multiples, x, inverse, lowest, highest, q);
}

void nearest_steps(const float* x, ScaleAndMinimum fit, int highest, uint8_t* q) {
  MIDGE_CHOOSE(nearest_steps, x, fit, highest, q);
}

}  // namespace midge
