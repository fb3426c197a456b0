// softmax(scale * q . K^T) * V, a step of 64 keys at a time: the specification of attention.
//
// Template parameter: the cache, of floats or quantised (attn_f32_q8r.h).
//
// Steps lie at multiples of kAttnStep. For every query and every step with keys that it sees:
//   s[t] = scale * (sum over d, ascending, of fma(q[d], k[t][d], sum)), or of integers
//   M' = max(M, s[t]...), c = exp(M - M'), p[t] = exp(s[t] - M')           (exp_f32.h)
//   L[l] = L[l] * c, then += p[t] for t % 16 == l, ascending
//   acc[d] = acc[d] * c, then fma(p[t], v[t][d], acc[d]), t ascending, or of integers
// from M = -infinity, L = acc = 0, over the keys that the query sees only. A kernel may leave out
// the factor c where it is 1. In the end the sixteen L are joined as in dot.h.
// The sign of a zero maximum, which depends on the order, is taken off; so is a maximum beside a
// NaN, which some vector units ignore.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/decode_block.h"
#include "kernels/exp_f32.h"
#include "kernels/generic/attention/attn_range.h"
#include "kernels/generic/dot.h"
#include "kernels/kernel_types.h"

namespace midge::generic {

/// Keys and values of the type of a decoder of decode_block.h.
template <typename Decode>
struct FloatCache {
  /// scores[0..15] = scale * q . the keys of the block at t, one after the other.
  static void score(const AttnArgs* args, const AttnQuery& query, const StepCache& cache, int64_t t,
                    float* scores) {
    const uint8_t* block = cache.keys + t / kKeyBlock * args->k_stride;
    for (int64_t i = 0; i < kKeyBlock; ++i) scores[i] = 0.0f;
    for (int64_t d = 0; d < args->head_dim; ++d) {
      float keys[kKeyBlock];
      Decode::run(block, d * kKeyBlock, kKeyBlock, keys);
      for (int64_t i = 0; i < kKeyBlock; ++i) {
        scores[i] = std::fmaf(query.q[d], keys[i], scores[i]);
      }
    }
    for (int64_t i = 0; i < kKeyBlock; ++i) scores[i] *= args->scale;
  }

  /// acc[head_dim] += the values of the keys `seen` times their weights, one key after the other
  static void add_values(const AttnArgs* args, const StepCache& cache, KeyRange seen,
                         const float* weights, float* acc) {
    constexpr int64_t kPiece = 64;  // values decoded at a time
    float piece[kPiece];
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      const uint8_t* values = cache.values + t * args->v_stride;
      for (int64_t d = 0; d < args->head_dim; d += kPiece) {
        const int64_t count = args->head_dim - d < kPiece ? args->head_dim - d : kPiece;
        Decode::run(values, d, count, piece);
        for (int64_t i = 0; i < count; ++i) {
          acc[d + i] = std::fmaf(weights[t], piece[i], acc[d + i]);
        }
      }
    }
  }
};

template <typename Cache>
void attend(const AttnArgs* args, int64_t j) {
  const AttnQuery* query = args->queries + j;
  float maximum = -__builtin_inff();
  float totals[kLanes] = {};
  float* acc = query->out;
  for (int64_t d = 0; d < args->head_dim; ++d) acc[d] = 0.0f;
  if (query->begin >= query->end) return finish_query(args, j, maximum, 0.0f);
  for (int64_t step = query->begin / kAttnStep * kAttnStep; step < query->end; step += kAttnStep) {
    const KeyRange seen = keys_of_step(*query, step);
    const StepCache cache = cache_of_step(args, step);
    float weights[kAttnStep] = {};
    for (int64_t t = seen.begin / kKeyBlock * kKeyBlock; t < seen.end; t += kKeyBlock) {
      Cache::score(args, *query, cache, t, weights + t);
    }
    const float before = maximum;
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      maximum = weights[t] > maximum ? weights[t] : maximum;
    }
    const float correction = exp_f32(before - maximum);
    for (int64_t l = 0; l < kLanes; ++l) totals[l] *= correction;
    for (int64_t d = 0; d < args->head_dim; ++d) acc[d] *= correction;
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      weights[t] = exp_f32(weights[t] - maximum);
      totals[t % kLanes] += weights[t];
    }
    Cache::add_values(args, cache, seen, weights, acc);
  }
  finish_query(args, j, maximum, dot_finish(totals));
}

template <typename Cache>
void attn(const AttnArgs* args) {
  for (int64_t j = 0; j < args->count; ++j) attend<Cache>(args, j);
}

}  // namespace midge::generic
