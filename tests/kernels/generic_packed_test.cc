// What the scalar kernels of packed weights compute, against f64 arithmetic on the weights that
// lookup reads.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "engine/core/aligned_buffer.h"
#include "kernels/declarations.h"
#include "kernels/kernels.h"
#include "tests/harness/kernel_harness.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

std::vector<Encoding> packed_encodings() {
  std::vector<Encoding> encodings;
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    if (packed_info(encoding).unit_elements > 0) encodings.push_back(encoding);
  }
  return encodings;
}
constexpr int64_t kRows = 45;  // a tile and a part of one

// [n, k] weights of packed tiles.
std::vector<float> looked_up(Encoding encoding, const std::vector<uint8_t>& packed, int64_t n,
                             int64_t k) {
  const KernelTable table = make_kernel_table();
  std::vector<float> weights(static_cast<size_t>(n * k));
  for (int64_t row = 0; row < n; ++row) {
    const LookupArgs args = {k, packed.data() + row / kTileRows * packed_tile_bytes(encoding, k),
                             row % kTileRows, weights.data() + row * k};
    table.lookup[static_cast<int>(encoding)](&args);
  }
  return weights;
}

// What the magnitude of a weight's rounding goes by: its own or, where weights are sums of a
// multiple of a scale and a minimum, that of the largest of its block.
std::vector<float> largest_parts(Encoding encoding, const std::vector<uint8_t>& packed, int64_t n,
                                 int64_t k) {
  std::vector<float> parts = looked_up(encoding, packed, n, k);
  if (encoding != Encoding::kQ4B32M && encoding != Encoding::kQ5B32M) return parts;
  const int64_t columns = (k + 31) / 32 * 32;
  const std::vector<float> weights = looked_up(encoding, packed, n, columns);
  for (int64_t at = 0; at < n * k; ++at) {
    const auto block = weights.begin() + at / k * columns + at % k / 32 * 32;
    parts[static_cast<size_t>(at)] = 0;
    for (int c = 0; c < 32; ++c) {
      parts[static_cast<size_t>(at)] =
          std::fmax(parts[static_cast<size_t>(at)], std::fabs(block[c]));
    }
  }
  return parts;
}

struct Quantized {
  std::vector<LhsBlock> blocks;
  std::vector<float> values;  // what the blocks stand for
};

Quantized quantize(const std::vector<float>& in, int64_t m, int64_t k) {
  const int64_t count = lhs_blocks(k);
  Quantized result = {std::vector<LhsBlock>(static_cast<size_t>(m * count)), in};
  for (int64_t i = 0; i < m; ++i) {
    const QuantizeArgs args = {k, in.data() + i * k, result.blocks.data() + i * count};
    quantize_q8b32_f32_generic(&args);
    for (int64_t c = 0; c < k; ++c) {
      const LhsBlock& block = result.blocks[static_cast<size_t>(i * count + c / 32)];
      result.values[static_cast<size_t>(i * k + c)] =
          block.scale * static_cast<float>(block.values[c % 32]);
    }
  }
  return result;
}

TEST(GenericPacked, QuantizeRoundsToNearest) {
  const int64_t k = 300;
  std::vector<float> in = test::test_floats(test::DataSort::kNormal, k, 1);
  in[5] = 100;  // a block with an outlier
  in[70] = INFINITY;
  in[100] = NAN;
  for (int64_t c = 128; c < 160; ++c) in[static_cast<size_t>(c)] *= 0x1p-110f;
  const Quantized q = quantize(in, 1, k);
  ASSERT_EQ(q.blocks.size(), 16u);
  for (size_t b = 0; b < q.blocks.size(); ++b) {
    const LhsBlock& block = q.blocks[b];
    int32_t sum = 0;
    float max = 0;
    for (size_t c = 0; c < 32; ++c) {
      sum += block.values[c];
      if (32 * b + c < in.size()) max = std::fmax(max, std::fabs(in[32 * b + c]));
    }
    EXPECT_EQ(block.correction, -8 * sum) << b;
    if (b == 2 || b == 3) {  // with an infinity, a NaN
      EXPECT_TRUE(std::isnan(block.scale)) << b;
      EXPECT_EQ(sum, 0) << b;
      continue;
    }
    const bool zero = b == 4 || b > 9;  // too small, beyond k
    EXPECT_EQ(block.scale, zero ? 0.0f : max / 127) << b;
    for (size_t c = 0; c < 32; ++c) {
      if (zero || 32 * b + c >= in.size()) {
        EXPECT_EQ(block.values[c], 0) << b << ' ' << c;
      } else {
        // Half a step, and the rounding of 127 / max and of the product.
        EXPECT_NEAR(q.values[32 * b + c], in[32 * b + c], block.scale * 0.50002) << b << ' ' << c;
      }
    }
  }
}

TEST(GenericPacked, GemvMultiplies) {
  const KernelTable table = make_kernel_table();
  for (const Encoding encoding : packed_encodings()) {
    for (const int64_t k : {1, 40, 256, 544}) {
      const int64_t m = kGemvRowsMax;
      const std::vector<uint8_t> packed =
          test::test_packed(encoding, test::DataSort::kNormal, kRows, k, 2);
      const std::vector<float> weights = looked_up(encoding, packed, kRows, k);
      const std::vector<float> parts = largest_parts(encoding, packed, kRows, k);
      const std::vector<float> in = test::test_floats(test::DataSort::kNormal, m * k, 3);
      const std::vector<float> addend = test::test_floats(test::DataSort::kNormal, kRows, 4);
      const bool is_float = encoding == Encoding::kF16;
      const Quantized q = is_float ? Quantized{{}, in} : quantize(in, m, k);
      std::vector<float> out(static_cast<size_t>(m * kRows));
      GemvArgs args = {};
      args.m = m;
      args.n = kRows;
      args.k = k;
      args.lhs = is_float ? static_cast<const void*>(in.data()) : q.blocks.data();
      args.lhs_stride = is_float ? k * 4 : lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock));
      args.rhs = packed.data();
      args.addend = addend.data();
      args.out = out.data();
      args.out_stride = kRows * 4;
      table.gemv[static_cast<int>(encoding)][m](&args);
      for (int64_t i = 0; i < m; ++i) {
        // Alone, the row is the same.
        std::vector<float> alone(kRows);
        GemvArgs one = args;
        one.m = 1;
        one.lhs = static_cast<const char*>(args.lhs) + i * args.lhs_stride;
        one.out = alone.data();
        table.gemv[static_cast<int>(encoding)][1](&one);
        for (int64_t j = 0; j < kRows; ++j) {
          const float found = out[static_cast<size_t>(i * kRows + j)];
          EXPECT_EQ(found, alone[static_cast<size_t>(j)]) << i << ' ' << j;
          double sum = addend[static_cast<size_t>(j)];
          double magnitude = std::fabs(sum);
          for (int64_t c = 0; c < k; ++c) {
            const double product = double{q.values[static_cast<size_t>(i * k + c)]} *
                                   weights[static_cast<size_t>(j * k + c)];
            sum += product;
            magnitude += std::fabs(q.values[static_cast<size_t>(i * k + c)] *
                                   double{parts[static_cast<size_t>(j * k + c)]});
          }
          // A rounding per step of the sum, and four of scales and values.
          const double steps = static_cast<double>(is_float ? k : (k + 31) / 32) + 5;
          EXPECT_LE(std::fabs(found - sum), steps * 0x1p-24 * magnitude)
              << encoding_info(encoding).name << " k " << k << ": " << i << ' ' << j;
        }
      }
    }
  }
}

// Every order of panels, written down once more in plain words: unpack_panel puts what the portable
// kernel unpacks where the kernels of each level put it.
TEST(GenericPacked, PanelsCanBePutInOrder) {
  int compared = 0;
  for (const KernelInfo& gemm : all_kernels()) {
    if (gemm.op != Op::kGemmPanel || !test::can_run(gemm)) continue;
    const KernelTable table = make_kernel_table({gemm.features, gemm.name});
    EXPECT_EQ(table.panel_order, gemm.layout.panel);
    for (const Encoding encoding : packed_encodings()) {
      if (encoding == Encoding::kF16) continue;
      const auto i = static_cast<size_t>(encoding);
      // As if the level had no unpack for the encoding.
      KernelTable without = table;
      const KernelInfo* generic = select_kernel(Op::kUnpack, encoding);
      without.unpack[i] = reinterpret_cast<UnpackFunction>(generic->function);
      without.unpack_order[i] = generic->layout.panel;
      for (const int64_t k : {1, 40, 255, 256}) {
        const std::vector<uint8_t> units =
            test::test_packed(encoding, test::DataSort::kNormal, kTileRows, k, 2);
        alignas(64) uint8_t aligned[kPanelBytes * 2];
        std::copy(units.begin(), units.end(), aligned);
        alignas(64) int8_t panels[2][kPanelBytes];
        float scales[2][kTileRows];
        unpack_panel(table, encoding, {k, aligned, panels[0], scales[0]});
        unpack_panel(without, encoding, {k, aligned, panels[1], scales[1]});
        EXPECT_EQ(std::memcmp(panels[0], panels[1], sizeof(panels[0])), 0)
            << gemm.name << ' ' << encoding_info(encoding).name << " k " << k;
        EXPECT_EQ(std::memcmp(scales[0], scales[1], sizeof(scales[0])), 0)
            << gemm.name << ' ' << encoding_info(encoding).name << " k " << k;
        compared += table.unpack_order[i] == table.panel_order ? 1 : 0;
      }
    }
  }
  EXPECT_GT(compared, 0);
}

TEST(GenericPacked, PanelsMultiply) {
  const KernelTable table = make_kernel_table();
  const int64_t m = 3;
  const int64_t k = 300;
  const int64_t super_blocks = 2;
  const std::vector<float> in = test::test_floats(test::DataSort::kNormal, m * k, 3);
  std::vector<int8_t> values(static_cast<size_t>(super_blocks * m * kPanelColumns));
  std::vector<float> scales(static_cast<size_t>(super_blocks * m));
  std::vector<int32_t> sums(scales.size());
  const QuantizePanelArgs quantize_args = {
      0, m, k, in.data(), k * 4, {values.data(), scales.data(), sums.data(), m}};
  table.quantize_panel(&quantize_args);
  for (const Encoding encoding : packed_encodings()) {
    if (encoding == Encoding::kF16) continue;
    const std::vector<uint8_t> packed =
        test::test_packed(encoding, test::DataSort::kNormal, kTileRows, k, 2);
    Result<AlignedBuffer> aligned =
        AlignedBuffer::create(static_cast<int64_t>(packed.size()), "packed");
    ASSERT_TRUE(aligned.ok());
    std::copy(packed.begin(), packed.end(), aligned->data());
    const std::vector<float> weights = looked_up(encoding, packed, kTileRows, k);
    alignas(64) float acc[m * kTileRows];
    std::vector<float> steps(kTileRows);  // of a row's int8 weights
    for (int64_t s = 0; s < super_blocks; ++s) {
      alignas(64) int8_t panel[kPanelBytes];
      float panel_scales[kTileRows];
      const UnpackArgs unpack_args = {
          std::min(kPanelColumns, k - s * kPanelColumns),
          aligned->data() + packed_tile_bytes(encoding, s * kPanelColumns), panel, panel_scales};
      unpack_panel(table, encoding, unpack_args);
      const GemmPanelArgs args = {m,
                                  s == 0,
                                  values.data() + s * m * kPanelColumns,
                                  scales.data() + s * m,
                                  sums.data() + s * m,
                                  panel,
                                  panel_scales,
                                  acc};
      table.gemm_panel(&args);
      for (size_t j = 0; j < steps.size(); ++j)
        steps[j] = std::fmax(steps[j], std::fabs(panel_scales[j]));
    }
    for (int64_t i = 0; i < m; ++i) {
      double activations = 0;
      double largest_activation = 0;
      for (int64_t c = 0; c < k; ++c) {
        const double a = std::fabs(in[static_cast<size_t>(i * k + c)]);
        activations += a;
        largest_activation = std::fmax(largest_activation, a);
      }
      for (int64_t j = 0; j < kTileRows; ++j) {
        double sum = 0;
        double magnitude = 0;
        for (int64_t c = 0; c < k; ++c) {
          const double w = weights[static_cast<size_t>(j * k + c)];
          sum += in[static_cast<size_t>(i * k + c)] * w;
          magnitude += std::fabs(w);
        }
        // Half a step of each activation and of each weight.
        const double bound = 0.51 / 127 * largest_activation * magnitude +
                             0.51 * steps[static_cast<size_t>(j)] * activations;
        EXPECT_LE(std::fabs(acc[i * kTileRows + j] - sum), bound)
            << encoding_info(encoding).name << ' ' << i << ' ' << j;
      }
    }
  }
}

}  // namespace
}  // namespace midge
