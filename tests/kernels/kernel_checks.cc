#include "tests/kernels/kernel_checks.h"

namespace midge::test {

const char* addend_name(Addend addend) {
  switch (addend) {
    case Addend::kNone: return "none";
    case Addend::kBias: return "bias";
    case Addend::kResidual: return "residual";
    case Addend::kInPlace: return "in-place";
  }
  return "unknown";
}

void check_kernel(const KernelInfo& kernel, Failures* failures) {
  switch (kernel.op) {
    case Op::kGemm: return check_gemm(kernel, failures);
    case Op::kDequantize: return check_dequantize(kernel, failures);
    case Op::kQuantize: return check_quantize(kernel, failures);
    case Op::kGemv: return check_gemv(kernel, failures);
    case Op::kLookup: return check_lookup(kernel, failures);
    case Op::kQuantizePanel: return check_quantize_panel(kernel, failures);
    case Op::kUnpack: return check_unpack(kernel, failures);
    case Op::kGemmPanel: return check_gemm_panel(kernel, failures);
    case Op::kTakeOutliers: return check_take_outliers(kernel, failures);
    case Op::kAddOutliers: return check_add_outliers(kernel, failures);
    case Op::kAttn: return check_attn(kernel, failures);
    case Op::kAttnQ8:
    case Op::kAttnK8V4: return check_quantized_attn(kernel, failures);
    case Op::kConvert: return check_convert(kernel, failures);
    case Op::kRmsnorm: return check_rmsnorm(kernel, failures);
    case Op::kRope: return check_rope(kernel, failures);
    case Op::kSiluMul: return check_silu_mul(kernel, failures);
    case Op::kExpSum: return check_exp_sum(kernel, failures);
    case Op::kAdd: return check_add(kernel, failures);
  }
}

}  // namespace midge::test
