#include "kernels/kernels.h"

namespace midge {
namespace {

#define MIDGE_KERNEL(op, name, encoding, level, rows_max) \
  KernelInfo{                                             \
      #name,           Op::k##op, Encoding::encoding,     \
      IsaLevel::level, rows_max,  reinterpret_cast<void (*)()>(static_cast<op##Function>(&name))},
const KernelInfo kKernels[] = {
#include "kernels/kernels.def"
};
#undef MIDGE_KERNEL

constexpr const char* kIsaLevelNames[kIsaLevelCount] = {
    "generic", "neon", "neon_dot", "neon_i8mm", "avx2", "avx512_vnni", "amx"};

constexpr PanelShape kPanelShapes[kIsaLevelCount] = {
    {1, kPanelColumns, 1},  // generic
    {4, 16, 4},             // neon: smull takes 16 columns of a token from a register
    {12, 4, 4},             // neon_dot: sdot by lane takes 4 columns of 4 tokens from a register
    {8, 8, 8},              // neon_i8mm: smmla takes 8 columns of 2 tokens
    {1, kPanelColumns, 1},  // avx2: activations are broadcast from where they lie
    {1, kPanelColumns, 1},  // avx512_vnni
    {1, kPanelColumns, 1},  // amx: rows of a tile are read wherever they lie
};

template <typename Function>
Function choose(Op op, Encoding encoding, const KernelChoice& choice, int rows = 1) {
  const KernelInfo* info = select_kernel(op, encoding, choice, rows);
  return info == nullptr ? nullptr : reinterpret_cast<Function>(info->function);
}

// What beats the level: 2 preferred, 1 tuned, 0 nothing.
int rank_of(const KernelInfo& kernel, const KernelChoice& choice, int rows) {
  if (!choice.prefer.empty() && matches_glob(choice.prefer, kernel.name)) return 2;
  for (const TunedKernel& tuned : choice.tuned) {
    if (tuned.kernel == &kernel && tuned.rows_min <= rows && rows <= tuned.rows_max) return 1;
  }
  return 0;
}

}  // namespace

const char* isa_level_name(IsaLevel level) { return kIsaLevelNames[static_cast<int>(level)]; }

bool find_isa_level(std::string_view name, IsaLevel* level) {
  for (int i = 0; i < kIsaLevelCount; ++i) {
    if (name == kIsaLevelNames[i]) {
      *level = static_cast<IsaLevel>(i);
      return true;
    }
  }
  return false;
}

IsaLevel IsaLevels::top() const {
  int level = kIsaLevelCount - 1;
  while (level > 0 && !has(static_cast<IsaLevel>(level))) --level;
  return static_cast<IsaLevel>(level);
}

IsaLevels IsaLevels::up_to(IsaLevel level) const {
  return {bits & ((2u << static_cast<int>(level)) - 1)};
}

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
  const KernelInfo* chosen = nullptr;
  int chosen_rank = 0;
  for (const KernelInfo& kernel : kKernels) {
    if (kernel.op != op || kernel.encoding != encoding || !choice.levels.has(kernel.level) ||
        (kernel.rows_max != 0 && kernel.rows_max < rows)) {
      continue;
    }
    const int rank = rank_of(kernel, choice, rows);
    bool better = chosen == nullptr;
    if (!better && rank != chosen_rank) {
      better = rank > chosen_rank;
    } else if (!better && kernel.level != chosen->level) {
      better = kernel.level > chosen->level;
    } else if (!better) {
      better = kernel.rows_max <= chosen->rows_max;
    }
    if (better) {
      chosen = &kernel;
      chosen_rank = rank;
    }
  }
  return chosen;
}

PanelShape panel_shape(IsaLevel level) { return kPanelShapes[static_cast<int>(level)]; }

IsaLevel panel_level(const KernelChoice& choice) {
  return select_kernel(Op::kGemmPanel, Encoding::kF32, choice)->level;
}

KernelChoice panel_choice(const KernelChoice& choice) {
  return {IsaLevels{1u << static_cast<int>(panel_level(choice))}, choice.prefer};
}

KernelTable make_kernel_table(const KernelChoice& choice) {
  // The prefill kernels of a level share orders of bytes, so they are chosen together.
  const KernelChoice of_panel = panel_choice(choice);
  KernelTable table = {};
  table.panel = panel_shape(of_panel.levels.top());
  table.quantize_panel =
      choose<QuantizePanelFunction>(Op::kQuantizePanel, Encoding::kF32, of_panel);
  table.gemm_panel = choose<GemmPanelFunction>(Op::kGemmPanel, Encoding::kF32, of_panel);
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    table.gemm[i] = choose<GemmFunction>(Op::kGemm, encoding, choice);
    table.dequantize[i] = choose<DequantizeFunction>(Op::kDequantize, encoding, choice);
    table.attn[i] = choose<AttnFunction>(Op::kAttn, encoding, choice);
    table.convert[i] = choose<ConvertFunction>(Op::kConvert, encoding, choice);
    table.lookup[i] = choose<LookupFunction>(Op::kLookup, encoding, choice);
    table.unpack[i] = choose<UnpackFunction>(Op::kUnpack, encoding, of_panel);
    for (int rows = 1; rows <= kGemvRowsMax; ++rows) {
      table.gemv[i][rows] = choose<GemvFunction>(Op::kGemv, encoding, choice, rows);
    }
  }
  table.quantize = choose<QuantizeFunction>(Op::kQuantize, Encoding::kF32, choice);
  table.rmsnorm = choose<RmsnormFunction>(Op::kRmsnorm, Encoding::kF32, choice);
  table.rope = choose<RopeFunction>(Op::kRope, Encoding::kF32, choice);
  table.silu_mul = choose<SiluMulFunction>(Op::kSiluMul, Encoding::kF32, choice);
  table.add = choose<AddFunction>(Op::kAdd, Encoding::kF32, choice);
  return table;
}

}  // namespace midge
