// A plain encoder: f32 rows to blocks. Scales come from the largest magnitude alone, with minimums
// from the lowest and the highest number.
#pragma once

#include <cstdint>

#include "kernels/encoding.h"

namespace midge {

/// True for the encodings that encode_row writes: f16, q4b32, q4b32m, q5b32, q5b32m, q4b32s256,
/// q8b32.
bool can_encode(Encoding encoding);

/// Encodes in[k] into blocks, rounded up to whole blocks with zeros (with minimums: to the
/// rounding). out: [encoded_row_bytes(encoding, k)]. Numbers out of f16's range, infinities and NaN
/// give scales (or f16 weights) that are not finite.
void encode_row(Encoding encoding, const float* in, int64_t k, void* out);

}  // namespace midge
