// The registry of kernels and the choice among them.
#pragma once

#include <span>
#include <string_view>

#include "kernels/encoding.h"
#include "kernels/kernel_types.h"

namespace midge {

/// Instruction set levels, weakest first within an architecture. A kernel of a level runs where
/// that level is available. Levels of the other architecture are known (names, recorded CPUs) but
/// have no kernels in a build.
enum class IsaLevel : uint8_t {
  kGeneric,
  kNeon,        ///< arm64: Armv8.0 Advanced SIMD
  kNeonDot,     ///< and sdot, udot (Armv8.2 DotProd)
  kNeonI8mm,    ///< and smmla, usdot (Armv8.6 I8MM)
  kAvx2,        ///< x86-64: AVX2, FMA, F16C
  kAvx512Vnni,  ///< and AVX-512 F, BW, DQ, VL, VNNI
  kAmx,         ///< and AMX with int8, for prefill
};
inline constexpr int kIsaLevelCount = 7;

/// "generic", "neon_dot" ... as in kernel names.
const char* isa_level_name(IsaLevel level);

/// Finds a level by its name; false if there is none.
bool find_isa_level(std::string_view name, IsaLevel* level);

/// The set of levels a core may run.
struct IsaLevels {
  uint32_t bits = 1u << static_cast<int>(IsaLevel::kGeneric);

  bool has(IsaLevel level) const { return (bits >> static_cast<int>(level) & 1u) != 0; }
  void add(IsaLevel level) { bits |= 1u << static_cast<int>(level); }
  /// The highest one.
  IsaLevel top() const;
  /// Without those above `level`.
  IsaLevels up_to(IsaLevel level) const;
};

enum class Op : uint8_t {
  kGemm,
  kDequantize,
  kQuantize,
  kGemv,
  kLookup,
  kQuantizePanel,
  kUnpack,
  kGemmPanel,
  kAttn,
  kConvert,
  kRmsnorm,
  kRope,
  kSiluMul,
  kAdd,
};

/// "gemm", "silu_mul" ... as in kernel names.
const char* op_name(Op op);

#define MIDGE_KERNEL(op, name, encoding, level, rows_max) void name(const op##Args* args);
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
  int rows_max;        ///< 0: any number
  void (*function)();  ///< of the type <op>Function
};

/// Every kernel built for this architecture, in registry order. Static storage.
std::span<const KernelInfo> all_kernels();

/// A kernel that is known to be the best of its operation and encoding for some numbers of rows.
struct TunedKernel {
  const KernelInfo* kernel;
  int rows_min;
  int rows_max;

  bool operator==(const TunedKernel&) const = default;
};

/// Which kernels may be chosen.
struct KernelChoice {
  IsaLevels levels;
  /// Kernels whose name matches (* and ?) and whose level is available win over all others.
  /// Empty: none do.
  std::string_view prefer = {};
  /// These win over kernels of higher levels. Of gemm_panel, for all prefill kernels of its level.
  std::span<const TunedKernel> tuned = {};
};

/// True if `name` matches `pattern`: * any run of characters, ? any one.
bool matches_glob(std::string_view pattern, std::string_view name);

/// The kernel for an operation, encoding and number of rows: of those whose level is available and
/// that take the rows, the preferred ones, else the tuned one, else those of the highest level; of
/// these the one for the fewest rows; of these the last registered. Null if there is none. Pure.
const KernelInfo* select_kernel(Op op, Encoding encoding, const KernelChoice& choice = {},
                                int rows = 1);

/// How the kernels of a level want activations in the prefill arithmetic, see PanelLhs, and how
/// many gemm_panel takes: a multiple of `step`, which divides `tokens`.
struct PanelShape {
  int64_t tokens;
  int64_t group;
  int64_t step;
};
PanelShape panel_shape(IsaLevel level);

/// The level whose prefill kernels are chosen, that of gemm_panel. Its kernels only fit each other.
IsaLevel panel_level(const KernelChoice& choice);
/// The choice among the prefill kernels: those of panel_level alone.
KernelChoice panel_choice(const KernelChoice& choice);

/// Rows of activations that the decode kernels take at most.
inline constexpr int kGemvRowsMax = 8;

/// The chosen function of every operation; null where no kernel reads the encoding.
struct KernelTable {
  GemmFunction gemm[kEncodingCount];
  DequantizeFunction dequantize[kEncodingCount];
  QuantizeFunction quantize;
  GemvFunction gemv[kEncodingCount][kGemvRowsMax + 1];  ///< by the number of rows
  LookupFunction lookup[kEncodingCount];
  PanelShape panel;
  QuantizePanelFunction quantize_panel;
  UnpackFunction unpack[kEncodingCount];
  GemmPanelFunction gemm_panel;
  AttnFunction attn[kEncodingCount];        ///< by the type of K and V
  ConvertFunction convert[kEncodingCount];  ///< by the type of the output
  RmsnormFunction rmsnorm;
  RopeFunction rope;
  SiluMulFunction silu_mul;
  AddFunction add;
};

/// Chooses once. Pure.
KernelTable make_kernel_table(const KernelChoice& choice = {});

}  // namespace midge
