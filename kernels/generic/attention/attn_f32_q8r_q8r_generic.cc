#include "kernels/generic/attention/attn_f32_q8r.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void attn_f32_q8r_q8r_generic(const AttnArgs* args) {
  generic::attn<generic::Q8Cache>(args);
}

}  // namespace midge
