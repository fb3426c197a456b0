#include "kernels/generic/panel/quantize_panel.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void quantize_panel_q8s256_f32_generic(const QuantizePanelArgs* args) {
  generic::quantize_panel<1, kPanelColumns>(args);
}

}  // namespace midge
