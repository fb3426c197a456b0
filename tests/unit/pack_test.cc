// Packing: the tiles hold the weights of the rows, wherever these come from.
#include "engine/weights/pack.h"

#include <cstring>

#include <gtest/gtest.h>

#include "engine/core/aligned_buffer.h"
#include "engine/ops/outliers.h"
#include "engine/weights/encode.h"
#include "tests/harness/golden.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

// The packed encodings that midge writes itself, or those that are packed from themselves alone.
std::vector<Encoding> packed_encodings(bool written) {
  std::vector<Encoding> encodings;
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    if (packed_info(encoding).unit_elements > 0 && can_encode(encoding) == written) {
      encodings.push_back(encoding);
    }
  }
  return encodings;
}

bool has_minimum(Encoding encoding) {
  return encoding == Encoding::kQ4B32M || encoding == Encoding::kQ5B32M ||
         encoding == Encoding::kQ4B32MS256 || encoding == Encoding::kQ5B32MS256;
}

WeightRows matrix(Encoding encoding, int64_t n, int64_t k, const std::vector<uint8_t>& rows) {
  WeightRows w;
  w.encoding = encoding;
  w.n = n;
  w.k = k;
  w.data = rows.data();
  w.row_stride = encoded_row_bytes(encoding, k);
  return w;
}

std::vector<float> decode_row(const KernelTable& kernels, Encoding encoding, const void* row,
                              int64_t k) {
  std::vector<float> out(static_cast<size_t>(k));
  const DequantizeArgs args = {k, row, out.data()};
  kernels.dequantize[static_cast<int>(encoding)](&args);
  return out;
}

// Every row of the tiles equals that of the encoded rows, bit for bit; rows beyond n are zero.
void expect_same_weights(const WorkerTeam& team, const WeightRows& w, Encoding target) {
  const KernelTable kernels = make_kernel_table();
  auto tiles = AlignedBuffer::create(packed_bytes(w, target), "tiles");
  MIDGE_ASSERT_OK(tiles);
  MIDGE_ASSERT_OK(pack_matrix(team, kernels, w, target, nullptr, "w", tiles->data()));
  std::vector<float> rows(static_cast<size_t>(w.n * (w.k + 3)), -1.0f);
  MIDGE_ASSERT_OK(round_matrix(team, kernels, w, target, nullptr, "w", w.k + 3, rows.data()));
  const std::vector<float> zeros(static_cast<size_t>(w.k));
  for (int64_t row = 0; row < round_up(w.n, kTileRows); ++row) {
    std::vector<float> found(static_cast<size_t>(w.k));
    const LookupArgs args = {w.k, tiles->data() + row / kTileRows * packed_tile_bytes(target, w.k),
                             row % kTileRows, found.data()};
    kernels.lookup[static_cast<int>(target)](&args);
    if (row >= w.n) {
      ASSERT_EQ(found, zeros) << row;
      continue;
    }
    const float* rounded = rows.data() + row * (w.k + 3);
    ASSERT_EQ(std::memcmp(found.data(), rounded, found.size() * sizeof(float)), 0) << row;
    EXPECT_EQ(rounded[w.k], -1.0f);  // what lies between the rows stays
    if (w.encoding == target) {
      const std::vector<float> expected = decode_row(kernels, target, w.row(row), w.k);
      ASSERT_EQ(std::memcmp(rounded, expected.data(), found.size() * sizeof(float)), 0) << row;
    }
  }
}

TEST(Pack, TilesHoldTheRows) {
  const auto alone = WorkerTeam::create(1);
  const auto pair = WorkerTeam::create(2);
  MIDGE_ASSERT_OK(alone);
  MIDGE_ASSERT_OK(pair);
  for (const Encoding target : packed_encodings(true)) {
    for (const Encoding source : {target, Encoding::kF32, Encoding::kBF16, Encoding::kQ6B16S256}) {
      for (const int64_t n : {1, 31, 33, 70}) {
        for (const int64_t k : {1, 40, 256, 300}) {
          ASSERT_TRUE(can_pack(source, target));
          const std::vector<uint8_t> rows =
              test::test_encoded_rows(source, test::DataSort::kNormal, n, k, 3);
          SCOPED_TRACE(::testing::Message()
                       << encoding_info(source).name << " as " << encoding_info(target).name
                       << " n=" << n << " k=" << k);
          const WorkerTeam& team = n == 70 && k == 300 ? *pair : *alone;
          expect_same_weights(team, matrix(source, n, k, rows), target);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Pack, TilesHoldTheRowsOfWholeUnits) {
  const auto team = WorkerTeam::create(2);
  MIDGE_ASSERT_OK(team);
  for (const Encoding encoding : packed_encodings(false)) {
    for (const test::DataSort sort : {test::DataSort::kNormal, test::DataSort::kSaturating}) {
      for (const int64_t n : {1, 16, 17, 70}) {
        const std::vector<uint8_t> rows = test::test_encoded_rows(encoding, sort, n, 512, 3);
        SCOPED_TRACE(::testing::Message() << encoding_info(encoding).name << " n=" << n);
        expect_same_weights(*team, matrix(encoding, n, 512, rows), encoding);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Columns beyond k are multiplied with activations of zero, but must not be NaN or infinite.
TEST(Pack, ColumnsBeyondTheLastAreZero) {
  const auto team = WorkerTeam::create(1);
  MIDGE_ASSERT_OK(team);
  const KernelTable kernels = make_kernel_table();
  for (const Encoding target : {Encoding::kQ4B32, Encoding::kQ8B32}) {
    const std::vector<uint8_t> rows =
        test::test_encoded_rows(Encoding::kF32, test::DataSort::kNormal, 32, 5, 3);
    const WeightRows w = matrix(Encoding::kF32, 32, 5, rows);
    auto tiles = AlignedBuffer::create(packed_bytes(w, target), "tiles");
    MIDGE_ASSERT_OK(tiles);
    MIDGE_ASSERT_OK(pack_matrix(*team, kernels, w, target, nullptr, "w", tiles->data()));
    const auto columns = static_cast<size_t>(packed_info(target).unit_elements);
    for (int64_t row = 0; row < 32; ++row) {
      std::vector<float> found(columns);
      const LookupArgs args = {static_cast<int64_t>(columns), tiles->data(), row, found.data()};
      kernels.lookup[static_cast<int>(target)](&args);
      for (size_t i = 5; i < columns; ++i) ASSERT_EQ(found[i], 0.0f) << row << " " << i;
    }
  }
}

TEST(Pack, TheFirstBadScaleIsNamed) {
  for (const int threads : {1, 3}) {
    const auto team = WorkerTeam::create(threads);
    MIDGE_ASSERT_OK(team);
    const KernelTable kernels = make_kernel_table();
    std::vector<Encoding> encodings = packed_encodings(true);
    for (const Encoding encoding : packed_encodings(false)) encodings.push_back(encoding);
    for (const Encoding encoding : encodings) {
      constexpr int64_t kRows = 300;
      constexpr int64_t kColumns = 512;
      std::vector<uint8_t> rows =
          test::test_encoded_rows(encoding, test::DataSort::kNormal, kRows, kColumns, 3);
      const EncodingInfo& info = encoding_info(encoding);
      const uint16_t bad = 0x7C00;
      // The minimum or, without one, the scale.
      const int64_t offset = encoding == Encoding::kQ6B16S256 ? offsetof(BlockQ6B16S256, scale)
                             : has_minimum(encoding)          ? 2
                                                              : 0;
      for (const int64_t row : {40, 41, 299}) {
        // The second block of 256 elements.
        const int64_t at = row * encoded_row_bytes(encoding, kColumns) +
                           256 / info.block_elements * info.block_bytes + offset;
        std::memcpy(rows.data() + at, &bad, sizeof(bad));
      }
      const WeightRows w = matrix(encoding, kRows, kColumns, rows);
      auto tiles = AlignedBuffer::create(packed_bytes(w, encoding), "tiles");
      MIDGE_ASSERT_OK(tiles);
      const Status status =
          pack_matrix(*team, kernels, w, encoding, nullptr, "some matrix", tiles->data());
      EXPECT_EQ(status.code(), StatusCode::kInvalidFile);
      EXPECT_EQ(status.message().find("some matrix: row 40, column 256: "), 0u) << status.message();
    }
  }
}

// Super-blocks of K-quants are whole; what is left of a row is encoded in blocks of 32.
TEST(Pack, ColumnsBehindTheLastSuperBlockAreAPartOfTheirOwn) {
  const std::vector<uint8_t> rows =
      test::test_encoded_rows(Encoding::kF32, test::DataSort::kNormal, 3, 600, 3);
  const WeightRows w = matrix(Encoding::kF32, 3, 600, rows);
  EXPECT_EQ(main_columns(w, Encoding::kQ4B32MS256), 512);
  EXPECT_EQ(main_columns(w, Encoding::kQ4B32), 600);
  EXPECT_EQ(main_columns(matrix(Encoding::kF32, 3, 200, rows), Encoding::kQ5B32MS256), 0);
  EXPECT_EQ(main_columns(matrix(Encoding::kQ4B32MS256, 3, 512, rows), Encoding::kQ4B32MS256), 512);
  const WeightRows behind = w.columns(512, 88);
  EXPECT_EQ(behind.k, 88);
  EXPECT_EQ(behind.row(2), w.row(2) + 512 * sizeof(float));
  // No more bits than the super-blocks have.
  for (const Encoding target : {Encoding::kQ4B32MS256, Encoding::kQ5B32MS256}) {
    const EncodingInfo& tail = encoding_info(tail_encoding(target));
    EXPECT_LE(tail.block_bytes * 256 / tail.block_elements, encoding_info(target).block_bytes);
    EXPECT_TRUE(can_pack(Encoding::kF32, tail_encoding(target)));
  }
}

TEST(Pack, WhatCanBePacked) {
  EXPECT_TRUE(can_pack(Encoding::kQ4B32, Encoding::kQ4B32));
  EXPECT_TRUE(can_pack(Encoding::kQ6B16S256, Encoding::kF16));
  for (const Encoding target : {Encoding::kF32, Encoding::kBF16}) {
    EXPECT_FALSE(can_pack(target, target));
    EXPECT_FALSE(can_pack(Encoding::kQ4B32, target));
  }
  for (const Encoding target : packed_encodings(false)) {
    EXPECT_TRUE(can_pack(target, target));
    EXPECT_FALSE(can_pack(Encoding::kQ4B32, target));
  }
}

}  // namespace
}  // namespace midge
