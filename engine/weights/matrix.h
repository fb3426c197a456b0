// The matrices of linear layers and embedding tables, in the forms they take.
#pragma once

#include <cstdint>

#include "kernels/encoding.h"
#include "kernels/packed.h"

namespace midge {

/// n rows of k, each in whole blocks of an encoding, as they lie in a file.
struct WeightRows {
  Encoding encoding = Encoding::kF32;
  int64_t n = 0;  ///< rows: output features, or tokens
  int64_t k = 0;  ///< columns: input features
  const void* data = nullptr;
  int64_t row_stride = 0;  ///< bytes

  const uint8_t* row(int64_t i) const { return static_cast<const uint8_t*>(data) + i * row_stride; }
  /// Rows first..first+count-1: a matrix like any other.
  WeightRows rows(int64_t first, int64_t count) const {
    WeightRows part = *this;
    part.n = count;
    part.data = row(first);
    return part;
  }
  /// Columns first..first+count-1; first is a multiple of a block.
  WeightRows columns(int64_t first, int64_t count) const {
    WeightRows part = *this;
    part.k = count;
    part.data = row(0) + encoded_row_bytes(encoding, first);
    return part;
  }
  int64_t bytes() const { return n * encoded_row_bytes(encoding, k); }
};

/// n rows of k in the packed layout (kernels/packed.h): ceil(n / 32) tiles of 32 rows.
struct WeightTiles {
  Encoding encoding = Encoding::kQ4B32;
  int64_t n = 0;
  int64_t k = 0;
  const uint8_t* data = nullptr;  ///< aligned to 64

  int64_t tile_count() const { return (n + kTileRows - 1) / kTileRows; }
  int64_t tile_bytes() const { return packed_tile_bytes(encoding, k); }
  int64_t bytes() const { return tile_count() * tile_bytes(); }
  const uint8_t* tile(int64_t i) const { return data + i * tile_bytes(); }
  /// Tiles first..first+count-1: a matrix like any other.
  WeightTiles tiles(int64_t first, int64_t count) const {
    WeightTiles part = *this;
    part.n = n - first * kTileRows < count * kTileRows ? n - first * kTileRows : count * kTileRows;
    part.data = tile(first);
    return part;
  }
};

class DenseOperator;

/// A matrix as linear() and embed() compute with it, in one of three forms.
struct PreparedMatrix {
  enum class Form : uint8_t {
    kRows,   ///< float arithmetic on rows in place
    kTiles,  ///< packed
    kDense,  ///< XNNPACK's operator, beside the rows that it was made of
  };

  Form form = Form::kRows;
  WeightRows rows;
  WeightTiles tiles;                     ///< of kTiles
  WeightTiles tail;                      ///< of kTiles: the columns behind; k is 0 without
  const DenseOperator* dense = nullptr;  ///< of kDense

  int64_t n() const { return form == Form::kTiles ? tiles.n : rows.n; }
  int64_t k() const { return form == Form::kTiles ? tiles.k + tail.k : rows.k; }
  /// visit(start, bytes) of each piece of memory that holds weights, as rows or as tiles; not that
  /// of XNNPACK's operator.
  template <typename Visit>
  void visit_memory(const Visit& visit) const {
    if (form != Form::kTiles) return visit(static_cast<const uint8_t*>(rows.data), rows.bytes());
    visit(tiles.data, tiles.bytes());
    if (tail.k > 0) visit(tail.data, tail.bytes());
  }
  int64_t bytes() const {
    int64_t sum = 0;
    visit_memory([&sum](const uint8_t*, int64_t bytes) { sum += bytes; });
    return sum;
  }
};

}  // namespace midge
