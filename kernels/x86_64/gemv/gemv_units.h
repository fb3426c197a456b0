// What the x86 decode kernels of all levels and encodings have around their arithmetic. All of it
// is `static inline`: see kernels/x86_64/avx2.h.
#pragma once

#include <cstdint>

#include "kernels/kernel_types.h"

namespace midge::x86 {

/// Block `block` of a row of activations.
static inline const LhsBlock& lhs_block(const char* row, int64_t block) {
  return reinterpret_cast<const LhsBlock*>(row)[block];
}

/// gemv.operator()<m>(), m = 1..8.
template <typename Gemv>
__attribute__((always_inline)) static inline void gemv_by_rows(int64_t m, Gemv gemv) {
  switch (m) {
    case 1: return gemv.template operator()<1>();
    case 2: return gemv.template operator()<2>();
    case 3: return gemv.template operator()<3>();
    case 4: return gemv.template operator()<4>();
    case 5: return gemv.template operator()<5>();
    case 6: return gemv.template operator()<6>();
    case 7: return gemv.template operator()<7>();
    default: return gemv.template operator()<8>();
  }
}

/// All tiles, of units of kColumns columns. add_unit(unit, its number in the tile, sums) adds the
/// products of one; TileSums, clear_sums() and store_sums() are those of the level.
template <template <int> typename TileSums, typename Unit, int64_t kColumns, typename AddUnit>
__attribute__((always_inline)) static inline void gemv_by_units(const GemvArgs* args,
                                                                AddUnit add_unit) {
  // flatten: clang would inline add_unit() too late to keep the sums in registers.
  gemv_by_rows(args->m, [args, add_unit]<int kRows>() __attribute__((flatten)) {
    const int64_t units = (args->k + kColumns - 1) / kColumns;
    const auto* tile = static_cast<const Unit*>(args->rhs);
    for (int64_t first = 0; first < args->n; first += kTileRows, tile += units) {
      TileSums<kRows> sums;
      clear_sums(args, sums);
      for (int64_t u = 0; u < units; ++u) add_unit(tile[u], u, sums);
      store_sums(args, first, sums);
    }
  });
}

}  // namespace midge::x86
