// What all attention kernels share beside their arithmetic. Everything is `static inline`: kernels
// of every level include this.
#pragma once

#include <cstdint>

#include "kernels/kernel_types.h"

namespace midge {

/// Keys begin..end - 1 of a step, counted from its first; none if begin >= end.
struct KeyRange {
  int64_t begin;
  int64_t end;
};

/// The keys that a query sees of the step at `step`.
static inline KeyRange keys_of_step(const AttnQuery& query, int64_t step) {
  const int64_t begin = query.begin - step;
  const int64_t end = query.end - step;
  return {begin > 0 ? begin : 0, end < kAttnStep ? end : kAttnStep};
}

/// Where the keys and values of a step begin.
struct StepCache {
  const uint8_t* keys;
  const uint8_t* values;
  const float* key_scales;    // of a quantised cache
  const float* value_scales;  // of its first block
};

/// Steps do not cross pages.
static inline StepCache cache_of_step(const AttnArgs* args, int64_t step) {
  const uint8_t* page = args->pages[step / args->page_tokens];
  const int64_t token = step % args->page_tokens;
  return {page + args->k_offset + token / kKeyBlock * args->k_stride,
          page + args->v_offset + token * args->v_stride,
          reinterpret_cast<const float*>(page + args->k_scales_offset) + token,
          reinterpret_cast<const float*>(page + args->v_scales_offset) + token};
}

/// True if there is a page with the step at `step`.
static inline bool has_step(const AttnArgs* args, int64_t step) {
  return step < args->page_count * args->page_tokens;
}

/// Writes the maximum and the total of query j.
static inline void finish_query(const AttnArgs* args, int64_t j, float maximum, float total) {
  args->maximums[j] = total == total ? maximum + 0.0f : total;
  args->totals[j] = total;
}

}  // namespace midge
