#include "kernels/generic/attention/attn_f32_q8r.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void attn_f32_q8r_k8v4_generic(const AttnArgs* args) {
  generic::attn<generic::K8V4Cache>(args);
}

}  // namespace midge
