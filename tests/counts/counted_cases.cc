#include "tests/counts/counted_cases.h"

#include <cmath>
#include <memory>
#include <utility>

#include "engine/calibration/operands.h"
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

// A case whose args are made by make_args(OperandMemory&).
template <typename MakeArgs>
CountedCase make_case(const KernelInfo& kernel, std::string name, int64_t elements, int64_t bytes,
                      MakeArgs make_args) {
  return {std::move(name), elements, bytes, [&kernel, make_args] {
            using Args = decltype(make_args(std::declval<OperandMemory&>()));
            const auto operands = std::make_shared<OperandMemory>();
            const Args args = make_args(*operands);
            const auto function = reinterpret_cast<void (*)(const Args*)>(kernel.function);
            return std::function<void()>([operands, args, function] {
              INSN_REGION_BEGIN(1);
              function(&args);
              INSN_REGION_END(1);
            });
          }};
}

// Numbers without infinities and NaN.
std::vector<float> numbers(int64_t count) { return test_floats(DataSort::kNormal, count, 1); }
const float* place_numbers(int64_t count, OperandMemory& memory) {
  return memory.input("in", extent(count * 4), numbers(count).data());
}
float* place_out(int64_t count, OperandMemory& memory) {
  return memory.output<float>("out", extent(count * 4), OperandType::kF32);
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
      kGemvRows / kTileRows * packed_tile_bytes(encoding, kColumns), [=](OperandMemory& memory) {
        GemvLhs lhs;
        if (encoding == Encoding::kF16) {
          lhs.floats = test_floats(DataSort::kNormal, m * kColumns, 1);
        } else {
          lhs.blocks = test_lhs_blocks(DataSort::kNormal, m, kColumns, 1);
        }
        const auto packed = test_packed(encoding, DataSort::kNormal, kGemvRows, kColumns, 2);
        GemvArgs args =
            gemv_operands(encoding, m, kGemvRows, kColumns, 0, lhs, packed.data(), memory);
        dense_out(&args, memory);
        return args;
      });
}

CountedCase gemm_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, "m=1", kGemvRows * kColumns,
                   kGemvRows * encoded_row_bytes(encoding, kColumns), [=](OperandMemory& memory) {
                     const auto rows =
                         test_encoded_rows(encoding, DataSort::kNormal, kGemvRows, kColumns, 2);
                     GemmArgs args = gemm_operands(encoding, 1, kGemvRows, kColumns, 0,
                                                   numbers(kColumns).data(), rows.data(), memory);
                     dense_out(&args, memory);
                     return args;
                   });
}

CountedCase dequantize_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kColumns), kColumns, encoded_row_bytes(encoding, kColumns),
                   [=](OperandMemory& memory) {
                     const auto row =
                         test_encoded_rows(encoding, DataSort::kNormal, 1, kColumns, 2);
                     return dequantize_operands(encoding, kColumns, row.data(), memory);
                   });
}

CountedCase lookup_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kColumns), kColumns,
                   packed_tile_bytes(encoding, kColumns) / kTileRows, [=](OperandMemory& memory) {
                     const auto tile =
                         test_packed(encoding, DataSort::kNormal, kTileRows, kColumns, 2);
                     return lookup_operands(encoding, kColumns, 5, tile.data(), memory);
                   });
}

CountedCase quantize_case(const KernelInfo& kernel) {
  return make_case(kernel, numbered("k", kColumns), kColumns,
                   kColumns * 4 + lhs_blocks(kColumns) * static_cast<int64_t>(sizeof(LhsBlock)),
                   [](OperandMemory& memory) {
                     return quantize_operands(kColumns, numbers(kColumns).data(), memory);
                   });
}

CountedCase quantize_panel_case(const KernelInfo& kernel) {
  constexpr int64_t kCount = kPromptRows * kColumns;
  constexpr int64_t kScales = kCount / kPanelColumns;
  return make_case(kernel, numbered("m", kPromptRows), kCount, kCount * 5 + kScales * 8,
                   [](OperandMemory& memory) {
                     return quantize_panel_operands(0, kPromptRows, kColumns, 0, kPromptRows,
                                                    numbers(kCount).data(), 0, memory);
                   });
}

CountedCase unpack_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(kernel, numbered("k", kPanelColumns), kTileRows * kPanelColumns,
                   packed_tile_bytes(encoding, kPanelColumns), [=](OperandMemory& memory) {
                     const auto units =
                         test_packed(encoding, DataSort::kNormal, kTileRows, kPanelColumns, 2);
                     return unpack_operands(encoding, kPanelColumns, units.data(), memory);
                   });
}

// The values do not matter: a panel of zeros takes as many instructions.
CountedCase gemm_panel_case(const KernelInfo& kernel) {
  constexpr int64_t kLhsBytes = kPromptRows * kPanelColumns;
  constexpr int64_t kSums = kPromptRows * kTileRows;
  return make_case(kernel, numbered("m", kPromptRows), kLhsBytes * kTileRows,
                   kLhsBytes + kPanelBytes + kSums * 8, [](OperandMemory& memory) {
                     const std::vector<float> lhs_scales = numbers(kPromptRows);
                     const std::vector<float> panel_scales = numbers(kTileRows);
                     PanelProduct product;
                     product.m = product.lhs_rows = kPromptRows;
                     product.lhs_scales = lhs_scales.data();
                     product.panel_scales = panel_scales.data();
                     return gemm_panel_operands(product, memory);
                   });
}

// An outlier in every row, at the same column.
CountedCase add_outliers_case(const KernelInfo& kernel) {
  const Encoding encoding = kernel.encoding;
  return make_case(
      kernel, numbered("m", kPromptRows), kPromptRows * kTileRows,
      packed_tile_bytes(encoding, kPanelColumns), [=](OperandMemory& memory) {
        const auto units = test_packed(encoding, DataSort::kNormal, kTileRows, kPanelColumns, 2);
        const std::vector<uint8_t> counts(kPromptRows, 1);
        const std::vector<Outlier> items(kPromptRows * kOutliersMax, Outlier{5, 2.0f});
        const std::vector<float> acc(kPromptRows * kTileRows);
        return add_outliers_operands(encoding, kPromptRows, kPanelColumns, units.data(),
                                     counts.data(), items.data(), acc.data(), memory);
      });
}

CountedCase attn_case(const KernelInfo& kernel, int64_t queries) {
  const Encoding type = kernel.encoding;
  const int64_t row_bytes = encoded_row_bytes(type, kHeadDim);
  return make_case(kernel, numbered("queries", queries), queries * kKeys * kHeadDim,
                   2 * kKeys * row_bytes, [=](OperandMemory& memory) {
                     const auto cache = [&](uint64_t stream) {
                       return test_encoded_rows(type, DataSort::kNormal, kKeys, kHeadDim, stream);
                     };
                     const std::vector<SeenKeys> seen(static_cast<size_t>(queries),
                                                      SeenKeys{0, kKeys});
                     const float scale = 1 / std::sqrt(static_cast<float>(kHeadDim));
                     return attn_operands({type, kHeadDim, kKeys, scale}, seen,
                                          numbers(queries * kHeadDim).data(), cache(1).data(),
                                          cache(2).data(), memory);
                   });
}

CountedCase quantized_attn_case(const KernelInfo& kernel, int64_t queries) {
  const QuantizedAttn cache =
      random_quantized_attn(kernel.op, kHeadDim, kKeys, queries, 1, [](int64_t) { return 0.01f; });
  const auto bytes =
      static_cast<int64_t>(cache.keys.size() + cache.values.size() +
                           4 * (cache.key_scales.size() + cache.value_scales.size()));
  return make_case(kernel, numbered("queries", queries), queries * kKeys * kHeadDim, bytes,
                   [=](OperandMemory& memory) {
                     const std::vector<SeenKeys> seen(static_cast<size_t>(queries),
                                                      SeenKeys{0, kKeys});
                     const float scale = 1 / std::sqrt(static_cast<float>(kHeadDim));
                     return quantized_attn_operands({Encoding::kF32, kHeadDim, kKeys, scale}, seen,
                                                    cache, memory);
                   });
}

CountedCase rope_case(const KernelInfo& kernel) {
  constexpr int64_t kCount = kHeads * kHeadDim;
  return make_case(
      kernel, numbered("heads", kHeads), kCount, kCount * 8, [](OperandMemory& memory) {
        RopeArgs args = {};
        args.heads = kHeads;
        args.head_stride = kHeadDim * 4;
        args.width = kHeadDim;
        args.step = 1;
        args.partner = kHeadDim / 2;
        args.cos = place_numbers(kHeadDim / 2, memory);
        args.sin = place_numbers(kHeadDim / 2, memory);
        args.x = memory.in_out("x", extent(kCount * 4), numbers(kCount).data(), OperandType::kF32);
        return args;
      });
}

// Operations on a row of numbers: `operand_bytes` per number, args by make_args(OperandMemory&).
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
    case Op::kTakeOutliers:
      return {make_case(kernel, numbered("k", kPanelColumns), kPanelColumns, kPanelColumns * 4,
                        [](OperandMemory& memory) {
                          return take_outliers_operands(kPanelColumns,
                                                        numbers(kPanelColumns).data(), memory);
                        })};
    case Op::kAddOutliers: return {add_outliers_case(kernel)};
    case Op::kAttn:
      for (const int64_t queries : {1, 4, 32}) cases.push_back(attn_case(kernel, queries));
      return cases;
    case Op::kAttnQ8:
    case Op::kAttnK8V4:
      for (const int64_t queries : {1, 4, 32}) {
        cases.push_back(quantized_attn_case(kernel, queries));
      }
      return cases;
    case Op::kConvert:
      return {row_case(kernel, 4 + encoding_info(kernel.encoding).block_bytes,
                       [](OperandMemory& memory) {
                         return ConvertArgs{kColumns, place_numbers(kColumns, memory),
                                            place_out(kColumns, memory)};
                       })};
    case Op::kRmsnorm:
      return {row_case(kernel, 12, [](OperandMemory& memory) {
        return RmsnormArgs{1,
                           kColumns,
                           place_numbers(kColumns, memory),
                           0,
                           place_numbers(kColumns, memory),
                           1e-5f,
                           place_out(kColumns, memory),
                           0};
      })};
    case Op::kRope: return {rope_case(kernel)};
    case Op::kSiluMul:
      return {row_case(kernel, 12, [](OperandMemory& memory) {
        return SiluMulArgs{kColumns, place_numbers(kColumns, memory),
                           place_numbers(kColumns, memory), place_out(kColumns, memory)};
      })};
    case Op::kExpSum:
      return {row_case(kernel, 4, [](OperandMemory& memory) {
        const float* x = place_numbers(kColumns, memory);
        return ExpSumArgs{kColumns, x, *std::max_element(x, x + kColumns),
                          memory.output<double>("sums", extent(kColumns / kExpSumBlock * 8),
                                                OperandType::kBytes)};
      })};
    case Op::kAdd:
      return {row_case(kernel, 12, [](OperandMemory& memory) {
        return AddArgs{kColumns, place_numbers(kColumns, memory), place_numbers(kColumns, memory),
                       place_out(kColumns, memory)};
      })};
  }
  return cases;
}

}  // namespace midge::test
