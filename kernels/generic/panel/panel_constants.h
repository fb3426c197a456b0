// The constants of the prefill arithmetic, and its rounding; panel.h and unpack_s256.h say what
// they are for.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace midge::generic {

inline constexpr float kQ4MultiplierMax = 32496.0f;
inline constexpr float kQ4Unit = 32768.0f / (16.0f * 32496.0f);
inline constexpr float kQ8MultiplierMax = 32512.0f;
inline constexpr float kQ8Unit = 32768.0f / 32512.0f;
inline constexpr float kBlockMultiplierMax = 32512.0f;  // 127 * 256
inline constexpr float kBlockUnit = 1.0f / 127.0f;

/// The larger of `largest`, which has no sign, and the magnitude of a value. Magnitudes are ordered
/// like their bits, and a NaN is the largest: its row becomes NaN, as in the decode arithmetic.
inline float larger_magnitude(float largest, float value) {
  return std::bit_cast<float>(
      std::max(std::bit_cast<uint32_t>(largest), std::bit_cast<uint32_t>(std::fabs(value))));
}

/// The whole number next to a multiplier; 0 for what is no number: scales of a packed file are not
/// looked at before.
inline int rounded_multiplier(float multiplier) {
  const float rounded = std::nearbyintf(multiplier);
  return rounded > -65536.0f && rounded < 65536.0f ? static_cast<int>(rounded) : 0;
}

}  // namespace midge::generic
