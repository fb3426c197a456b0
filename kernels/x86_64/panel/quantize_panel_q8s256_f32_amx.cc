#include "kernels/kernels.h"
#include "kernels/x86_64/panel/quantize_panel_avx512.h"

void midge::quantize_panel_q8s256_f32_amx(const QuantizePanelArgs* args) {
  avx512::quantize_panel(args);
}
