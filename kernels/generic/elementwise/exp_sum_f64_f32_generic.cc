// sums of exp(x - maximum) by blocks of 64
#include <algorithm>

#include "kernels/exp_f32.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void exp_sum_f64_f32_generic(const ExpSumArgs* args) {
  for (int64_t first = 0; first < args->n; first += kExpSumBlock) {
    const int64_t count = std::min(kExpSumBlock, args->n - first);
    float exps[kExpSumBlock] = {};
    for (int64_t i = 0; i < count; ++i) {
      exps[i] = generic::exp_f32(args->x[first + i] - args->maximum);
    }
    double lanes[8] = {};
    for (int64_t i = 0; i < kExpSumBlock; i += 8) {
      for (int64_t lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(exps[i + lane]);
    }
    args->sums[first / kExpSumBlock] = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                                       ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  }
}

}  // namespace midge
