// Which of several encodings each matrix gets when only so many bits may be spent on all of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/status.h"
#include "kernels/encoding.h"

namespace midge {

/// What an encoding of a matrix takes and what it costs.
struct EncodingCost {
  Encoding encoding = Encoding::kF32;
  int64_t bytes = 0;
  double divergence = 0;  ///< mean, in nats: of the model with this matrix alone so encoded
};

struct MatrixCosts {
  std::string name;
  int64_t weights = 0;
  std::vector<EncodingCost> costs;  ///< at least one
};

/// For each matrix the index of the encoding it gets: at most bits_per_weight on average over all
/// weights, and a small sum of divergences, which are taken to add up. From the encodings of the
/// fewest bytes on, each step is the one that takes most divergence away for its bytes.
/// Errors: invalid_argument (bits_per_weight is less than the fewest bytes make; said in the
/// message).
Result<std::vector<size_t>> allocate_bits(std::span<const MatrixCosts> matrices,
                                          double bits_per_weight);

}  // namespace midge
