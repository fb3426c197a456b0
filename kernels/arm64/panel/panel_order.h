// In which order the bytes of an int8 panel lie, per level of arm64, and how four lines of packed
// weights are brought into it.
//
// A quad is 4 rows; 16 columns of a quad come from 4 lines of a packed unit, a register of
// [4 rows][4 columns] each. An order says
//   arrange    how these 4 registers become 4 of the panel (bytes are only moved, so packed nibbles
//              may be arranged before they are split)
//   begin      where a quad begins; its columns 16 * g.. follow g * kGroupBytes later
//   store      the 4 registers of 16 columns
//   spread     a byte per row, as one for every byte of register i of the panel
//   spread_16  an int16 per row, as one for every byte of half h of register i of the panel
//   Factors    an int16 per row, and the rounded products of register i with it
//   Tables     16 int8 per row, and the ones that the nibbles of register i select
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/packed.h"

namespace midge::arm64 {

static inline uint8x16_t low_nibbles(uint8x16_t bytes) { return vandq_u8(bytes, vdupq_n_u8(15)); }
static inline uint8x16_t high_nibbles(uint8x16_t bytes) { return vshrq_n_u8(bytes, 4); }

/// The low bytes of 16 int16.
static inline int8x16_t join(int16x8_t low, int16x8_t high) {
  return vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
}

/// (v * factor + 2^14) >> 15, the factor being lane kLow of `factors` for the first 8 and kHigh for
/// the last 8.
template <int kLow, int kHigh>
static inline int8x16_t multiply_rows(int8x16_t v, int16x4_t factors) {
  return join(vqrdmulhq_lane_s16(vmovl_s8(vget_low_s8(v)), factors, kLow),
              vqrdmulhq_lane_s16(vmovl_high_s8(v), factors, kHigh));
}

/// 8 columns of a quad in 32 bytes: [4 octets of rows][32 runs of 8 columns][2 quads][32].
struct OctetOrder {
  static constexpr int64_t kGroupBytes = 128;

  static inline int8_t* begin(int8_t* panel, int64_t quad) {
    return panel + quad / 2 * 8 * kPanelColumns + quad % 2 * 32;
  }

  static inline void store(int8_t* to, const int8x16_t v[4]) {
    vst1q_s8(to, v[0]);
    vst1q_s8(to + 16, v[1]);
    vst1q_s8(to + 64, v[2]);
    vst1q_s8(to + 80, v[3]);
  }
};

/// For sdot: a register is [4 rows][4 columns], as packed; 32 bytes are two of them.
struct SdotOrder : OctetOrder {
  static inline void arrange(uint8x16_t[4]) {}

  /// numbers: 4 bytes.
  static inline uint8x16_t spread(uint8x16_t numbers, int) {
    return vqtbl1q_u8(numbers, uint8x16_t{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3});
  }

  static inline int16x8_t spread_16(int16x4_t rows, int, int h) {
    return h == 0 ? vcombine_s16(vdup_lane_s16(rows, 0), vdup_lane_s16(rows, 1))
                  : vcombine_s16(vdup_lane_s16(rows, 2), vdup_lane_s16(rows, 3));
  }

  struct Factors {
    int16x8_t low;   // rows 0, 1
    int16x8_t high;  // rows 2, 3

    explicit inline Factors(int16x4_t rows) {
      const int16x8_t all = vcombine_s16(rows, rows);
      const int32x4_t pairs = vreinterpretq_s32_s16(vzip1q_s16(all, all));
      low = vreinterpretq_s16_s32(vzip1q_s32(pairs, pairs));
      high = vreinterpretq_s16_s32(vzip2q_s32(pairs, pairs));
    }
    inline int8x16_t multiply(int8x16_t v, int) const {
      return join(vqrdmulhq_s16(vmovl_s8(vget_low_s8(v)), low),
                  vqrdmulhq_s16(vmovl_high_s8(v), high));
    }
  };

  /// A table of 64: the row stands above the nibble in the index.
  struct Tables {
    int8x16x4_t table;

    static inline uint8x16_t rows() {
      return uint8x16_t{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    }
    inline void set(int8x16_t a, int8x16_t b, int8x16_t c, int8x16_t d) { table = {a, b, c, d}; }
    inline int8x16_t low(uint8x16_t bytes, int) const {
      return vqtbl4q_s8(table, vsliq_n_u8(bytes, rows(), 4));
    }
    inline int8x16_t high(uint8x16_t bytes, int) const {
      return vqtbl4q_s8(table, vorrq_u8(high_nibbles(bytes), vshlq_n_u8(rows(), 4)));
    }
  };
};

/// For smmla: a register is [2 rows][8 columns]; 32 bytes are rows 0, 1 and 2, 3.
struct SmmlaOrder : OctetOrder {
  static inline void arrange(uint8x16_t v[4]) {
    for (int i = 0; i < 4; i += 2) {
      const uint32x4_t a = vreinterpretq_u32_u8(v[i]);
      const uint32x4_t b = vreinterpretq_u32_u8(v[i + 1]);
      v[i] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
      v[i + 1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
    }
  }

  static inline uint8x16_t spread(uint8x16_t numbers, int i) {
    return vqtbl1q_u8(numbers, i % 2 == 0
                                   ? uint8x16_t{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}
                                   : uint8x16_t{2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3});
  }

  static inline int16x8_t spread_16(int16x4_t rows, int i, int h) {
    if (i % 2 == 0) return h == 0 ? vdupq_lane_s16(rows, 0) : vdupq_lane_s16(rows, 1);
    return h == 0 ? vdupq_lane_s16(rows, 2) : vdupq_lane_s16(rows, 3);
  }

  struct Factors {
    int16x4_t rows;

    explicit inline Factors(int16x4_t factors) : rows(factors) {}
    inline int8x16_t multiply(int8x16_t v, int i) const {
      return i % 2 == 0 ? multiply_rows<0, 1>(v, rows) : multiply_rows<2, 3>(v, rows);
    }
  };

  /// Two tables of 32.
  struct Tables {
    int8x16_t row_0, row_1, row_2, row_3;

    static inline uint8x16_t rows() {
      return uint8x16_t{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    }
    inline int8x16_t at(uint8x16_t index, int i) const {
      return i % 2 == 0 ? vqtbl2q_s8({row_0, row_1}, index) : vqtbl2q_s8({row_2, row_3}, index);
    }
    inline void set(int8x16_t a, int8x16_t b, int8x16_t c, int8x16_t d) {
      row_0 = a;
      row_1 = b;
      row_2 = c;
      row_3 = d;
    }
    inline int8x16_t low(uint8x16_t bytes, int i) const {
      return at(vsliq_n_u8(bytes, rows(), 4), i);
    }
    inline int8x16_t high(uint8x16_t bytes, int i) const {
      return at(vorrq_u8(high_nibbles(bytes), vshlq_n_u8(rows(), 4)), i);
    }
  };
};

/// For smull: a register is 16 columns of one row. [8 quads][16 runs of 16 columns][4 rows][16]
struct SmullOrder {
  static constexpr int64_t kGroupBytes = 64;

  static inline void arrange(uint8x16_t v[4]) {
    const uint32x4_t a = vreinterpretq_u32_u8(v[0]);
    const uint32x4_t b = vreinterpretq_u32_u8(v[1]);
    const uint32x4_t c = vreinterpretq_u32_u8(v[2]);
    const uint32x4_t d = vreinterpretq_u32_u8(v[3]);
    const uint64x2_t ab01 = vreinterpretq_u64_u32(vzip1q_u32(a, b));
    const uint64x2_t ab23 = vreinterpretq_u64_u32(vzip2q_u32(a, b));
    const uint64x2_t cd01 = vreinterpretq_u64_u32(vzip1q_u32(c, d));
    const uint64x2_t cd23 = vreinterpretq_u64_u32(vzip2q_u32(c, d));
    v[0] = vreinterpretq_u8_u64(vzip1q_u64(ab01, cd01));
    v[1] = vreinterpretq_u8_u64(vzip2q_u64(ab01, cd01));
    v[2] = vreinterpretq_u8_u64(vzip1q_u64(ab23, cd23));
    v[3] = vreinterpretq_u8_u64(vzip2q_u64(ab23, cd23));
  }

  static inline int8_t* begin(int8_t* panel, int64_t quad) {
    return panel + quad * 4 * kPanelColumns;
  }

  static inline void store(int8_t* to, const int8x16_t v[4]) {
    for (int i = 0; i < 4; ++i) vst1q_s8(to + 16 * i, v[i]);
  }

  static inline uint8x16_t spread(uint8x16_t numbers, int i) {
    return vqtbl1q_u8(numbers, vdupq_n_u8(static_cast<uint8_t>(i)));
  }

  static inline int16x8_t spread_16(int16x4_t rows, int i, int) {
    return i == 0   ? vdupq_lane_s16(rows, 0)
           : i == 1 ? vdupq_lane_s16(rows, 1)
           : i == 2 ? vdupq_lane_s16(rows, 2)
                    : vdupq_lane_s16(rows, 3);
  }

  struct Factors {
    int16x4_t rows;

    explicit inline Factors(int16x4_t factors) : rows(factors) {}
    inline int8x16_t multiply(int8x16_t v, int i) const {
      return i == 0   ? multiply_rows<0, 0>(v, rows)
             : i == 1 ? multiply_rows<1, 1>(v, rows)
             : i == 2 ? multiply_rows<2, 2>(v, rows)
                      : multiply_rows<3, 3>(v, rows);
    }
  };

  /// Four tables of 16.
  struct Tables {
    int8x16_t tables[4];

    inline void set(int8x16_t a, int8x16_t b, int8x16_t c, int8x16_t d) {
      tables[0] = a;
      tables[1] = b;
      tables[2] = c;
      tables[3] = d;
    }
    inline int8x16_t low(uint8x16_t bytes, int i) const {
      return vqtbl1q_s8(tables[i], low_nibbles(bytes));
    }
    inline int8x16_t high(uint8x16_t bytes, int i) const {
      return vqtbl1q_s8(tables[i], high_nibbles(bytes));
    }
  };
};

}  // namespace midge::arm64
