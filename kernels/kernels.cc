#include "kernels/kernels.h"

namespace midge {
namespace {

#define MIDGE_KERNEL(op, name, encoding, level)                     \
  KernelInfo{#name, Op::k##op, Encoding::encoding, IsaLevel::level, \
             reinterpret_cast<void (*)()>(static_cast<op##Function>(&name))},
const KernelInfo kKernels[] = {
#include "kernels/kernels.def"
};
#undef MIDGE_KERNEL

template <typename Function>
Function choose(Op op, Encoding encoding, IsaLevels levels) {
  const KernelInfo* info = select_kernel(op, encoding, levels);
  return info == nullptr ? nullptr : reinterpret_cast<Function>(info->function);
}

}  // namespace

const char* isa_level_name(IsaLevel level) {
  switch (level) {
    case IsaLevel::kGeneric: return "generic";
  }
  return "unknown";
}

const char* op_name(Op op) {
  switch (op) {
    case Op::kGemm: return "gemm";
    case Op::kDequantize: return "dequantize";
    case Op::kAttn: return "attn";
    case Op::kConvert: return "convert";
    case Op::kRmsnorm: return "rmsnorm";
    case Op::kRope: return "rope";
    case Op::kSiluMul: return "silu_mul";
    case Op::kAdd: return "add";
  }
  return "unknown";
}

std::span<const KernelInfo> all_kernels() { return kKernels; }

const KernelInfo* select_kernel(Op op, Encoding encoding, IsaLevels levels) {
  const KernelInfo* chosen = nullptr;
  for (const KernelInfo& kernel : kKernels) {
    if (kernel.op == op && kernel.encoding == encoding && levels.has(kernel.level) &&
        (chosen == nullptr || kernel.level >= chosen->level)) {
      chosen = &kernel;
    }
  }
  return chosen;
}

KernelTable make_kernel_table(IsaLevels levels) {
  KernelTable table = {};
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    table.gemm[i] = choose<GemmFunction>(Op::kGemm, encoding, levels);
    table.dequantize[i] = choose<DequantizeFunction>(Op::kDequantize, encoding, levels);
    table.attn[i] = choose<AttnFunction>(Op::kAttn, encoding, levels);
    table.convert[i] = choose<ConvertFunction>(Op::kConvert, encoding, levels);
  }
  table.rmsnorm = choose<RmsnormFunction>(Op::kRmsnorm, Encoding::kF32, levels);
  table.rope = choose<RopeFunction>(Op::kRope, Encoding::kF32, levels);
  table.silu_mul = choose<SiluMulFunction>(Op::kSiluMul, Encoding::kF32, levels);
  table.add = choose<AddFunction>(Op::kAdd, Encoding::kF32, levels);
  return table;
}

}  // namespace midge
