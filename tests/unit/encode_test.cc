// The encoder: how far a weight may move, and what happens at the ends of the ranges.
#include "engine/weights/encode.h"

#include <cmath>
#include <cstring>
#include <span>

#include <gtest/gtest.h>

#include "engine/core/fnv.h"
#include "kernels/half.h"
#include "kernels/kernels.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

constexpr Encoding kBlockEncodings[] = {
    Encoding::kQ4B32, Encoding::kQ4B32M,     Encoding::kQ5B32,     Encoding::kQ5B32M,
    Encoding::kQ8B32, Encoding::kQ4B32MS256, Encoding::kQ5B32MS256};

bool has_minimum(Encoding encoding) {
  return encoding == Encoding::kQ4B32M || encoding == Encoding::kQ5B32M ||
         encoding == Encoding::kQ4B32MS256 || encoding == Encoding::kQ5B32MS256;
}

std::vector<uint8_t> encode(Encoding encoding, std::span<const float> in) {
  const auto k = static_cast<int64_t>(in.size());
  std::vector<uint8_t> row(static_cast<size_t>(encoded_row_bytes(encoding, k)), 0xA5);
  encode_row(encoding, in.data(), k, nullptr, row.data());
  return row;
}

std::vector<float> decode(Encoding encoding, const std::vector<uint8_t>& row, size_t k) {
  std::vector<float> out(k);
  const DequantizeArgs args = {static_cast<int64_t>(k), row.data(), out.data()};
  make_kernel_table().dequantize[static_cast<int>(encoding)](&args);
  return out;
}

std::vector<float> round_trip(Encoding encoding, std::span<const float> in) {
  return decode(encoding, encode(encoding, in), in.size());
}

float largest(std::span<const float> x) {
  float found = 0;
  for (const float value : x) found = std::max(found, std::fabs(value));
  return found;
}

// Half a step of the block, where the scale is the largest magnitude over 8 or 127; and beyond:
// - f16 rounds the scale by 2^-11, which moves the ends of the range by 2^-11 of the magnitude;
// - where scales are those of the least error, a range may be cut to 0.7 of what takes in all
//   weights: the farthest may move by 0.3 of it, and more where others are many.
float error_bound(Encoding encoding, std::span<const float> x, size_t at) {
  const std::span<const float> block =
      x.subspan(at / 32 * 32, std::min<size_t>(32, x.size() - at / 32 * 32));
  const float magnitude = largest(block);
  const float rounding = magnitude * 0x1p-10f;
  const std::span<const float> super =
      x.subspan(at / 256 * 256, std::min<size_t>(256, x.size() - at / 256 * 256));
  switch (encoding) {
    case Encoding::kQ8B32: return magnitude / 127 / 2 + rounding;
    default: return 0.5f * magnitude + largest(super) / 63;
  }
}

TEST(EncodeRow, ErrorsAreBounded) {
  for (const Encoding encoding : kBlockEncodings) {
    float worst = 0;
    double squares = 0;
    double total = 0;
    for (const size_t k : {1, 31, 32, 33, 255, 256, 300, 1024}) {
      std::vector<float> in =
          test::test_floats(test::DataSort::kNormal, static_cast<int64_t>(k), k);
      // Blocks of different magnitudes.
      for (size_t i = 0; i < k; ++i) in[i] *= std::exp2(static_cast<float>(i / 32 % 5));
      const std::vector<float> out = round_trip(encoding, in);
      for (size_t i = 0; i < k; ++i) {
        const float error = std::fabs(out[i] - in[i]);
        const float bound = error_bound(encoding, in, i);
        EXPECT_LE(error, bound) << encoding_info(encoding).name << " " << k << " " << i;
        worst = std::max(worst, error / bound);
        squares += double{error} * double{error};
        total += double{in[i]} * double{in[i]};
      }
    }
    std::printf("[ error    ] %s: %.2f of the bound, %.2e of the norm\n",
                encoding_info(encoding).name, static_cast<double>(worst),
                std::sqrt(squares / total));
  }
}

TEST(EncodeRow, HalvesAreRoundedToNearest) {
  const std::vector<float> in = {
      0, -0.0f, 1, -2.5f, 65504, 1e-7f, 1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f};
  const std::vector<float> out = round_trip(Encoding::kF16, in);
  const std::vector<float> expected = {0, -0.0f, 1, -2.5f, 65504, 0x1p-23f, 1, 1.0f + 2 * 0x1p-10f};
  EXPECT_EQ(out, expected);
  EXPECT_TRUE(std::signbit(out[1]));
}

// What a block encodes exactly stays: weights that are whole steps of a scale that f16 holds.
// Scales of K-quants are 63rds of the largest, which f16 holds seldom.
TEST(EncodeRow, WholeStepsAreExact) {
  for (const Encoding encoding : kBlockEncodings) {
    if (encoding == Encoding::kQ4B32MS256 || encoding == Encoding::kQ5B32MS256) continue;
    std::vector<float> in(256);
    for (size_t i = 0; i < in.size(); ++i) {
      const bool fifth = encoding == Encoding::kQ5B32 || encoding == Encoding::kQ5B32M;
      const int step = encoding == Encoding::kQ8B32 ? static_cast<int>(i % 32) * 8 - 127
                       : fifth                      ? static_cast<int>(i % 32) - 16
                                                    : static_cast<int>(i % 16) - 8;
      in[i] = static_cast<float>(step) * 3.75f;
    }
    EXPECT_EQ(round_trip(encoding, in), in) << encoding_info(encoding).name;
  }
}

TEST(EncodeRow, ZerosStayZeros) {
  for (const Encoding encoding : kBlockEncodings) {
    // A block of zeros beside one of ones, a row of zeros, and numbers too small for an f16 scale.
    std::vector<float> in(512, 0.0f);
    std::fill_n(in.begin(), 32, 1.0f);
    std::vector<float> out = round_trip(encoding, in);
    for (size_t i = 32; i < in.size(); ++i) ASSERT_EQ(out[i], 0.0f) << i;
    std::fill(in.begin(), in.end(), 1e-12f);
    out = round_trip(encoding, in);
    for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(out[i], 0.0f) << i;
  }
}

// The columns that fill up the last block are weights of zero, which the packed kernels multiply;
// with minimums, of what a rounding makes of it: they meet activations of zero and need only be
// finite.
TEST(EncodeRow, TheLastBlockIsFilledWithZeros) {
  for (const Encoding encoding : kBlockEncodings) {
    const float bound = has_minimum(encoding) ? 3.0f / 15 : 0.0f;
    const auto block = static_cast<size_t>(encoding_info(encoding).block_elements);
    const std::vector<float> in = test::test_floats(test::DataSort::kNormal, 5, 1);
    const std::vector<float> out = decode(encoding, encode(encoding, in), block);
    for (size_t i = 5; i < block; ++i) EXPECT_LE(std::fabs(out[i]), bound) << i;
  }
}

TEST(EncodeRow, NumbersOutOfRangeGiveScalesThatAreNot) {
  for (const Encoding encoding : kBlockEncodings) {
    for (const float bad : {INFINITY, -INFINITY, NAN, 3e38f, -3e38f}) {
      std::vector<float> in(512, 1.0f);
      in[300] = bad;
      const std::vector<uint8_t> row = encode(encoding, in);
      const EncodingInfo& info = encoding_info(encoding);
      for (int b = 0; b < 512 / info.block_elements; ++b) {
        uint16_t scale;
        std::memcpy(&scale, row.data() + b * info.block_bytes, sizeof(scale));
        EXPECT_EQ(std::isfinite(f16_to_f32(scale)), b != 300 / info.block_elements) << bad;
      }
    }
  }
}

// Files that are packed on a PC are those that a phone packs: the same bytes on every machine.
TEST(EncodeRow, GivesTheSameBytesEverywhere) {
  constexpr int64_t kColumns = 4096;
  std::vector<float> in(kColumns);
  std::vector<float> importance(kColumns);
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  for (size_t i = 0; i < in.size(); ++i) {
    // Sums of four are near a bell curve; whole numbers and powers of two are exact.
    int sum = 0;
    for (int j = 0; j < 4; ++j) sum += static_cast<int>(next() >> 20) - 2048;
    in[i] = static_cast<float>(sum) * 0x1p-14f;
    importance[i] = static_cast<float>(next() >> 16) * 0x1p-10f;
  }
  const std::pair<Encoding, uint64_t> expected[] = {
      {Encoding::kQ4B32, 0x895DCB7A47E14CC4},      {Encoding::kQ4B32M, 0xBE86CBBC8C694C09},
      {Encoding::kQ5B32, 0x2D3AC506CF49EB19},      {Encoding::kQ5B32M, 0x256459D01A5A4F2A},
      {Encoding::kQ4B32MS256, 0x78EC982DB22ECA65}, {Encoding::kQ5B32MS256, 0xBCC61BA814347402},
  };
  for (const auto& [encoding, hash] : expected) {
    std::vector<uint8_t> row(static_cast<size_t>(encoded_row_bytes(encoding, kColumns)));
    encode_row(encoding, in.data(), kColumns, importance.data(), row.data());
    const std::string_view bytes(reinterpret_cast<const char*>(row.data()), row.size());
    EXPECT_EQ(fnv1a(bytes), hash) << encoding_info(encoding).name;
  }
}

TEST(EncodeRow, KnowsItsEncodings) {
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    const bool expected = encoding == Encoding::kF16 || encoding == Encoding::kQ4B32 ||
                          encoding == Encoding::kQ4B32M || encoding == Encoding::kQ5B32 ||
                          encoding == Encoding::kQ5B32M || encoding == Encoding::kQ4B32MS256 ||
                          encoding == Encoding::kQ5B32MS256 || encoding == Encoding::kQ8B32;
    EXPECT_EQ(can_encode(encoding), expected) << encoding_info(encoding).name;
  }
}

}  // namespace
}  // namespace midge
