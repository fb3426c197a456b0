// The registry of kernels and the choice among them.
#pragma once

#include <span>
#include <string_view>

#include "kernels/encoding.h"
#include "kernels/kernel_types.h"

namespace midge {

/// Instruction set levels, weakest first. A kernel of a level runs where that level is available.
enum class IsaLevel : uint8_t { kGeneric };
inline constexpr int kIsaLevelCount = 1;

/// "generic", "neon_dot" ... as in kernel names.
const char* isa_level_name(IsaLevel level);

/// The set of levels a core may run.
struct IsaLevels {
  uint32_t bits = 1u << static_cast<int>(IsaLevel::kGeneric);
  bool has(IsaLevel level) const { return (bits >> static_cast<int>(level) & 1u) != 0; }
};

enum class Op : uint8_t {
  kGemm,
  kDequantize,
  kAttn,
  kConvert,
  kRmsnorm,
  kRope,
  kSiluMul,
  kAdd,
};

/// "gemm", "silu_mul" ... as in kernel names.
const char* op_name(Op op);

#define MIDGE_KERNEL(op, name, encoding, level) void name(const op##Args* args);
extern "C" {
#include "kernels/kernels.def"
}
#undef MIDGE_KERNEL

/// One registered kernel.
struct KernelInfo {
  const char* name;
  Op op;
  Encoding encoding;
  IsaLevel level;
  void (*function)();  ///< of the type <op>Function
};

/// Every kernel built for this architecture, in registry order. Static storage.
std::span<const KernelInfo> all_kernels();

/// The kernel for an operation and encoding on a core with `levels`: the last registered one whose
/// level is available; null if there is none. Pure.
const KernelInfo* select_kernel(Op op, Encoding encoding, IsaLevels levels);

/// The chosen function of every operation; null where no kernel reads the encoding.
struct KernelTable {
  GemmFunction gemm[kEncodingCount];
  DequantizeFunction dequantize[kEncodingCount];
  AttnFunction attn[kEncodingCount];        ///< by the type of K and V
  ConvertFunction convert[kEncodingCount];  ///< by the type of the output
  RmsnormFunction rmsnorm;
  RopeFunction rope;
  SiluMulFunction silu_mul;
  AddFunction add;
};

/// Chooses once for a core with `levels`. Pure.
KernelTable make_kernel_table(IsaLevels levels);

}  // namespace midge
