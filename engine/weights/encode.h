// The encoder: f32 rows to blocks of integers, by least squared error.
#pragma once

#include <cstdint>

#include "kernels/encoding.h"

namespace midge {

/// True for the encodings that encode_row writes: f16, q4b32, q4b32m, q5b32, q5b32m, q8b32,
/// q4b32ms256, q5b32ms256.
bool can_encode(Encoding encoding);

/// Encodes in[k] into blocks, rounded up to whole blocks with zeros (with minimums: to the
/// rounding). out: [encoded_row_bytes(encoding, k)].
/// importance: [k] >= 0, or null: what a squared error counts in each column. Scales of 4 and 5
/// bits are those of the least error (least_squares.h); of q8b32 those of the largest
/// magnitude, whatever the importance.
/// Numbers out of f16's range, infinities and NaN give scales (or f16 weights) that are not finite.
void encode_row(Encoding encoding, const float* in, int64_t k, const float* importance, void* out);

}  // namespace midge
