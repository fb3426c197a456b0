// The head that drafts are made with: a part of the model's, as drafts only need to be good.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/weights/matrix.h"

namespace midge {

/// Rows of a head, in whole tiles of kTileRows tokens.
class DraftHead {
 public:
  /// Of the model's head, which outlives it: the first `rows` rows, in place. The ids of byte pair
  /// encodings are in the order of merges, so the first ones are the tokens that come most often.
  /// rows: rounded up to whole tiles; 0 or more than there are: all.
  static DraftHead first_rows(const PreparedMatrix& head, int64_t rows);

  /// The tiles whose tokens are counted most often, `rows` rows of them; copied where they lie, so
  /// of packed heads alone (others: first_rows). counts: [vocab_size]. Errors: out_of_memory.
  static Result<DraftHead> most_frequent(const PreparedMatrix& head, int64_t rows,
                                         std::span<const uint32_t> counts);

  const PreparedMatrix& matrix() const { return matrix_; }
  int64_t rows() const { return matrix_.n(); }
  int64_t copied_bytes() const { return copy_.bytes(); }
  /// The token of a row.
  int32_t token(int64_t row) const {
    if (tiles_.empty()) return static_cast<int32_t>(row);
    return tiles_[static_cast<size_t>(row / kTileRows)] * static_cast<int32_t>(kTileRows) +
           static_cast<int32_t>(row % kTileRows);
  }

 private:
  PreparedMatrix matrix_;
  std::vector<int32_t> tiles_;  // of the model's head; empty: the first ones
  AlignedBuffer copy_;
};

}  // namespace midge
