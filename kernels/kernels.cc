#include "kernels/kernels.h"

#include <algorithm>
#include <utility>

#include "kernels/call.h"
#include "kernels/declarations.h"
#include "kernels/generic/panel/panel_order.h"

namespace midge {

// The words of kernels.def beside the features. Each architecture uses some of them.
namespace kernel_words {
inline constexpr KernelLayout kAny = {};
inline constexpr KernelLayout kLhs1x256 = {LhsOrder::k1x256, PanelOrder::kNone};
inline constexpr KernelLayout kLhs4x16 = {LhsOrder::k4x16, PanelOrder::kNone};
inline constexpr KernelLayout kLhs12x4 = {LhsOrder::k12x4, PanelOrder::kNone};
inline constexpr KernelLayout kLhs8x8 = {LhsOrder::k8x8, PanelOrder::kNone};
inline constexpr KernelLayout kPanelRows = {LhsOrder::kNone, PanelOrder::kRows};
inline constexpr KernelLayout kPanelQuads16 = {LhsOrder::kNone, PanelOrder::kQuads16};
inline constexpr KernelLayout kPanelOctets4 = {LhsOrder::kNone, PanelOrder::kOctets4};
inline constexpr KernelLayout kPanelOctets8 = {LhsOrder::kNone, PanelOrder::kOctets8};
inline constexpr KernelLayout kPanelGroups4 = {LhsOrder::kNone, PanelOrder::kGroups4};
inline constexpr KernelLayout kPanelGroups4Up = {LhsOrder::kNone, PanelOrder::kGroups4Up};
inline constexpr KernelLayout operator+(const KernelLayout& lhs, const KernelLayout& panel) {
  return {lhs.lhs, panel.panel};
}
inline constexpr Exactness kSameBits = Exactness::kSameBits;
}  // namespace kernel_words

namespace {

using namespace cpu;
using namespace kernel_words;

#define MIDGE_KERNEL(op, name, encoding, features, rows_max, layout, exactness, priority) \
  KernelInfo{#name,                                                                       \
             Op::k##op,                                                                   \
             Encoding::encoding,                                                          \
             level_of_kernel(#name),                                                      \
             features,                                                                    \
             rows_max,                                                                    \
             layout,                                                                      \
             exactness,                                                                   \
             priority,                                                                    \
             reinterpret_cast<void (*)()>(static_cast<op##Function>(&name))},
const KernelInfo kKernels[] = {
#include "kernels/kernels.def"
};
#undef MIDGE_KERNEL

constexpr PanelShape kPanelShapes[kLhsOrderCount] = {
    {0, 0, 0}, {1, kPanelColumns, 1}, {4, 16, 4}, {12, 4, 4}, {8, 8, 8}};

bool fits(const KernelInfo& kernel, const KernelLayout& layout) {
  const auto same = [](auto a, auto b) {
    return a == b || a == decltype(a)() || b == decltype(b)();
  };
  return same(kernel.layout.lhs, layout.lhs) && same(kernel.layout.panel, layout.panel);
}

// What beats the priority: 2 preferred, 1 tuned, 0 nothing, -1 not to be chosen.
int rank_of(const KernelInfo& kernel, const KernelChoice& choice, int rows) {
  if (!choice.prefer.empty() && matches_glob(choice.prefer, kernel.name)) return 2;
  if (kernel.exactness != Exactness::kSameBits) return -1;
  for (const TunedKernel& tuned : choice.tuned) {
    if (tuned.kernel == &kernel && tuned.rows_min <= rows && rows <= tuned.rows_max) return 1;
  }
  return 0;
}

// layout: what the kernel must fit; null: anything.
const KernelInfo* select(Op op, Encoding encoding, const KernelChoice& choice, int rows,
                         const KernelLayout* layout) {
  const KernelInfo* chosen = nullptr;
  int chosen_rank = -1;
  for (const KernelInfo& kernel : kKernels) {
    if (kernel.op != op || kernel.encoding != encoding || !choice.features.has(kernel.features) ||
        (kernel.rows_max != 0 && kernel.rows_max < rows) ||
        (layout != nullptr && !fits(kernel, *layout))) {
      continue;
    }
    const int rank = rank_of(kernel, choice, rows);
    if (rank > chosen_rank ||
        (chosen != nullptr && rank == chosen_rank && kernel.priority > chosen->priority)) {
      chosen = &kernel;
      chosen_rank = rank;
    }
  }
  return chosen;
}

template <typename Function>
Function choose(Op op, Encoding encoding, const KernelChoice& choice, int rows = 1) {
  const KernelInfo* info = select_kernel(op, encoding, choice, rows);
  return info == nullptr ? nullptr : reinterpret_cast<Function>(info->function);
}

}  // namespace

const char* op_name(Op op) {
  switch (op) {
    case Op::kGemm: return "gemm";
    case Op::kDequantize: return "dequantize";
    case Op::kQuantize: return "quantize";
    case Op::kGemv: return "gemv";
    case Op::kLookup: return "lookup";
    case Op::kQuantizePanel: return "quantize_panel";
    case Op::kUnpack: return "unpack";
    case Op::kGemmPanel: return "gemm_panel";
    case Op::kTakeOutliers: return "take_outliers";
    case Op::kAddOutliers: return "add_outliers";
    case Op::kAttn:
    case Op::kAttnQ8:
    case Op::kAttnK8V4: return "attn";
    case Op::kConvert: return "convert";
    case Op::kRmsnorm: return "rmsnorm";
    case Op::kRope: return "rope";
    case Op::kSiluMul: return "silu_mul";
    case Op::kExpSum: return "exp_sum";
    case Op::kAdd: return "add";
  }
  return "unknown";
}

std::span<const KernelInfo> all_kernels() { return kKernels; }

// The longest token counts: neon_dot is not neon with the tuning token "dot".
IsaLevel level_of_kernel(std::string_view name) {
  const std::string_view untuned = name.substr(0, name.rfind('_'));
  IsaLevel level = IsaLevel::kGeneric;
  size_t longest = 0;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const std::string_view token = isa_level_name(static_cast<IsaLevel>(i));
    if ((name.ends_with(token) || untuned.ends_with(token)) && token.size() > longest) {
      level = static_cast<IsaLevel>(i);
      longest = token.size();
    }
  }
  return level;
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;  // the last * seen, and what it stands for so far
  size_t star_end = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_end = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_end;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const KernelInfo* select_kernel(Op op, Encoding encoding, const KernelChoice& choice, int rows) {
  if (op == Op::kQuantizePanel || op == Op::kUnpack) {
    const KernelInfo& gemm = *select_kernel(Op::kGemmPanel, Encoding::kF32, choice);
    const KernelInfo* kernel = select_panel_kernel(op, encoding, gemm, choice);
    return kernel != nullptr ? kernel : select(op, encoding, choice, 1, &kPanelRows);
  }
  return select(op, encoding, choice, rows, nullptr);
}

const KernelInfo* select_panel_kernel(Op op, Encoding encoding, const KernelInfo& partner,
                                      const KernelChoice& choice) {
  return select(op, encoding, choice, 1, &partner.layout);
}

PanelShape panel_shape(LhsOrder order) { return kPanelShapes[static_cast<int>(order)]; }

KernelTable make_kernel_table(const KernelChoice& choice) {
  KernelTable table = {};
  const KernelInfo& gemm_panel = *select_kernel(Op::kGemmPanel, Encoding::kF32, choice);
  table.lhs_order = gemm_panel.layout.lhs;
  table.panel_order = gemm_panel.layout.panel;
  table.panel = panel_shape(table.lhs_order);
  table.quantize_panel = choose<QuantizePanelFunction>(Op::kQuantizePanel, Encoding::kF32, choice);
  table.gemm_panel = reinterpret_cast<GemmPanelFunction>(gemm_panel.function);
  table.attn_q8 = choose<AttnFunction>(Op::kAttnQ8, Encoding::kF32, choice);
  table.attn_k8v4 = choose<AttnFunction>(Op::kAttnK8V4, Encoding::kF32, choice);
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    table.gemm[i] = choose<GemmFunction>(Op::kGemm, encoding, choice);
    table.dequantize[i] = choose<DequantizeFunction>(Op::kDequantize, encoding, choice);
    table.attn[i] = choose<AttnFunction>(Op::kAttn, encoding, choice);
    table.convert[i] = choose<ConvertFunction>(Op::kConvert, encoding, choice);
    table.lookup[i] = choose<LookupFunction>(Op::kLookup, encoding, choice);
    if (const KernelInfo* unpack = select_kernel(Op::kUnpack, encoding, choice)) {
      table.unpack[i] = reinterpret_cast<UnpackFunction>(unpack->function);
      table.unpack_order[i] = unpack->layout.panel;
    }
    table.add_outliers[i] = choose<AddOutliersFunction>(Op::kAddOutliers, encoding, choice);
    for (int rows = 1; rows <= kGemvRowsMax; ++rows) {
      table.gemv[i][rows] = choose<GemvFunction>(Op::kGemv, encoding, choice, rows);
    }
  }
  table.take_outliers = choose<TakeOutliersFunction>(Op::kTakeOutliers, Encoding::kF32, choice);
  table.quantize = choose<QuantizeFunction>(Op::kQuantize, Encoding::kF32, choice);
  table.rmsnorm = choose<RmsnormFunction>(Op::kRmsnorm, Encoding::kF32, choice);
  table.rope = choose<RopeFunction>(Op::kRope, Encoding::kF32, choice);
  table.silu_mul = choose<SiluMulFunction>(Op::kSiluMul, Encoding::kF32, choice);
  table.exp_sum = choose<ExpSumFunction>(Op::kExpSum, Encoding::kF32, choice);
  table.add = choose<AddFunction>(Op::kAdd, Encoding::kF32, choice);
  return table;
}

void unpack_panel(const KernelTable& table, Encoding encoding, const UnpackArgs& args) {
  const int i = static_cast<int>(encoding);
  if (table.unpack_order[i] == table.panel_order) return call_kernel(table.unpack[i], args);
  alignas(64) int8_t rows[kPanelBytes];
  UnpackArgs into_rows = args;
  into_rows.panel = rows;
  call_kernel(table.unpack[i], into_rows);
  generic::order_panel(rows, table.panel_order, args.panel);
}

KernelTables::KernelTables(std::vector<KernelTable> tables) : tables_(std::move(tables)) {
  for (const KernelTable& table : tables_) {
    if (std::find(orders_.begin(), orders_.end(), table.lhs_order) == orders_.end()) {
      orders_.push_back(table.lhs_order);
    }
  }
}

const KernelTable& KernelTables::of_type(int core_type) const {
  const auto at = static_cast<size_t>(core_type);
  return tables_[at < tables_.size() ? at : 0];
}

int KernelTables::order_index(const KernelTable& table) const {
  return static_cast<int>(std::find(orders_.begin(), orders_.end(), table.lhs_order) -
                          orders_.begin());
}

const KernelTable& KernelTables::table_of_order(int index) const {
  return *std::find_if(tables_.begin(), tables_.end(), [&](const KernelTable& table) {
    return table.lhs_order == orders_[static_cast<size_t>(index)];
  });
}

}  // namespace midge
