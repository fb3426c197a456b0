// Weights in other forms than their file's: the packed layout of kernels/packed.h, or rows of
// another encoding.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/status.h"
#include "engine/platform/worker_team.h"
#include "engine/weights/matrix.h"
#include "kernels/kernels.h"

namespace midge {

/// True if matrices of `encoding` can be packed as `target`: without loss where they are equal,
/// through f32 and encode_row otherwise.
bool can_pack(Encoding encoding, Encoding target);

/// Bytes of the packed form, a multiple of 64.
int64_t packed_bytes(const WeightRows& w, Encoding target);

/// Packs `w` as `target` into out[packed_bytes], aligned to 64; the memory is zero before.
/// what: names the matrix in messages.
/// Errors: invalid_file (a scale or an f16 weight is infinite or not a number; the message has the
/// first one's row and column), out_of_memory.
Status pack_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                   Encoding target, const std::string& what, uint8_t* out);

/// The rows of `w` as `target`, which can_encode, into out[w.n * encoded_row_bytes(target, w.k)]:
/// the same weights as pack_matrix's. Errors: those of pack_matrix.
Status encode_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                     Encoding target, const std::string& what, uint8_t* out);

}  // namespace midge
