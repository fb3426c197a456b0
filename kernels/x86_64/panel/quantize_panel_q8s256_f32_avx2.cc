// Rows of f32 as a PanelLhs of plain rows (PanelShape {1, 256}); the rounding is that of
// kernels/generic/quantize.h.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/quantize/quantize_avx2.h"

namespace midge {

extern "C" void quantize_panel_q8s256_f32_avx2(const QuantizePanelArgs* args) {
  const PanelLhs& out = args->out;
  const int64_t super_blocks = (args->k + kPanelColumns - 1) / kPanelColumns;
  for (int64_t i = 0; i < args->m; ++i) {
    const auto* in = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->in) +
                                                    i * args->in_stride);
    for (int64_t s = 0; s < super_blocks; ++s) {
      const int64_t row = s * out.rows + args->first + i;
      out.scales[row] =
          avx2::quantize_block<256>(in + s * kPanelColumns, args->k - s * kPanelColumns,
                                    out.values + row * kPanelColumns, &out.sums[row]);
    }
  }
}

}  // namespace midge
