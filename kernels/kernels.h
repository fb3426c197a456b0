// The registry of kernels and the choice among them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kernels/encoding.h"
#include "kernels/isa.h"
#include "kernels/kernel_types.h"

namespace midge {

enum class Op : uint8_t {
  kGemm,
  kDequantize,
  kQuantize,
  kGemv,
  kLookup,
  kQuantizePanel,
  kUnpack,
  kGemmPanel,
  kTakeOutliers,
  kAddOutliers,
  kAttn,
  kAttnQ8,
  kAttnK8V4,
  kConvert,
  kRmsnorm,
  kRope,
  kSiluMul,
  kExpSum,
  kAdd,
};

/// "gemm", "silu_mul" ... as in kernel names.
const char* op_name(Op op);

/// The orders of int8 bytes that kernels of the prefill arithmetic hand to each other. Two kernels
/// fit each other if what one writes has the order that the other reads.
enum class LhsOrder : uint8_t {
  kNone,
  k1x256,  ///< plain rows
  k4x16,   ///< 16 columns of 4 tokens: smull takes 16 columns of a token from a register
  k12x4,   ///< 4 columns of 12 tokens: sdot by lane takes 4 columns of 4 tokens from a register
  k8x8,    ///< 8 columns of 8 tokens: smmla takes 8 columns of 2 tokens
};
inline constexpr int kLhsOrderCount = 5;
enum class PanelOrder : uint8_t {
  kNone,
  kRows,       ///< [32 rows][256 columns]
  kQuads16,    ///< [8 quads of rows][16 runs of 16 columns][4 rows][16]
  kOctets4,    ///< [4 octets of rows][32 runs of 8 columns][2 quads][2 runs of 4][4 rows][4]
  kOctets8,    ///< [4 octets of rows][32 runs of 8 columns][8 rows][8]
  kGroups4,    ///< [64 runs of 4 columns][32 rows][4]
  kGroups4Up,  ///< the same of values + 128
};

/// What a kernel reads and writes, where that is not one thing for all of its operation.
struct KernelLayout {
  LhsOrder lhs = LhsOrder::kNone;        ///< of a PanelLhs
  PanelOrder panel = PanelOrder::kNone;  ///< of a panel

  constexpr bool operator==(const KernelLayout&) const = default;
};

/// How a kernel's results relate to those of its scalar specification.
enum class Exactness : uint8_t {
  kSameBits,
  kClose,  ///< within bounds of its own: never chosen, unless by name
};

/// One registered kernel.
struct KernelInfo {
  const char* name;
  Op op;
  Encoding encoding;
  IsaLevel level;        ///< the ISA token of the name
  CpuFeatures features;  ///< that a core must have
  int rows_max;          ///< 0: any number
  KernelLayout layout;
  Exactness exactness;
  int priority;        ///< of the kernels that a core can run, the greatest is chosen
  void (*function)();  ///< of the type <op>Function
};

/// The level of the ISA token in a kernel's name: it ends the name, or the tuning token follows it.
IsaLevel level_of_kernel(std::string_view name);

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
  CpuFeatures features;  ///< of the cores
  /// Kernels whose name matches (* and ?) and that the cores can run win over all others. Empty:
  /// none do.
  std::string_view prefer = {};
  /// These win over kernels of greater priority. Of gemm_panel, for all prefill kernels that fit.
  std::span<const TunedKernel> tuned = {};
};

/// True if `name` matches `pattern`: * any run of characters, ? any one.
bool matches_glob(std::string_view pattern, std::string_view name);

/// The kernel for an operation, encoding and number of rows: of those that the cores can run and
/// that take the rows, a preferred one, else the tuned one, else that of the greatest priority.
/// Null if there is none. Of the prefill kernels, those that fit the gemm_panel chosen; of
/// kUnpack, where there is none, the portable one. Pure.
const KernelInfo* select_kernel(Op op, Encoding encoding, const KernelChoice& choice = {},
                                int rows = 1);

/// The same among the prefill kernels that fit `partner`, another one of them; null if there is
/// none. Pure.
const KernelInfo* select_panel_kernel(Op op, Encoding encoding, const KernelInfo& partner,
                                      const KernelChoice& choice);

/// How gemm_panel kernels want activations, see PanelLhs, and how many they take: a multiple of
/// `step`, which divides `tokens`.
struct PanelShape {
  int64_t tokens;
  int64_t group;
  int64_t step;

  bool operator==(const PanelShape&) const = default;
};
PanelShape panel_shape(LhsOrder order);

/// Rows of activations that the decode kernels take at most.
inline constexpr int kGemvRowsMax = 8;

/// The chosen function of every operation; null where no kernel reads the encoding.
struct KernelTable {
  GemmFunction gemm[kEncodingCount];
  DequantizeFunction dequantize[kEncodingCount];
  QuantizeFunction quantize;
  GemvFunction gemv[kEncodingCount][kGemvRowsMax + 1];  ///< by the number of rows
  LookupFunction lookup[kEncodingCount];
  LhsOrder lhs_order;      ///< of the prefill kernels
  PanelShape panel;        ///< of lhs_order
  PanelOrder panel_order;  ///< that gemm_panel reads
  QuantizePanelFunction quantize_panel;
  UnpackFunction unpack[kEncodingCount];    ///< call unpack_panel
  PanelOrder unpack_order[kEncodingCount];  ///< that they write: panel_order or kRows
  GemmPanelFunction gemm_panel;
  TakeOutliersFunction take_outliers;
  AddOutliersFunction add_outliers[kEncodingCount];
  AttnFunction attn[kEncodingCount];  ///< by the type of K and V
  AttnFunction attn_q8;               ///< of a quantised cache
  AttnFunction attn_k8v4;
  ConvertFunction convert[kEncodingCount];  ///< by the type of the output
  RmsnormFunction rmsnorm;
  RopeFunction rope;
  SiluMulFunction silu_mul;
  ExpSumFunction exp_sum;
  AddFunction add;
};

/// Chooses once. Pure.
KernelTable make_kernel_table(const KernelChoice& choice = {});

/// Unpacks into a panel for the table's gemm_panel. An encoding that has no kernel for its order
/// goes through the portable one and is put in order: slow, and the same bits.
void unpack_panel(const KernelTable& table, Encoding encoding, const UnpackArgs& args);

/// The tables of a team whose cores differ: one per type of core. All of them give the same bits,
/// so any worker may take any part of a matrix. Prefill kernels of different tables may want
/// activations in different orders: orders() says which, and whoever quantises a prompt's rows
/// makes a copy in each. One order for all would cost more: the orders of sdot and smmla are what
/// lets them take 4 and 2 tokens per register (docs/arm-kernels.md), while a copy is a byte per
/// activation against n multiply-adds.
class KernelTables {
 public:
  KernelTables() = default;
  /// One table for all.
  explicit KernelTables(const KernelTable& table) : tables_{table}, orders_{table.lhs_order} {}
  /// tables: one per type of core, at least one.
  explicit KernelTables(std::vector<KernelTable> tables);

  std::span<const KernelTable> tables() const { return tables_; }
  /// The table of a type of core (Worker::core_type); of a type beyond the list, the first one.
  const KernelTable& of_type(int core_type) const;

  /// The orders of activations that the tables' prefill kernels read, each once.
  std::span<const LhsOrder> orders() const { return orders_; }
  /// Which of orders() a table's kernels read.
  int order_index(const KernelTable& table) const;
  /// The kernel that writes orders()[index], of the first table that has it.
  const KernelTable& table_of_order(int index) const;

 private:
  std::vector<KernelTable> tables_;
  std::vector<LhsOrder> orders_;
};

}  // namespace midge
