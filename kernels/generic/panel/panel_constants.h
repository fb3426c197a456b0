// The constants of the prefill arithmetic; panel.h says what they are for.
#pragma once

namespace midge::generic {

inline constexpr float kQ4MultiplierMax = 32496.0f;
inline constexpr float kQ4Unit = 32768.0f / (16.0f * 32496.0f);
inline constexpr float kQ8MultiplierMax = 32512.0f;
inline constexpr float kQ8Unit = 32768.0f / 32512.0f;

}  // namespace midge::generic
