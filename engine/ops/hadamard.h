// The Walsh-Hadamard transform of heads: what is large in one dimension is spread over many, so
// that one scale fits them all.
#pragma once

#include <cstdint>

namespace midge {

/// x[count] = H x by blocks of the largest power of two n that divides count; H is symmetric and
/// orthogonal (entries +-1 / sqrt(n)), so that it undoes itself, and products of two vectors that
/// were both turned stay what they are but for rounding. Additions in one order everywhere.
void hadamard(float* x, int64_t count);

}  // namespace midge
