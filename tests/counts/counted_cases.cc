#include "tests/counts/counted_cases.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "tests/harness/test_data.h"
#include "tools/qemu-insn/insn_marker.h"

namespace midge::test {
namespace {

constexpr int64_t kColumns = 3072;  // the width of Phi-4-mini
constexpr int64_t kGemvRows = 2 * kTileRows;
constexpr int64_t kPromptRows = 48;  // a multiple of the tokens of every PanelShape
constexpr int64_t kHeadDim = 128;
constexpr int64_t kHeads = 8;
constexpr int64_t kKeys = 1024;

// Owns what args point to, on cache lines.
class Operands {
 public:
  template <typename T>
  T* space(int64_t count) {
    const auto bytes = static_cast<size_t>(count) * sizeof(T);
    memory_.emplace_back((bytes + sizeof(Line) - 1) / sizeof(Line));
    return reinterpret_cast<T*>(memory_.back().data());
  }
  template <typename T>
  T* copy(const std::vector<T>& values) {
    T* at = space<T>(static_cast<int64_t>(values.size()));
    std::memcpy(at, values.data(), values.size() * sizeof(T));
    return at;
  }
  /// Numbers without infinities and NaN.
  float* floats(int64_t count) { return copy(test_floats(DataSort::kNormal, count, ++stream_)); }

 private:
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<std::vector<Line>> memory_;
  uint64_t stream_ = 0;
};

// A case whose args are made by make_args(Operands&).
template <typename MakeArgs>
CountedCase make_case(const KernelInfo& kernel, std::string name, int64_t elements, int64_t bytes,
                      MakeArgs make_args) {
  return {std::move(name), elements, bytes, [&kernel, make_args] {
            using Args = decltype(make_args(std::declval<Operands&>()));
            const auto operands = std::make_shared<Operands>();
            const Args args = make_args(*operands);
            const auto function = reinterpret_cast<void (*)(const Args*)>(kernel.function);
            return std::function<void()>([operands, args, function] {
              INSN_REGION_BEGIN(1);
              function(&args);
              INSN_REGION_END(1);
            });
          }};
}

std::string numbered(const char* letter, int64_t number) {
  std::string text = letter;
  text += '=';
  text += std::to_string(number);
  return text;
}

CountedCase gemv_case(const KernelInfo& kernel, int64_t m) {
  const Encoding encoding = kernel.encoding;
  return make_case(
      kernel, numbered("m", m), kGemvRows * kColumns,
      kGemvRows / kTileRows * packed_tile_bytes(encoding, kColumns), [=](Operands& o) {
        GemvArgs args = {};
        args.m = m;
        args.n = kGemvRows;
        args.k = kColumns;
        if (encoding == Encoding::kF16) {
          args.lhs = o.floats(m * kColumns);
          args.lhs_stride = kColumns * 4;
        } else {
          args.lhs = o.copy(test_lhs_blocks(DataSort::kNormal, m, kColumns, 1));
          args.lhs_stride = lhs_blocks(kColumns) * static_cast<int64_t>(sizeof(LhsBlock));
        }
        args.rhs = o.copy(test_packed(encoding, DataSort::kNormal, kGemvRows, kColumns, 2));
        args.out = o.space<float>(m * kGemvRows);
        args.out_stride = kGemvRows * 4;
        return args;
      });
}

CountedCase gemm_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  const int64_t row_bytes = encoded_row_bytes(encoding, kColumns);
  return make_case(kernel, "m=1", kGemvRows * kColumns, kGemvRows * row_bytes, [=](Operands& o) {
    GemmArgs args = {};
    args.m = 1;
    args.n = kGemvRows;
    args.k = kColumns;
    args.lhs = o.floats(kColumns);
    args.rhs = o.copy(test_encoded_rows(encoding, DataSort::kNormal, kGemvRows, kColumns, 2));
    args.rhs_stride = row_bytes;
    args.out = o.space<float>(kGemvRows);
    return args;
  });
}

CountedCase dequantize_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kColumns), kColumns, encoded_row_bytes(encoding, kColumns),
                   [=](Operands& o) {
                     return DequantizeArgs{
                         kColumns,
                         o.copy(test_encoded_rows(encoding, DataSort::kNormal, 1, kColumns, 2)),
                         o.space<float>(kColumns)};
                   });
}

CountedCase lookup_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kColumns), kColumns,
                   packed_tile_bytes(encoding, kColumns) / kTileRows, [=](Operands& o) {
                     return LookupArgs{
                         kColumns,
                         o.copy(test_packed(encoding, DataSort::kNormal, kTileRows, kColumns, 2)),
                         5, o.space<float>(kColumns)};
                   });
}

CountedCase quantize_case(const KernelInfo& kernel) {
  const int64_t blocks = lhs_blocks(kColumns);
  return make_case(kernel, numbered("k", kColumns), kColumns,
                   kColumns * 4 + blocks * static_cast<int64_t>(sizeof(LhsBlock)),
                   [=](Operands& o) {
                     return QuantizeArgs{kColumns, o.floats(kColumns), o.space<LhsBlock>(blocks)};
                   });
}

CountedCase quantize_panel_case(const KernelInfo& kernel) {
  constexpr int64_t kCount = kPromptRows * kColumns;
  constexpr int64_t kScales = kCount / kPanelColumns;
  return make_case(kernel, numbered("m", kPromptRows), kCount, kCount * 5 + kScales * 8,
                   [](Operands& o) {
                     return QuantizePanelArgs{0,
                                              kPromptRows,
                                              kColumns,
                                              o.floats(kCount),
                                              kColumns * 4,
                                              {o.space<int8_t>(kCount), o.space<float>(kScales),
                                               o.space<int32_t>(kScales), kPromptRows}};
                   });
}

CountedCase unpack_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kPanelColumns), kTileRows * kPanelColumns,
                   packed_tile_bytes(encoding, kPanelColumns), [=](Operands& o) {
                     return UnpackArgs{kPanelColumns,
                                       o.copy(test_packed(encoding, DataSort::kNormal, kTileRows,
                                                          kPanelColumns, 2)),
                                       o.space<int8_t>(kPanelBytes), o.space<float>(kTileRows)};
                   });
}

// The values do not matter: a panel of zeros takes as many instructions.
CountedCase gemm_panel_case(const KernelInfo& kernel) {
  constexpr int64_t kLhsBytes = kPromptRows * kPanelColumns;
  constexpr int64_t kSums = kPromptRows * kTileRows;
  return make_case(kernel, numbered("m", kPromptRows), kLhsBytes * kTileRows,
                   kLhsBytes + kPanelBytes + kSums * 8, [](Operands& o) {
                     return GemmPanelArgs{kPromptRows,
                                          false,
                                          o.space<int8_t>(kLhsBytes),
                                          o.floats(kPromptRows),
                                          o.space<int32_t>(kPromptRows),
                                          o.space<int8_t>(kPanelBytes),
                                          o.floats(kTileRows),
                                          o.space<float>(kSums)};
                   });
}

// An outlier in every row, at the same column.
CountedCase add_outliers_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(
      kernel, numbered("m", kPromptRows), kPromptRows * kTileRows,
      packed_tile_bytes(encoding, kPanelColumns), [=](Operands& o) {
        AddOutliersArgs args = {};
        args.m = kPromptRows;
        args.rhs = o.copy(test_packed(encoding, DataSort::kNormal, kTileRows, kPanelColumns, 2));
        args.counts = o.copy(std::vector<uint8_t>(kPromptRows, 1));
        args.items = o.copy(std::vector<Outlier>(kPromptRows * kOutliersMax, Outlier{5, 2.0f}));
        args.columns = o.space<float>(kPanelColumns * kTileRows);
        args.acc = o.space<float>(kPromptRows * kTileRows);
        return args;
      });
}

CountedCase attn_case(const KernelInfo& kernel, int64_t queries) {
  const Encoding type = kernel.encoding;
  const int64_t row_bytes = encoded_row_bytes(type, kHeadDim);
  return make_case(kernel, numbered("queries", queries), queries * kKeys * kHeadDim,
                   2 * kKeys * row_bytes, [=](Operands& o) {
                     auto** page = o.space<const uint8_t*>(1);
                     *page =
                         o.copy(test_encoded_rows(type, DataSort::kNormal, 2 * kKeys, kHeadDim, 1));
                     auto* queries_at = o.space<AttnQuery>(queries);
                     for (int64_t i = 0; i < queries; ++i) {
                       queries_at[i] = {o.floats(kHeadDim), 0, kKeys, o.space<float>(kHeadDim)};
                     }
                     return AttnArgs{.count = queries,
                                     .head_dim = kHeadDim,
                                     .queries = queries_at,
                                     .pages = page,
                                     .page_count = 1,
                                     .page_tokens = kKeys,
                                     .k_offset = 0,
                                     .k_stride = row_bytes * kKeyBlock,
                                     .v_offset = kKeys * row_bytes,
                                     .v_stride = row_bytes,
                                     .scale = 1 / std::sqrt(static_cast<float>(kHeadDim)),
                                     .maximums = o.space<float>(queries),
                                     .totals = o.space<float>(queries)};
                   });
}

CountedCase rope_case(const KernelInfo& kernel) {
  constexpr int64_t kCount = kHeads * kHeadDim;
  return make_case(kernel, numbered("heads", kHeads), kCount, kCount * 8, [](Operands& o) {
    return RopeArgs{kHeads,
                    kHeadDim * 4,
                    kHeadDim,
                    1,
                    kHeadDim / 2,
                    o.floats(kHeadDim / 2),
                    o.floats(kHeadDim / 2),
                    o.floats(kCount)};
  });
}

// Operations on a row of numbers: `operand_bytes` per number, args by make_args(Operands&).
template <typename MakeArgs>
CountedCase row_case(const KernelInfo& kernel, int64_t operand_bytes, MakeArgs make_args) {
  return make_case(kernel, numbered("n", kColumns), kColumns, kColumns * operand_bytes, make_args);
}

}  // namespace

std::vector<CountedCase> counted_cases(const KernelInfo& kernel) {
  std::vector<CountedCase> cases;
  switch (kernel.op) {
    case Op::kGemm: return {gemm_case(kernel)};
    case Op::kDequantize: return {dequantize_case(kernel)};
    case Op::kQuantize: return {quantize_case(kernel)};
    case Op::kGemv:
      for (const int64_t m : {1, 2, 4, 8}) {
        if (m <= kernel.rows_max) cases.push_back(gemv_case(kernel, m));
      }
      return cases;
    case Op::kLookup: return {lookup_case(kernel)};
    case Op::kQuantizePanel: return {quantize_panel_case(kernel)};
    case Op::kUnpack: return {unpack_case(kernel)};
    case Op::kGemmPanel: return {gemm_panel_case(kernel)};
    case Op::kAddOutliers: return {add_outliers_case(kernel)};
    case Op::kAttn:
      for (const int64_t queries : {1, 4, 32}) cases.push_back(attn_case(kernel, queries));
      return cases;
    case Op::kConvert:
      return {row_case(kernel, 4 + encoding_info(kernel.encoding).block_bytes, [](Operands& o) {
        return ConvertArgs{kColumns, o.floats(kColumns), o.space<float>(kColumns)};
      })};
    case Op::kRmsnorm:
      return {row_case(kernel, 12, [](Operands& o) {
        return RmsnormArgs{
            1, kColumns, o.floats(kColumns), 0, o.floats(kColumns), 1e-5f, o.space<float>(kColumns),
            0};
      })};
    case Op::kRope: return {rope_case(kernel)};
    case Op::kSiluMul:
      return {row_case(kernel, 12, [](Operands& o) {
        return SiluMulArgs{kColumns, o.floats(kColumns), o.floats(kColumns),
                           o.space<float>(kColumns)};
      })};
    case Op::kAdd:
      return {row_case(kernel, 12, [](Operands& o) {
        return AddArgs{kColumns, o.floats(kColumns), o.floats(kColumns), o.space<float>(kColumns)};
      })};
  }
  return cases;
}

}  // namespace midge::test
