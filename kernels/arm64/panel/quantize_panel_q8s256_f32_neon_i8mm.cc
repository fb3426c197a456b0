// PanelShape {8, 8}: 8 columns of 8 tokens.
#include "kernels/arm64/panel/quantize_panel.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

struct Shape {
  static constexpr int64_t kTokens = 8;
  static constexpr int64_t kGroup = 8;

  static inline void store(int8_t* to, int8x16_t values) {
    vst1_s8(to, vget_low_s8(values));
    vst1_s8(to + 64, vget_high_s8(values));
  }
};

}  // namespace

extern "C" void quantize_panel_q8s256_f32_neon_i8mm(const QuantizePanelArgs* args) {
  arm64::quantize_panel<Shape>(args);
}

}  // namespace midge
