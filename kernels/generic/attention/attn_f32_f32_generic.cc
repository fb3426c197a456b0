// attn_f32_f32_<type of K and V>_generic.
#include "kernels/generic/attention/attn_f32_f32.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void attn_f32_f32_f32_generic(const AttnArgs* args) {
  generic::attn<generic::FloatCache<generic::DecodeF32>>(args);
}

extern "C" void attn_f32_f32_f16_generic(const AttnArgs* args) {
  generic::attn<generic::FloatCache<generic::DecodeF16>>(args);
}

}  // namespace midge
