// Which segment a row of a batch belongs to. Segments cover the batch in order.
#pragma once

#include <span>

#include "engine/ops/ops.h"

namespace midge {

inline const Segment& segment_of(std::span<const Segment> segments, int64_t row) {
  size_t i = 0;
  while (row >= segments[i].first_row + segments[i].rows) ++i;
  return segments[i];
}

inline int64_t row_count(std::span<const Segment> segments) {
  return segments.empty() ? 0 : segments.back().first_row + segments.back().rows;
}

}  // namespace midge
