// Integer arithmetic on sizes that come from files: every sum and product is checked.
#pragma once

#include <cstdint>

namespace midge {

/// *out = a + b; false (and *out untouched) if it does not fit in 64 bits.
[[nodiscard]] inline bool checked_add(uint64_t a, uint64_t b, uint64_t* out) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}

/// *out = a * b; false (and *out untouched) if it does not fit in 64 bits.
[[nodiscard]] inline bool checked_mul(uint64_t a, uint64_t b, uint64_t* out) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}

/// Smallest multiple of `multiple` that is >= value. The caller knows that it fits.
inline constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

inline constexpr int64_t ceil_div(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

}  // namespace midge
