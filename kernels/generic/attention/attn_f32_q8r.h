// The quantised caches of attention: keys of int8, values of int8 or of 4 bits.
//   s[t] = float(sum of q[d] * k[t][d]) * ((scale * the query's scale) * the key's scale)
// Values of int8, for the keys of a step together:
//   w[t] = p[t] * the scale of the values
//   u[t] = w[t] * (32767 / max w), rounded to nearest even, an integer of 16 bits
//   acc[d] = fma(float(sum of u[t] * v[t][d]), max w / 32767, acc[d])
// which is NaN where a w is, and nothing where all are below kQuantizeMin. The step's largest
// weight is exact to 16 bits, so that what is rounded away is far below what the values have lost
// already. Values of 4 bits:
//   acc[d] = fma(p[t] * the scale of its block, v[t][d], acc[d])
#pragma once

#include <limits>

#include "kernels/generic/attention/attn_f32_f32.h"

namespace midge::generic {

inline void score_quantized(const AttnArgs* args, const AttnQuery& query, const StepCache& cache,
                            int64_t t, float* scores) {
  const auto* q = reinterpret_cast<const QuantizedQuery*>(query.q);
  const auto* block = reinterpret_cast<const int8_t*>(cache.keys + t / kKeyBlock * args->k_stride);
  const float scale = args->scale * q->scale;
  for (int64_t i = 0; i < kKeyBlock; ++i) {
    int32_t sum = 0;
    for (int64_t d = 0; d < args->head_dim; ++d) {
      const int64_t at = (d / kKeyGroup * kKeyBlock + i) * kKeyGroup + d % kKeyGroup;
      sum += query_values(q)[d] * block[at];
    }
    scores[i] = static_cast<float>(sum) * (scale * cache.key_scales[t + i]);
  }
}

/// The weights of a step as integers.
struct StepWeights {
  int16_t units[kAttnStep];
  float factor;  // of a unit
};
inline constexpr float kWeightUnits = 32767.0f;

inline StepWeights quantize_weights(const float* weights, const float* scales, KeyRange seen) {
  StepWeights out = {};
  float scaled[kAttnStep];
  float highest = 0.0f;
  bool is_number = true;
  for (int64_t t = seen.begin; t < seen.end; ++t) {
    scaled[t] = weights[t] * scales[t];
    is_number = is_number && scaled[t] - scaled[t] == 0.0f;
    highest = scaled[t] > highest ? scaled[t] : highest;
  }
  if (!is_number) {
    out.factor = std::numeric_limits<float>::quiet_NaN();
    return out;
  }
  if (!(highest >= kQuantizeMin)) return out;
  out.factor = highest / kWeightUnits;
  const float inverse = kWeightUnits / highest;
  for (int64_t t = seen.begin; t < seen.end; ++t) {
    out.units[t] = static_cast<int16_t>(std::nearbyintf(scaled[t] * inverse));
  }
  return out;
}

struct Q8Cache {
  static void score(const AttnArgs* args, const AttnQuery& query, const StepCache& cache, int64_t t,
                    float* scores) {
    score_quantized(args, query, cache, t, scores);
  }
  static void add_values(const AttnArgs* args, const StepCache& cache, KeyRange seen,
                         const float* weights, float* acc) {
    if (seen.begin >= seen.end) return;
    const StepWeights w = quantize_weights(weights, cache.value_scales, seen);
    for (int64_t d = 0; d < args->head_dim; ++d) {
      int32_t sum = 0;
      for (int64_t t = seen.begin; t < seen.end; ++t) {
        const auto* pair =
            reinterpret_cast<const int8_t*>(cache.values + t / 2 * 2 * args->v_stride);
        sum += w.units[t] * pair[2 * d + t % 2];
      }
      acc[d] = std::fmaf(static_cast<float>(sum), w.factor, acc[d]);
    }
  }
};

struct K8V4Cache {
  static void score(const AttnArgs* args, const AttnQuery& query, const StepCache& cache, int64_t t,
                    float* scores) {
    score_quantized(args, query, cache, t, scores);
  }
  static void add_values(const AttnArgs* args, const StepCache& cache, KeyRange seen,
                         const float* weights, float* acc) {
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      const uint8_t* values = cache.values + t * args->v_stride;
      for (int64_t d = 0; d < args->head_dim; ++d) {
        const int64_t block = d / kValueBlock;
        const int64_t i = d % kValueBlock;
        const auto* scales = reinterpret_cast<const float*>(
            reinterpret_cast<const uint8_t*>(cache.value_scales) + block * args->v_scales_stride);
        const uint8_t pair = values[block * (kValueBlock / 2) + i % (kValueBlock / 2)];
        const int nibble = i < kValueBlock / 2 ? pair & 15 : pair >> 4;
        acc[d] = std::fmaf(weights[t] * scales[t], static_cast<float>(nibble - 8), acc[d]);
      }
    }
  }
};

}  // namespace midge::generic
