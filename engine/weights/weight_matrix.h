// The weights of a linear layer or an embedding table.
#pragma once

#include <cstdint>

#include "kernels/encoding.h"
#include "kernels/packed.h"

namespace midge {

class DenseOperator;

/// n rows of k: in place in their file, and perhaps prepared for the kernels beside that.
struct WeightMatrix {
  Encoding encoding = Encoding::kF32;
  int64_t n = 0;  ///< rows: output features, or tokens
  int64_t k = 0;  ///< columns: input features
  const void* data = nullptr;
  int64_t row_stride = 0;  ///< bytes

  // How linear() and embed() compute with it, the first that is set: XNNPACK's operator, packed
  // tiles, or with neither the float arithmetic on the rows in place. Set by the executor.
  const DenseOperator* dense = nullptr;
  const uint8_t* packed = nullptr;  ///< tiles, see kernels/packed.h
  Encoding packed_encoding = Encoding::kF32;

  /// Rows first..first+count-1 of the same matrix, in place only.
  WeightMatrix rows(int64_t first, int64_t count) const;
  int64_t bytes() const { return n * encoded_row_bytes(encoding, k); }
  /// Bytes of `packed`.
  int64_t tile_count() const { return (n + kTileRows - 1) / kTileRows; }
  int64_t tile_bytes() const { return packed_tile_bytes(packed_encoding, k); }
};

}  // namespace midge
