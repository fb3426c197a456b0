// PanelShape {4, 16}: 16 columns of 4 tokens.
#include "kernels/arm64/panel/quantize_panel.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

struct Shape {
  static constexpr int64_t kTokens = 4;
  static constexpr int64_t kGroup = 16;

  static inline void store(int8_t* to, int8x16_t values) { vst1q_s8(to, values); }
};

}  // namespace

extern "C" void quantize_panel_q8s256_f32_neon(const QuantizePanelArgs* args) {
  arm64::quantize_panel<Shape>(args);
}

}  // namespace midge
