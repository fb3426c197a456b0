// How the gemv kernels of this architecture walk a matrix: tile by tile, a tile in pieces. The
// units of a piece stay in the first cache while all rows of activations take their turn at them,
// up to kRowsAtOnce at once.
//
// All functions of the headers in this folder are static: objects of an ISA level define no shared
// symbols, or the linker could keep a copy that an older core cannot run.
#pragma once

#include <arm_neon.h>

#include "kernels/kernel_types.h"

namespace midge::arm64 {

template <typename T>
static inline T* byte_offset(T* pointer, int64_t bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(pointer) + static_cast<uintptr_t>(bytes));
}

/// Rows of activations that are taken at once, at most.
inline constexpr int64_t kRowsAtOnce = 4;

/// The running sums of such rows and a tile, in the order in which nibbles give them: half h has
/// output rows 8h..8h+7, then 16+8h..16+8h+7.
struct RowSums {
  float values[2][kRowsAtOnce][16];
};

/// Adds the products of `units` units of a tile and of up to kRowsAtOnce rows to the sums.
/// lhs: where the first of these rows meets the first of the units.
template <typename Lhs, typename Unit>
using AddUnits = void (*)(const Lhs* lhs, int64_t lhs_stride, const Unit* tile, int64_t units,
                          RowSums* sums);

/// Such a function on quantised activations.
template <typename Unit>
using AddBlocks = void(const LhsBlock* lhs, int64_t lhs_stride, const Unit* tile, int64_t units,
                       RowSums* sums);

/// out[row, feature..] = sums (+ addend), `count` of at most 8 output features from `feature` on.
static inline void write_8(const GemvArgs* args, int64_t row, int64_t feature, int64_t count,
                           const float* sums) {
  float* out = byte_offset(args->out, row * args->out_stride) + feature;
  const float* addend = args->addend == nullptr
                            ? nullptr
                            : byte_offset(args->addend, row * args->addend_stride) + feature;
  if (count >= 8) {
    float32x4_t a = vld1q_f32(sums);
    float32x4_t b = vld1q_f32(sums + 4);
    if (addend != nullptr) {
      a = vaddq_f32(a, vld1q_f32(addend));
      b = vaddq_f32(b, vld1q_f32(addend + 4));
    }
    vst1q_f32(out, a);
    vst1q_f32(out + 4, b);
    return;
  }
  for (int64_t i = 0; i < count; ++i) out[i] = addend == nullptr ? sums[i] : sums[i] + addend[i];
}

/// The sums of a row, see RowSums, to out, as far as the matrix has output features.
static inline void finish_tile(const GemvArgs* args, int64_t row, int64_t feature,
                               const RowSums* sums, int64_t sums_row) {
  for (int64_t j = 0; j < kTileRows && feature + j < args->n; j += 8) {
    write_8(args, row, feature + j, args->n - feature - j,
            &sums->values[j / 8 % 2][sums_row][j / 16 * 8]);
  }
}

/// sums = 0 for `rows` rows.
static inline void clear_sums(RowSums* sums, int64_t rows) {
  for (auto& half : sums->values) {
    for (int64_t i = 0; i < rows * 16; i += 4) vst1q_f32(half[0] + i, vdupq_n_f32(0.0f));
  }
}

/// The gemv of up to 8 rows, one at a time.
/// kPieceUnits: units of a piece. kUnitLhs: elements of a row that meet one unit.
template <int64_t kPieceUnits, int64_t kUnitLhs, typename Lhs, typename Unit>
static inline void gemv_single_rows(const GemvArgs* args, int64_t units, AddUnits<Lhs, Unit> add) {
  const auto* tile = static_cast<const Unit*>(args->rhs);
  const int64_t piece_max = args->m == 1 ? units : kPieceUnits;
  for (int64_t feature = 0; feature < args->n; feature += kTileRows, tile += units) {
    RowSums sums[8];
    for (int64_t unit = 0; unit < units; unit += piece_max) {
      const int64_t piece = units - unit < piece_max ? units - unit : piece_max;
      for (int64_t row = 0; row < args->m; ++row) {
        if (unit == 0) clear_sums(&sums[row], 1);
        const auto* lhs = static_cast<const Lhs*>(byte_offset(args->lhs, row * args->lhs_stride));
        add(lhs + unit * kUnitLhs, args->lhs_stride, tile + unit, piece, &sums[row]);
      }
    }
    for (int64_t row = 0; row < args->m; ++row) finish_tile(args, row, feature, &sums[row], 0);
  }
}

/// Rows to take at once where `left` rows are left: 4, 2 or 1.
static inline int64_t rows_at_once(int64_t left) { return left >= 4 ? 4 : left >= 2 ? 2 : 1; }

/// The gemv of up to 8 rows, 4, 2 and 1 at once.
/// kPieceUnits: units of a piece. kUnitLhs: elements of a row that meet one unit.
template <int64_t kPieceUnits, int64_t kUnitLhs, typename Lhs, typename Unit>
static inline void gemv_rows(const GemvArgs* args, int64_t units, AddUnits<Lhs, Unit> add_1,
                             AddUnits<Lhs, Unit> add_2, AddUnits<Lhs, Unit> add_4) {
  const auto* tile = static_cast<const Unit*>(args->rhs);
  const int64_t piece_max = rows_at_once(args->m) == args->m ? units : kPieceUnits;  // all at once?
  for (int64_t feature = 0; feature < args->n; feature += kTileRows, tile += units) {
    RowSums sums[3];  // 7 rows take the most: 4, 2, 1
    for (int64_t unit = 0; unit < units; unit += piece_max) {
      const int64_t piece = units - unit < piece_max ? units - unit : piece_max;
      RowSums* taken = sums;
      int64_t rows = 0;
      for (int64_t row = 0; row < args->m; row += rows, ++taken) {
        rows = rows_at_once(args->m - row);
        if (unit == 0) clear_sums(taken, rows);
        const auto* lhs = static_cast<const Lhs*>(byte_offset(args->lhs, row * args->lhs_stride));
        const AddUnits<Lhs, Unit> add = rows == 4 ? add_4 : rows == 2 ? add_2 : add_1;
        add(lhs + unit * kUnitLhs, args->lhs_stride, tile + unit, piece, taken);
      }
    }
    RowSums* taken = sums;
    int64_t rows = 0;
    for (int64_t row = 0; row < args->m; row += rows, ++taken) {
      rows = rows_at_once(args->m - row);
      for (int64_t i = 0; i < rows; ++i) finish_tile(args, row + i, feature, taken, i);
    }
  }
}

}  // namespace midge::arm64
