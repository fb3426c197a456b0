// One test body per operation. Each calls the kernel with every kind of shape and data next to its
// scalar specification and adds to *failures what differs.
#pragma once

#include "tests/harness/kernel_harness.h"

namespace midge::test {

void check_gemm(const KernelInfo& kernel, Failures* failures);
void check_dequantize(const KernelInfo& kernel, Failures* failures);
void check_quantize(const KernelInfo& kernel, Failures* failures);
void check_gemv(const KernelInfo& kernel, Failures* failures);
void check_lookup(const KernelInfo& kernel, Failures* failures);
void check_quantize_panel(const KernelInfo& kernel, Failures* failures);
/// The kernel with the gemm_panel that reads its panels.
void check_unpack(const KernelInfo& kernel, Failures* failures);
/// The kernel with the unpack of each encoding that it takes.
void check_gemm_panel(const KernelInfo& kernel, Failures* failures);
void check_take_outliers(const KernelInfo& kernel, Failures* failures);
void check_add_outliers(const KernelInfo& kernel, Failures* failures);
void check_attn(const KernelInfo& kernel, Failures* failures);
void check_quantized_attn(const KernelInfo& kernel, Failures* failures);
void check_convert(const KernelInfo& kernel, Failures* failures);
void check_rmsnorm(const KernelInfo& kernel, Failures* failures);
void check_rope(const KernelInfo& kernel, Failures* failures);
void check_silu_mul(const KernelInfo& kernel, Failures* failures);
void check_exp_sum(const KernelInfo& kernel, Failures* failures);
void check_add(const KernelInfo& kernel, Failures* failures);

/// The one of the kernel's operation.
void check_kernel(const KernelInfo& kernel, Failures* failures);

/// What gemm and gemv add to their sums.
enum class Addend { kNone, kBias, kResidual, kInPlace };
inline constexpr Addend kAddends[] = {Addend::kNone, Addend::kBias, Addend::kResidual,
                                      Addend::kInPlace};
const char* addend_name(Addend addend);

/// Places out [m, n] with `padding` numbers between rows and the addend that Args has beside it;
/// dense: [m, n], the values of the addend.
template <typename Args>
void place_out(Addend addend, int64_t padding, const float* dense, KernelCall& call, Args* args) {
  args->out_stride = (args->n + padding) * 4;
  const Extent out = {args->m, args->n * 4, args->out_stride};
  if (addend == Addend::kInPlace) {
    args->out = call.in_out("out", out, dense, OperandType::kF32);
    args->addend = args->out;
    args->addend_stride = args->out_stride;
    return;
  }
  args->out = call.output<float>("out", out, OperandType::kF32);
  if (addend == Addend::kBias) {
    args->addend = call.input("addend", extent(args->n * 4), dense);
  } else if (addend == Addend::kResidual) {
    args->addend_stride = (args->n + 2 * padding) * 4;
    args->addend = call.input("addend", {args->m, args->n * 4, args->addend_stride}, dense);
  }
}

/// Emulated runs, which are some thirty times slower, take one shape in kShapeStep.
#ifdef MIDGE_EMULATED
inline constexpr int kShapeStep = 3;
#else
inline constexpr int kShapeStep = 1;
#endif

}  // namespace midge::test
