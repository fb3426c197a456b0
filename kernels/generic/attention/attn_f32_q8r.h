// The quantised caches of attention: keys of int8, values of int8 or of 4 bits.
//   s[t] = float(sum of q[d] * k[t][d]) * ((scale * the query's scale) * the key's scale)
//   acc[d] = fma(p[t] * the scale of the values, v[t][d], acc[d])
#pragma once

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

struct Q8Cache {
  static void score(const AttnArgs* args, const AttnQuery& query, const StepCache& cache, int64_t t,
                    float* scores) {
    score_quantized(args, query, cache, t, scores);
  }
  static void add_value(const AttnArgs* args, const StepCache& cache, int64_t t, float weight,
                        float* acc) {
    const auto* values = reinterpret_cast<const int8_t*>(cache.values + t * args->v_stride);
    const float factor = weight * cache.value_scales[t];
    for (int64_t d = 0; d < args->head_dim; ++d) {
      acc[d] = std::fmaf(factor, static_cast<float>(values[d]), acc[d]);
    }
  }
};

struct K8V4Cache {
  static void score(const AttnArgs* args, const AttnQuery& query, const StepCache& cache, int64_t t,
                    float* scores) {
    score_quantized(args, query, cache, t, scores);
  }
  static void add_value(const AttnArgs* args, const StepCache& cache, int64_t t, float weight,
                        float* acc) {
    const uint8_t* values = cache.values + t * args->v_stride;
    for (int64_t d = 0; d < args->head_dim; ++d) {
      const int64_t block = d / kValueBlock;
      const int64_t i = d % kValueBlock;
      const auto* scales = reinterpret_cast<const float*>(
          reinterpret_cast<const uint8_t*>(cache.value_scales) + block * args->v_scales_stride);
      const uint8_t pair = values[block * (kValueBlock / 2) + i % (kValueBlock / 2)];
      const int nibble = i < kValueBlock / 2 ? pair & 15 : pair >> 4;
      acc[d] = std::fmaf(weight * scales[t], static_cast<float>(nibble - 8), acc[d]);
    }
  }
};

}  // namespace midge::generic
