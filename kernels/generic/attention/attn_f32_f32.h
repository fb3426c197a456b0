// softmax(scale * q . K^T) * V, a step of 64 keys at a time: the specification of attention.
//
// Template parameter: a decoder of decode_block.h, for the type of K and V.
//
// Steps lie at multiples of kAttnStep. For every query and every step with keys that it sees:
//   s[t] = scale * (sum over d, ascending, of fma(q[d], k[t][d], sum))
//   M' = max(M, s[t]...), c = exp(M - M'), p[t] = exp(s[t] - M')           (exp_f32.h)
//   L[l] = L[l] * c, then += p[t] for t % 16 == l, ascending
//   acc[d] = acc[d] * c, then fma(p[t], v[t][d], acc[d]), t ascending
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

/// scores[0..15] += q . the keys of one block, one after the other.
template <typename Decode>
void add_block_scores(const void* block, const float* q, int64_t head_dim, float* scores) {
  for (int64_t d = 0; d < head_dim; ++d) {
    float keys[kKeyBlock];
    Decode::run(block, d * kKeyBlock, kKeyBlock, keys);
    for (int64_t t = 0; t < kKeyBlock; ++t) scores[t] = std::fmaf(q[d], keys[t], scores[t]);
  }
}

/// acc[head_dim] += weight * values[head_dim]
template <typename Decode>
void add_weighted(const void* values, float weight, int64_t head_dim, float* acc) {
  constexpr int64_t kPiece = 64;  // values decoded at a time
  float piece[kPiece];
  for (int64_t d = 0; d < head_dim; d += kPiece) {
    const int64_t count = head_dim - d < kPiece ? head_dim - d : kPiece;
    Decode::run(values, d, count, piece);
    for (int64_t i = 0; i < count; ++i) acc[d + i] = std::fmaf(weight, piece[i], acc[d + i]);
  }
}

template <typename Decode>
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
      add_block_scores<Decode>(cache.keys + t / kKeyBlock * args->k_stride, query->q,
                               args->head_dim, weights + t);
    }
    const float before = maximum;
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      weights[t] *= args->scale;
      maximum = weights[t] > maximum ? weights[t] : maximum;
    }
    const float correction = exp_f32(before - maximum);
    for (int64_t l = 0; l < kLanes; ++l) totals[l] *= correction;
    for (int64_t d = 0; d < args->head_dim; ++d) acc[d] *= correction;
    for (int64_t t = seen.begin; t < seen.end; ++t) {
      const float weight = exp_f32(weights[t] - maximum);
      totals[t % kLanes] += weight;
      add_weighted<Decode>(cache.values + t * args->v_stride, weight, args->head_dim, acc);
    }
  }
  finish_query(args, j, maximum, dot_finish(totals));
}

template <typename Decode>
void attn_f32_f32(const AttnArgs* args) {
  for (int64_t j = 0; j < args->count; ++j) attend<Decode>(args, j);
}

}  // namespace midge::generic
