// What a batch of rows is made of: runs of tokens, each of one sequence.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "engine/ops/kv_pages.h"

namespace midge {

/// What a row of activations belongs to. It decides the arithmetic of packed weights, so that a
/// token's result depends on neither its neighbours nor how a prompt is cut into steps.
enum class RowRole : uint8_t {
  kPrompt,     ///< read: the prefill arithmetic
  kGenerated,  ///< written by the model: the decode arithmetic
};
inline constexpr int kRowRoleCount = 2;

/// Which factors of longrope a sequence uses. Keys rotated with one set must never meet queries
/// rotated with the other: the regime is part of what a cache holds.
enum class RopeRegime : uint8_t { kShort, kLong };
inline constexpr int kRopeRegimeCount = 2;

/// A run of rows of a batch that are consecutive tokens of one sequence, all of one role. Segments
/// cover a batch in order; those of generated rows come before those of prompt rows.
struct Segment {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t position = 0;  ///< of the first row
  KvTable kv;            ///< has pages up to the last row's position
  RowRole role = RowRole::kPrompt;
  RopeRegime regime = RopeRegime::kShort;
  const std::atomic<bool>* cancel = nullptr;  ///< ends it early while set; may be null
};

/// Rows of a batch by role, in their order.
struct RoleRows {
  int64_t generated = 0;
  int64_t prompt = 0;

  int64_t all() const { return generated + prompt; }
};

inline const Segment& segment_of(std::span<const Segment> segments, int64_t row) {
  size_t i = 0;
  while (row >= segments[i].first_row + segments[i].rows) ++i;
  return segments[i];
}

inline RoleRows count_rows(std::span<const Segment> segments) {
  RoleRows rows;
  for (const Segment& segment : segments) {
    (segment.role == RowRole::kGenerated ? rows.generated : rows.prompt) += segment.rows;
  }
  return rows;
}

}  // namespace midge
