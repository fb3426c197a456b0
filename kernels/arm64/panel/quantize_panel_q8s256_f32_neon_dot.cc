// PanelShape {12, 4}: 4 columns of 12 tokens.
#include "kernels/arm64/panel/quantize_panel.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

struct Shape {
  static constexpr int64_t kTokens = 12;
  static constexpr int64_t kGroup = 4;

  static inline void store(int8_t* to, int8x16_t values) {
    const int32x4_t groups = vreinterpretq_s32_s8(values);
    vst1q_lane_s32(reinterpret_cast<int32_t*>(to), groups, 0);
    vst1q_lane_s32(reinterpret_cast<int32_t*>(to + 48), groups, 1);
    vst1q_lane_s32(reinterpret_cast<int32_t*>(to + 96), groups, 2);
    vst1q_lane_s32(reinterpret_cast<int32_t*>(to + 144), groups, 3);
  }
};

}  // namespace

extern "C" void quantize_panel_q8s256_f32_neon_dot(const QuantizePanelArgs* args) {
  arm64::quantize_panel<Shape>(args);
}

}  // namespace midge
