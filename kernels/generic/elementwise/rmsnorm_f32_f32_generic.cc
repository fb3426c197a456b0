// out = in / sqrt(mean(in^2) + epsilon) * weight. The sum of squares is ordered as in dot.h.
#include <cmath>

#include "kernels/generic/dot.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void rmsnorm_f32_f32_generic(const RmsnormArgs* args) {
  for (int64_t i = 0; i < args->m; ++i) {
    const auto* in = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->in) +
                                                    i * args->in_stride);
    auto* out = reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + i * args->out_stride);
    float sums[generic::kLanes] = {};
    generic::dot_accumulate(in, in, args->n, sums);
    const float mean = generic::dot_finish(sums) / static_cast<float>(args->n);
    const float scale = 1.0f / std::sqrt(mean + args->epsilon);
    for (int64_t j = 0; j < args->n; ++j) out[j] = in[j] * scale * args->weight[j];
  }
}

}  // namespace midge
