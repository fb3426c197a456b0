#include "kernels/generic/attention/attn_f32_f32.h"
#include "kernels/kernels.h"

void midge::attn_f32_f32_f32_generic(const AttnArgs* args) {
  generic::attn_f32_f32<generic::DecodeF32>(args);
}
