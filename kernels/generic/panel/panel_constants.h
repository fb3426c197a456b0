// The constants of the prefill arithmetic; panel.h and unpack_s256.h say what they are for.
#pragma once

namespace midge::generic {

inline constexpr float kQ4MultiplierMax = 32496.0f;
inline constexpr float kQ4Unit = 32768.0f / (16.0f * 32496.0f);
inline constexpr float kQ8MultiplierMax = 32512.0f;
inline constexpr float kQ8Unit = 32768.0f / 32512.0f;
inline constexpr float kRunMultiplierMax = 32512.0f;  // 127 * 256
inline constexpr float kRunUnit = 1.0f / 127.0f;

}  // namespace midge::generic
